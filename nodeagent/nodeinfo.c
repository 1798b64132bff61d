#include "nodeagent/nodeinfo.h"
#include "base/buf.h"
#include "kinds/node_labels.h"
#include "nodeagent/bridge.h"
#include "sys/file.h"

#include <arpa/inet.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netdb.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/statvfs.h>
#include <sys/utsname.h>
#include <unistd.h>

static bool is_loopback(const char *addr)
{
	return strncmp(addr, "127.", 4) == 0;
}

/* The source address that a packet to host:port would have; nothing is sent. */
static bool source_towards(char out[16], const char *host, const char *port)
{
	struct addrinfo hints = {.ai_family = AF_INET, .ai_socktype = SOCK_DGRAM}, *found;
	struct sockaddr_in local;
	socklen_t len = sizeof(local);

	if (getaddrinfo(host, port, &hints, &found) != 0)
		return false;
	KG_AUTOCLOSE int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	bool ok = fd >= 0 && connect(fd, found->ai_addr, found->ai_addrlen) == 0 &&
		  getsockname(fd, (struct sockaddr *)&local, &len) == 0 &&
		  inet_ntop(AF_INET, &local.sin_addr, out, 16);
	freeaddrinfo(found);
	return ok;
}

static bool any_address(char out[16])
{
	struct ifaddrs *all, *i;
	bool ok = false;

	if (getifaddrs(&all) < 0)
		return false;
	for (i = all; i && !ok; i = i->ifa_next) {
		if (!i->ifa_addr || i->ifa_addr->sa_family != AF_INET ||
			(i->ifa_flags & IFF_LOOPBACK) || !(i->ifa_flags & IFF_UP) ||
			strcmp(i->ifa_name, KG_BRIDGE_NAME) == 0)
			continue;
		const struct sockaddr_in *addr = (const void *)i->ifa_addr;
		ok = inet_ntop(AF_INET, &addr->sin_addr, out, 16) != NULL;
	}
	freeifaddrs(all);
	return ok;
}

void kg_node_address(char out[16], const char *master_url)
{
	char host[256] = "", port[8] = "443";

	if (sscanf(master_url, "https://%255[^:/]:%7[0-9]", host, port) >= 1 &&
		source_towards(out, host, port) && !is_loopback(out))
		return;
	/* An address for documentation: where the default route would leave. */
	if ((source_towards(out, "192.0.2.1", "9") && !is_loopback(out)) || any_address(out))
		return;
	strcpy(out, "127.0.0.1");
}

static struct kg_value file_line(struct kg_arena *a, const char *path)
{
	KG_AUTOBUF struct kg_buf b = KG_BUF_INIT;

	if (kg_file_read(&b, path, 4096, NULL) < 0)
		return kg_v_lit("");
	return kg_v_strn(a, b.data, strcspn(kg_buf_str(&b), "\n"));
}

/* The value of KEY="VALUE" or "KEY: VALUE" in a file; "" where it is not there. */
static const char *file_field(struct kg_arena *a, const char *path, const char *key)
{
	KG_AUTOBUF struct kg_buf b = KG_BUF_INIT;
	size_t len = strlen(key);

	if (kg_file_read(&b, path, 1 << 20, NULL) < 0)
		return "";
	for (char *line = b.data, *next; line && *line; line = next) {
		char *end = strchr(line, '\n');

		next = end ? end + 1 : NULL;
		if (end)
			*end = '\0';
		if (strncmp(line, key, len) != 0)
			continue;
		line += len + strspn(line + len, " \t\"");
		return kg_arena_strndup(a, line, strcspn(line, "\""));
	}
	return "";
}

/* Pages that are set aside are of the machine's memory, and no pod's memory. */
static struct kg_value resources(
	struct kg_arena *a, unsigned max_pods, const struct kg_hugepages *pages, bool for_pods)
{
	long long kb = strtoll(file_field(a, "/proc/meminfo", "MemTotal:"), NULL, 10);
	unsigned long long disk = 0;
	struct statvfs fs;

