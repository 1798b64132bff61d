/* Ports of the node that one pod has, as the CNI plugin portmap makes them of hostPort and hostIP:
 * a service of one endpoint each. */
#include "nodeagent/services_plan.h"

#include "base/mem.h"

#include <arpa/inet.h>
#include <string.h>

static int protocol_of(const char *name)
{
	return !strcmp(name, "UDP")    ? IPPROTO_UDP
	       : !strcmp(name, "SCTP") ? IPPROTO_SCTP
				       : IPPROTO_TCP;
}

static bool parse_port(struct kg_service_port *out, const struct kg_value *v)
{
	int64_t host = kg_int(kg_get(v, "hostPort"), 0);
	int64_t port = kg_int(kg_get(v, "containerPort"), 0);
	const char *ip = kg_string(kg_get(v, "hostIP"), "");

	out->addr = 0;
	out->protocol = (uint8_t)protocol_of(kg_string(kg_get(v, "protocol"), "TCP"));
	out->port = htons((uint16_t)host);
	out->nendpoints = 1;
	out->endpoints->port = htons((uint16_t)port);
	/* Pods have IPv4 addresses alone: an IPv6 address of the node's does not lead to them. */
	return host > 0 && host < 65536 && port > 0 && port < 65536 &&
	       (!*ip || inet_pton(AF_INET, ip, &out->addr) == 1);
}

static uint32_t count(const struct kg_value *containers)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < kg_len(containers); i++)
		n += kg_len(kg_get(&containers->items[i], "ports"));
	return n;
}

static void add(struct kg_service *s, struct kg_endpoint *space, const struct kg_value *containers)
{
	for (uint32_t i = 0; i < kg_len(containers); i++) {
		const struct kg_value *ports = kg_get(&containers->items[i], "ports");
		for (uint32_t k = 0; k < kg_len(ports); k++) {
			struct kg_service_port *p = &s->ports[s->nports];
			p->endpoints = &space[s->nports];
			p->endpoints->addr = space->addr;
			s->nports += parse_port(p, &ports->items[k]);
		}
	}
}

struct kg_service *kg_service_of_pod(const struct kg_value *pod)
{
	const struct kg_value *containers = kg_at(pod, "spec.containers");
	const struct kg_value *init = kg_at(pod, "spec.initContainers");
	size_t n = count(containers) + count(init) + 1;
	size_t size = sizeof(struct kg_service) + n * sizeof(struct kg_service_port);
	in_addr_t addr;

	if (inet_pton(AF_INET, kg_string(kg_get(pod, "podIP"), ""), &addr) != 1)
		return NULL;
	struct kg_service *s = kg_alloc(size + n * sizeof(struct kg_endpoint));
	struct kg_endpoint *space = (struct kg_endpoint *)((char *)s + size);
	s->pod = true;
	space->addr = addr;
	add(s, space, containers);
	add(s, space, init);
	return s;
}

void kg_service_pod_elements(struct kg_nft_elems *out, const struct kg_service *s)
{
	for (uint32_t i = 0; i < s->nports; i++) {
		const struct kg_service_port *p = &s->ports[i];
		struct kg_nft_elem *e =
			kg_nft_elems_add(out, p->addr ? KG_SET_HOSTADDRS : KG_SET_HOSTPORTS);
		uint8_t *key = e->key;

		if (p->addr) {
			memcpy(key, &p->addr, 4);
			key += 4;
		}
		key[0] = p->protocol;
		memcpy(key + 4, &p->port, 2);
		memcpy(e->data, &p->endpoints->addr, 4);
		memcpy(e->data + 4, &p->endpoints->port, 2);
	}
}
