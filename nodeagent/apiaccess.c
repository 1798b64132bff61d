#include "nodeagent/apiaccess.h"

#include "base/mem.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

bool kg_api_access_has(const struct kg_value *pod)
{
	return !kg_is_null(kg_find(kg_at(pod, "spec.volumes"), "name", KG_API_ACCESS));
}

static struct kg_value source(struct kg_arena *a, const char *type, struct kg_value v)
{
	return kg_v_obj(a, type, v, (char *)NULL);
}

static struct kg_value list_of(struct kg_arena *a, struct kg_value item)
{
	return kg_v_array(a, &item, 1);
}

/* In Kubernetes' own order and numbers. */
static struct kg_value access_volume(struct kg_arena *a)
{
	struct kg_value key =
		kg_v_obj(a, "key", kg_v_lit("ca.crt"), "path", kg_v_lit("ca.crt"), (char *)NULL);
	struct kg_value field =
		kg_v_obj(a, "fieldPath", kg_v_lit("metadata.namespace"), (char *)NULL);
	struct kg_value file =
		kg_v_obj(a, "path", kg_v_lit("namespace"), "fieldRef", field, (char *)NULL);
	struct kg_value sources[] = {
		source(a, "serviceAccountToken",
			kg_v_obj(a, "expirationSeconds", kg_v_int(3607), "path", kg_v_lit("token"),
				(char *)NULL)),
		source(a, "configMap",
			kg_v_obj(a, "name", kg_v_lit(KG_ROOT_CA), "items", list_of(a, key),
				(char *)NULL)),
		source(a, "downwardAPI", kg_v_obj(a, "items", list_of(a, file), (char *)NULL)),
	};
	struct kg_value projected = kg_v_obj(a, "defaultMode", kg_v_int(0644), "sources",
		kg_v_array(a, sources, KG_ARRAY_LEN(sources)), (char *)NULL);
	return kg_v_obj(a, "name", kg_v_lit(KG_API_ACCESS), "projected", projected, (char *)NULL);
}

static struct kg_value with_item(
	struct kg_arena *a, const struct kg_value *obj, const char *list, struct kg_value item)
{
	const struct kg_value *have = kg_get(obj, list);

	return kg_with_key(a, obj, list,
		have->type == KG_ARRAY ? kg_with_item(a, have, item) : list_of(a, item));
}

static struct kg_value with_mounts(struct kg_arena *a, const struct kg_value *containers)
{
	struct kg_value mount = kg_v_obj(a, "name", kg_v_lit(KG_API_ACCESS), "mountPath",
		kg_v_lit(KG_API_ACCESS_PATH), "readOnly", kg_v_bool(true), (char *)NULL);
	struct kg_value *items = kg_arena_alloc(a, (kg_len(containers) + 1) * sizeof(*items));

	for (uint32_t i = 0; i < kg_len(containers); i++) {
		const struct kg_value *c = &containers->items[i];
		bool own = !kg_is_null(
			kg_find(kg_get(c, "volumeMounts"), "mountPath", KG_API_ACCESS_PATH));

		items[i] = own ? *c : with_item(a, c, "volumeMounts", mount);
	}
	return kg_v_array(a, items, kg_len(containers));
}

struct kg_value kg_api_access_add(struct kg_arena *a, const struct kg_value *pod)
{
	static const char *const lists[] = {"initContainers", "containers"};
	struct kg_value spec = with_item(a, kg_get(pod, "spec"), "volumes", access_volume(a));

	for (size_t i = 0; i < KG_ARRAY_LEN(lists); i++) {
		const struct kg_value *list = kg_get(&spec, lists[i]);

		if (kg_len(list))
			spec = kg_with_key(a, &spec, lists[i], with_mounts(a, list));
	}
	return kg_with_key(a, pod, "spec", spec);
}

/* ---- what node.yaml says ---- */

struct kg_value kg_api_root_ca(struct kg_arena *a, const struct kg_value *node)
{
	const struct kg_value *ca = kg_get(node, "ca");