	if (for_pods)
		kb -= kg_hugepages_all(pages) / 1024;
	if (statvfs("/", &fs) == 0)
		disk = (unsigned long long)fs.f_blocks * fs.f_frsize / 1024;
	struct kg_value v = kg_v_obj(a, "cpu", kg_v_strf(a, "%ld", sysconf(_SC_NPROCESSORS_ONLN)),
		"memory", kg_v_strf(a, "%lldKi", kb > 0 ? kb : 0), "ephemeral-storage",
		kg_v_strf(a, "%lluKi", disk), "pods", kg_v_strf(a, "%u", max_pods), (char *)NULL);
	for (size_t i = 0; i < pages->n; i++)
		v = kg_with_key(a, &v, kg_arena_strdup(a, pages->sizes[i].resource),
			kg_hugepages_quantity(a, pages->sizes[i].all));
	return v;
}

struct kg_value kg_node_allocatable(
	struct kg_arena *a, unsigned max_pods, const struct kg_hugepages *pages)
{
	return resources(a, max_pods, pages, true);
}

static const char *architecture(const char *machine)
{
	if (strcmp(machine, "x86_64") == 0)
		return "amd64";
	return strcmp(machine, "aarch64") == 0 ? "arm64" : machine;
}

static struct kg_value node_info(struct kg_arena *a, const struct utsname *u)
{
	struct kg_value machine = file_line(a, "/etc/machine-id");
	struct kg_value version = kg_v_lit("v" KGIT_VERSION "+kgit");

	return kg_v_obj(a, "machineID", machine, "systemUUID", machine, "bootID",
		file_line(a, "/proc/sys/kernel/random/boot_id"), "kernelVersion",
		kg_v_str(a, u->release), "osImage",
		kg_v_str(a, file_field(a, "/etc/os-release", "PRETTY_NAME=")),
		"containerRuntimeVersion", kg_v_lit("kgit://" KGIT_VERSION), "kubeletVersion",
		version, "kubeProxyVersion", version, "operatingSystem", kg_v_lit("linux"),
		"architecture", kg_v_str(a, architecture(u->machine)), (char *)NULL);
}

struct kg_value kg_node_registration(struct kg_arena *a, const char *name, const char *address,
	const struct kg_value *own, unsigned max_pods, const struct kg_hugepages *pages)
{
	struct utsname u = {0};

	uname(&u);
	struct kg_value all = *own;
	if (all.type != KG_OBJECT)
		all = kg_v_object(a, NULL, 0);
	all = kg_with_key(a, &all, "kubernetes.io/hostname", kg_v_str(a, name));
	all = kg_with_key(a, &all, "kubernetes.io/os", kg_v_lit("linux"));
	all = kg_with_key(a, &all, "kubernetes.io/arch", kg_v_str(a, architecture(u.machine)));
	/* Kubernetes' node lifecycle controller has them follow, for who selects by the old names.
	 */
	all = kg_with_key(a, &all, "beta.kubernetes.io/os", kg_v_lit("linux"));
	all = kg_with_key(a, &all, "beta.kubernetes.io/arch", *kg_get(&all, "kubernetes.io/arch"));
	struct kg_value addresses[] = {
		kg_v_obj(a, "type", kg_v_lit("InternalIP"), "address", kg_v_str(a, address),
			(char *)NULL),
		kg_v_obj(a, "type", kg_v_lit("Hostname"), "address", kg_v_str(a, name),
			(char *)NULL),
	};
	struct kg_value status = kg_v_obj(a, "addresses", kg_v_array(a, addresses, 2), "capacity",
		resources(a, max_pods, pages, false), "allocatable",
		kg_node_allocatable(a, max_pods, pages), "nodeInfo", node_info(a, &u),
		(char *)NULL);
	return kg_v_obj(a, "labels", all, "status", status, (char *)NULL);
}

int kg_node_labels_parse(
	struct kg_value *out, struct kg_arena *a, const char *text, struct kg_error *err)
{
	struct kg_value all = kg_v_object(a, NULL, 0);

	while (*text) {
		size_t len = strcspn(text, ",");
		const char *eq = memchr(text, '=', len);

		if (!eq || eq == text)
			return kg_fail(err, KG_E_INVALID,
				"labels: expected KEY=VALUE, got \"%.*s\"", (int)len, text);
		all = kg_with_key(a, &all, kg_arena_strndup(a, text, (size_t)(eq - text)),
			kg_v_strn(a, eq + 1, len - (size_t)(eq + 1 - text)));
		text += len + (text[len] == ',');
	}
	struct kg_error bad;
	int rc = kg_node_labels_check(&all, &bad);

	if (rc < 0)
		return kg_fail(err, -rc, "labels: %s", bad.msg);
	*out = all;
	return 0;
}
