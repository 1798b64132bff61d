#include "nodeagent/podfiles.h"

#include "nodeagent/apiaccess.h"
#include "nodeagent/oci_spec.h"
#include "nodeagent/resolv.h"
#include "nodeagent/tmpfs.h"
#include "sys/file.h"

#include <errno.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#define FILES_SIZE "4m"

void kg_podpaths_init(
	struct kg_podpaths *p, const char *dir, const char *cgroup_parent, const char *uid)
{
	p->dir = kg_asprintf("%s/pods/%s", dir, uid);
	p->run = kg_asprintf("%s/run/pods/%s", dir, uid);
	p->files = kg_asprintf("%s/run/files/%s", dir, uid);
	p->ns_dir = kg_asprintf("%s/run/ns/%s", dir, uid);
	p->netns = kg_asprintf("%s/net", p->ns_dir);
	p->ipcns = kg_asprintf("%s/ipc", p->ns_dir);
	p->pidns = kg_asprintf("%s/pid", p->ns_dir);
	p->shm = kg_asprintf("%s/run/shm/%s", dir, uid);
	p->cgroup = kg_asprintf("%s/pod%s", cgroup_parent, uid);
}

void kg_podpaths_release(struct kg_podpaths *p)
{
	free(p->dir);
	free(p->run);
	free(p->files);
	free(p->ns_dir);
	free(p->netns);
	free(p->ipcns);
	free(p->pidns);
	free(p->shm);
	free(p->cgroup);
	*p = (struct kg_podpaths){0};
}

char *kg_bundle_path(const struct kg_podpaths *p, const char *container)
{
	return kg_asprintf("%s/%s", p->run, container);
}

char *kg_upper_path(const struct kg_podpaths *p, const char *container)
{
	return kg_asprintf("%s/%s.upper", p->dir, container);
}

char *kg_work_path(const struct kg_podpaths *p, const char *container)
{
	return kg_asprintf("%s/%s.work", p->dir, container);
}

char *kg_term_path(const struct kg_podpaths *p, const char *container)
{
	return kg_asprintf("%s/%s.term", p->files, container);
}

char *kg_log_path(const struct kg_podpaths *p, const char *container, int attempt)
{
	return kg_asprintf("%s/%s.%d.log", p->dir, container, attempt);
}

static int put(
	const struct kg_podpaths *p, const char *name, const struct kg_buf *b, struct kg_error *err)
{
	KG_AUTOFREE char *path = kg_asprintf("%s/%s", p->files, name);
	int rc = kg_file_replace(path, kg_buf_str(b), b->len, 0644, err);
	if (rc == 0 && chmod(path, 0644) < 0)
		rc = kg_fail_errno(err, "chmod %s", path);
	return rc;
}

/* kubelet's hostsEntriesFromHostAliases. */
static void add_aliases(struct kg_buf *b, const struct kg_value *aliases)
{
	if (b->len && b->data[b->len - 1] != '\n')
		kg_buf_addc(b, '\n');
	for (uint32_t i = 0; i < kg_len(aliases); i++) {
		const struct kg_value *names = kg_get(&aliases->items[i], "hostnames");
		kg_buf_adds(b, kg_string(kg_get(&aliases->items[i], "ip"), ""));
		for (uint32_t k = 0; k < kg_len(names); k++)
			kg_buf_addf(b, "\t%s", kg_string(&names->items[k], ""));
		kg_buf_addc(b, '\n');
	}
}

/* Where the API is, for who has no resolver of the cluster's names. */
static void add_api(struct kg_buf *b, const char *address)
{
	if (address)
		kg_buf_addf(b,
			"%s\tkubernetes.default.svc kubernetes.default "
			"kubernetes.default.svc.cluster.local\n",
			address);
}