	if (kg_is_null(ca))
		return kg_v_null();
	return kg_v_obj(a, "kind", kg_v_lit("ConfigMap"), "metadata",
		kg_v_obj(a, "name", kg_v_lit(KG_ROOT_CA), "namespace", kg_v_lit(""), (char *)NULL),
		"data", kg_v_obj(a, "ca.crt", *ca, (char *)NULL), (char *)NULL);
}

/* The first address of the range of services is the API's. */
static bool api_address(char out[16], const struct kg_value *node)
{
	const char *range = kg_string(kg_get(node, "serviceCIDR"), "");
	const char *slash = strchr(range, '/');
	char first[16] = "";
	struct in_addr in;

	if (!slash || (size_t)(slash - range) >= sizeof(first))
		return false;
	memcpy(first, range, (size_t)(slash - range));
	unsigned long prefix = strtoul(slash + 1, NULL, 10);
	if (inet_pton(AF_INET, first, &in) != 1 || prefix < 8 || prefix > 30)
		return false;
	in.s_addr = htonl((ntohl(in.s_addr) & ~0U << (32 - prefix)) + 1);
	return inet_ntop(AF_INET, &in, out, 16) != NULL;
}

struct kg_value kg_api_service(struct kg_arena *a, const struct kg_value *node)
{
	char ip[16];

	if (!api_address(ip, node))
		return kg_v_null();
	return kg_v_obj(a, "kind", kg_v_lit("Service"), "metadata",
		kg_v_obj(a, "name", kg_v_lit("kubernetes"), "namespace", kg_v_lit("default"),
			(char *)NULL),
		"clusterIP", kg_v_str(a, ip), (char *)NULL);
}

const char *kg_api_address(const struct kg_value *objects)
{
	for (uint32_t i = 0; i < kg_len(objects); i++) {
		const struct kg_value *o = &objects->items[i];

		if (!strcmp(kg_string(kg_get(o, "kind"), ""), "Service") &&
			!strcmp(kg_string(kg_at(o, "metadata.name"), ""), "kubernetes"))
			return kg_string(kg_get(o, "clusterIP"), NULL);
	}
	return NULL;
}

/* "a.b.c.d:port" of "https://HOST[:PORT]"; "" where that is no IPv4 address. */
static int resolve(char out[24], const char *url, struct kg_error *err)
{
	struct addrinfo hints = {.ai_family = AF_INET, .ai_socktype = SOCK_STREAM}, *found;
	char host[256] = "", port[8] = "443", ip[16];

	out[0] = '\0';
	if (sscanf(url, "https://%255[^:/]:%7[0-9]", host, port) < 1 || host[0] == '[')
		return 0;
	int rc = getaddrinfo(host, port, &hints, &found);
	if (rc != 0)
		return kg_fail(err, KG_E_UNAVAILABLE, "the IPv4 address of \"%s\", the master: %s",
			host, gai_strerror(rc));
	const struct sockaddr_in *in = (const void *)found->ai_addr;
	if (inet_ntop(AF_INET, &in->sin_addr, ip, sizeof(ip)))
		snprintf(out, 24, "%s:%u", ip, ntohs(in->sin_port));
	freeaddrinfo(found);
	return 0;
}

int kg_api_service_map(struct kg_value *out, struct kg_arena *a, const struct kg_value *node,
	const char *master_url, struct kg_error *err)
{
	char ip[16], master[24];

	if (!api_address(ip, node)) {
		*out = kg_v_null();
		return 0;
	}
	int rc = resolve(master, master_url, err);
	if (rc < 0)
		return rc;
	if (!*master) {
		*out = kg_v_null();
		return 0;
	}
	struct kg_value port = kg_v_obj(a, "name", kg_v_lit("https"), "protocol", kg_v_lit("TCP"),
		"port", kg_v_int(443), "endpoints", list_of(a, kg_v_str(a, master)), (char *)NULL);
	*out = kg_v_obj(a, "name", kg_v_lit("kubernetes"), "namespace", kg_v_lit("default"),
		"clusterIP", kg_v_str(a, ip), "type", kg_v_lit("ClusterIP"), "sessionAffinity",
		kg_v_lit("None"), "externalTrafficPolicy", kg_v_lit("Cluster"), "ports",
		list_of(a, port), (char *)NULL);
	return 0;
}