static int write_hosts(const struct kg_podpaths *p, const struct kg_value *pod,
	const struct kg_value *objects, struct kg_error *err)
{
	struct kg_arena a KG_CLEANUP(kg_arena_release) = KG_ARENA_INIT;
	KG_AUTOBUF struct kg_buf b = KG_BUF_INIT;
	const char *ip = kg_string(kg_get(pod, "podIP"), "");
	if (kg_pod_host_network(pod)) {
		struct kg_error ignored; /* a node without /etc/hosts gives an empty one */
		kg_file_read(&b, "/etc/hosts", 1 << 20, &ignored);
		add_aliases(&b, kg_at(pod, "spec.hostAliases"));
		return put(p, "hosts", &b, err);
	}
	kg_buf_adds(&b, "# Managed by kgit.\n127.0.0.1\tlocalhost\n"
			"::1\tlocalhost ip6-localhost ip6-loopback\n"
			"fe00::0\tip6-localnet\nfe00::0\tip6-mcastprefix\n"
			"fe00::1\tip6-allnodes\nfe00::2\tip6-allrouters\n");
	const char *fqdn = kg_pod_fqdn(&a, pod, objects);
	if (*ip)
		kg_buf_addf(
			&b, "%s\t%s%s%s\n", ip, fqdn, *fqdn ? "\t" : "", kg_pod_hostname(&a, pod));
	if (!kg_has_cluster_dns(objects))
		add_api(&b, kg_api_address(objects));
	add_aliases(&b, kg_at(pod, "spec.hostAliases"));
	return put(p, "hosts", &b, err);
}

static int write_resolv(const struct kg_podpaths *p, const struct kg_value *pod,
	const struct kg_value *objects, struct kg_error *err)
{
	KG_AUTOBUF struct kg_buf host = KG_BUF_INIT, text = KG_BUF_INIT;
	struct kg_error ignored; /* a node without one has an empty one */

	kg_file_read(&host, "/etc/resolv.conf", 1 << 20, &ignored);
	kg_resolv_conf(&text, pod, kg_buf_str(&host), objects);
	return put(p, "resolv.conf", &text, err);
}

static int write_hostname(
	const struct kg_podpaths *p, const struct kg_value *pod, struct kg_error *err)
{
	struct kg_arena a KG_CLEANUP(kg_arena_release) = KG_ARENA_INIT;
	KG_AUTOBUF struct kg_buf b = KG_BUF_INIT;
	char host[256] = "";
	if (kg_pod_host_network(pod) && gethostname(host, sizeof(host) - 1) == 0)
		kg_buf_addf(&b, "%s\n", host);
	else
		kg_buf_addf(&b, "%s\n", kg_pod_hostname(&a, pod));
	return put(p, "hostname", &b, err);
}

/* ---- what is mounted ---- */

static int make_mount(const char *name, const char *path, const char *options, struct kg_error *err)
{
	int rc = kg_mkdir_p(path, 0755, err);
	return rc < 0 ? rc : kg_tmpfs_mount(path, name, MS_NOEXEC, options, err);
}

static int remove_mount(const char *path, struct kg_error *err)
{
	int rc = kg_unmount_all(path, MNT_DETACH, err);
	if (rc == 0 && rmdir(path) < 0 && errno != ENOENT)
		rc = kg_fail_errno(err, "remove %s", path);
	return rc;
}

int kg_podfiles_write(const struct kg_podpaths *p, const struct kg_value *pod,
	const struct kg_value *objects, struct kg_error *err)
{
	int rc = make_mount("kgit-pod", p->files, "mode=0755,size=" FILES_SIZE, err);
	if (rc == 0)
		rc = write_hosts(p, pod, objects, err);
	if (rc == 0)
		rc = write_hostname(p, pod, err);
	if (rc == 0)
		rc = write_resolv(p, pod, objects, err);
	return rc;
}

int kg_podfiles_mount_shm(const struct kg_podpaths *p, struct kg_error *err)
{
	return make_mount("shm", p->shm, "mode=1777,size=65536k", err);
}

int kg_podfiles_unmount(const struct kg_podpaths *p, struct kg_error *err)
{
	int rc = remove_mount(p->shm, err);
	return rc < 0 ? rc : remove_mount(p->files, err);
}
