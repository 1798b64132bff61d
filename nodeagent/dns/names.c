#include "dns/names.h"
#include "base/map.h"
#include "base/mem.h"
#include "dns/record.h"

#include <arpa/nameser.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

/*
 * Overview. A node is a name that has records, or has one below it that does: that there is nothing
 * of a type, and that there is nothing at all, are different answers. A record knows its part, so
 * that a part can be taken out by the names that its text has.
 */

struct record {
	struct record *next; /* of the same name */
	uint16_t type, len;
	unsigned part;
	uint8_t data[];
};
struct node {
	struct record *first;
	unsigned below; /* nodes whose parent this is */
};
struct kg_names {
	char **zones;
	size_t nzones;
	struct kg_map nodes;         /* absolute name in lower case -> struct node */
	char *parts[KG_NAMES_PARTS]; /* their text; NULL: nothing */
};

/* ---- zones ---- */

static bool within(const char *name, const char *zone)
{
	size_t n = strlen(name), z = strlen(zone);

	return n >= z && strcasecmp(name + n - z, zone) == 0 && (n == z || name[n - z - 1] == '.');
}

/* The nearest one; NULL: none. */
static const char *zone_of(const struct kg_names *names, const char *name)
{
	const char *best = NULL;

	for (size_t i = 0; i < names->nzones; i++)
		if (within(name, names->zones[i]) &&
			(!best || strlen(names->zones[i]) > strlen(best)))
			best = names->zones[i];
	return best;
}

bool kg_names_has_zone(const struct kg_names *names, const char *name)
{
	return zone_of(names, name) != NULL;
}

/* ---- nodes ---- */

/* The name without its first label; NULL: it is a zone's own, or in none. */
static const char *parent_of(const struct kg_names *names, const char *name)
{
	const char *dot = strchr(name, '.');

	for (size_t i = 0; i < names->nzones; i++)
		if (strcmp(names->zones[i], name) == 0)
			return NULL;
	return dot && dot[1] ? dot + 1 : NULL;
}

static struct node *make_node(struct kg_names *names, const char *name)
{
	struct node *node = kg_map_get(&names->nodes, name);
	const char *parent;

	if (node)
		return node;
	node = kg_alloc(sizeof(*node));
	kg_map_put(&names->nodes, name, node);
	parent = parent_of(names, name);
	if (parent)
		make_node(names, parent)->below++;
	return node;
}

static void drop_node(struct kg_names *names, const char *name)
{
	struct node *node = kg_map_get(&names->nodes, name);

	while (node && !node->first && !node->below) {
		free(kg_map_remove(&names->nodes, name));
		name = parent_of(names, name);
		node = name ? kg_map_get(&names->nodes, name) : NULL;
		if (node)
			node->below--;
	}
}

/* ---- parts ---- */

static void add(struct kg_names *names, unsigned part, const struct kg_record *r)
{
	struct node *node = make_node(names, r->name);
	struct record *new = kg_alloc(sizeof(*new) + r->len);

	new->type = r->type;
	new->len = r->len;
	new->part = part;
	memcpy(new->data, r->data, r->len);
	new->next = node->first;
	node->first = new;
}

static void remove_of(struct kg_names *names, unsigned part, const struct kg_record *r)
{
	struct node *node = kg_map_get(&names->nodes, r->name);

	for (struct record **p = node ? &node->first : NULL; p && *p;) {
		struct record *at = *p;

		if (at->part != part) {
			p = &at->next;
			continue;
		}
		*p = at->next;
		free(at);
	}
	drop_node(names, r->name);
}

typedef void line_fn(struct kg_names *names, unsigned part, const struct kg_record *r);

static int each(
	struct kg_names *names, unsigned part, const char *text, line_fn *fn, struct kg_error *err)
{
	struct kg_record r;

	for (const char *end; text && *text; text = *end ? end + 1 : end) {
		end = strchrnul(text, '\n');
		int rc = kg_record_parse(&r, text, (size_t)(end - text), names->zones[0], err);

		if (rc < 0)
			return rc;
		if (fn)
			fn(names, part, &r);
	}
	return 0;
}

int kg_names_put(struct kg_names *names, unsigned part, const char *text, struct kg_error *err)
{
	struct kg_error ignored; /* it was understood before */
	int rc = each(names, part, text, NULL, err);

	if (rc < 0)
		return rc;
	each(names, part, names->parts[part], remove_of, &ignored);
	free(names->parts[part]);
	names->parts[part] = text && *text ? kg_strdup(text) : NULL;
	each(names, part, text, add, &ignored);
	return 0;
}

/* ---- answers ---- */

/* Aliases that follow each other: more are a circle, or meant to be one. */
#define ALIASES_MAX 8
#define TTL_S       5
#define HEADER      12

struct answer {
	uint8_t *p;
	size_t len;
	unsigned of[2];     /* records: of the answer, of the authority */
	uint8_t owner[256]; /* whose records come next */
	size_t nowner;
};

static void put16(uint8_t *p, unsigned v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

/* Whole, or not at all. */
static void put_record(struct answer *a, unsigned section, const struct record *r)
{
	uint8_t *p = a->p + a->len + a->nowner;

	if (a->len + a->nowner + 10 + r->len > KG_DNS_MAX_ANSWER)
		return;
	memcpy(a->p + a->len, a->owner, a->nowner);
	put16(p, r->type);
	put16(p + 2, ns_c_in);
	put16(p + 4, 0);
	put16(p + 6, TTL_S);
	put16(p + 8, r->len);
	memcpy(p + 10, r->data, r->len);
	a->len += a->nowner + 10 + r->len;
	a->of[section]++;
}

static bool is_of(const struct record *r, unsigned type)
{
	return r->type == type || type == ns_t_any;
}

/* All of a type at a node, begun with another one each time, so that each is somebody's first.
 * Returns their number. */
static unsigned put_all(struct answer *a, const struct node *node, unsigned type, unsigned turn)
{
	unsigned n = 0, i = 0;

	for (const struct record *r = node->first; r; r = r->next)
		n += is_of(r, type);
	turn = n ? turn % n : 0;
	for (int round = 0; round < 2; round++, i = 0)
		for (const struct record *r = node->first; r; r = r->next)
			if (is_of(r, type) && (i++ >= turn) == !round)
				put_record(a, 0, r);
	return n;
}

static const struct record *find(const struct node *node, unsigned type)
{
	const struct record *r = node ? node->first : NULL;

	while (r && r->type != type)
		r = r->next;
	return r;
}

/* Who could have known, and for how long it may be remembered that there is nothing. */
static void put_authority(struct answer *a, const struct kg_names *names, const char *name)
{
	const char *zone = zone_of(names, name);
	const struct record *soa = zone ? find(kg_map_get(&names->nodes, zone), ns_t_soa) : NULL;
	int n = soa ? kg_record_name(a->owner, zone) : -1;

	a->nowner = n > 0 ? (size_t)n : 0;
	if (n > 0)
		put_record(a, 1, soa);
}

/* The name that a CNAME's data is. */
static void read_target(char *out, const struct record *alias)
{
	for (const uint8_t *p = alias->data; *p; p += 1 + *p) {
		memcpy(out, p + 1, *p);
		out += *p;
		*out++ = '.';
	}
	*out = '\0';
}

/* What there is under a name: false, and the name that it stands for, where it is an alias. */
static bool put_name(struct answer *a, char *name, int *rcode, const struct kg_names *names,
	const struct kg_dns_query *q)
{
	const struct node *node = kg_map_get(&names->nodes, name);
	const struct record *alias = find(node, ns_t_cname);

	if (alias && q->type != ns_t_cname && q->type != ns_t_any) {
		put_record(a, 0, alias);
		read_target(name, alias);
		a->nowner = alias->len;
		memcpy(a->owner, alias->data, alias->len);
		return false;
	}
	if (!node || !put_all(a, node, q->type, q->id))
		put_authority(a, names, name);
	*rcode = node ? 0 : ns_r_nxdomain;
	return true;
}

size_t kg_names_answer(uint8_t *out, char target[KG_RECORD_NAME], const struct kg_names *names,
	const struct kg_dns_query *q)
{
	/* At first the question's own name. */
	struct answer a = {.p = out, .len = q->head, .owner = {0xc0, HEADER}, .nowner = 2};
	char name[sizeof(q->name)];
	int rcode = 0, aliases = 0;

	kg_dns_refuse(out, q, 0);
	for (size_t i = 0; i < sizeof(name); i++) {
		char c = q->name[i];
		name[i] = (char)(c >= 'A' && c <= 'Z' ? c | 0x20 : c);
	}
	*target = '\0';
	while (!put_name(&a, name, &rcode, names, q)) {
		if (++aliases > ALIASES_MAX)
			return kg_dns_refuse(out, q, ns_r_servfail);
		if (!kg_names_has_zone(names, name)) {
			memcpy(target, name, strlen(name) + 1);
			break;
		}
	}
	out[3] = (uint8_t)rcode;
	put16(out + 6, a.of[0]);
	put16(out + 8, a.of[1]);
	put16(out + 10, 0); /* OPT comes where it is cut to what the asker takes */
	return a.len;
}

/* ---- life ---- */

struct kg_names *kg_names_new(const char *const *zones, size_t n)
{
	struct kg_names *names = kg_alloc(sizeof(*names));

	names->zones = kg_alloc((n + 1) * sizeof(*names->zones));
	for (; names->nzones < n; names->nzones++)
		names->zones[names->nzones] = kg_strdup(zones[names->nzones]);
	return names;
}

void kg_names_free(struct kg_names *names)
{
	struct kg_map_entry *e;

	if (!names)
		return;
	for (size_t i = 0; (e = kg_map_next(&names->nodes, &i));) {
		struct node *node = e->value;

		for (struct record *r = node->first, *next; r; r = next) {
			next = r->next;
			free(r);
		}
		free(node);
	}
	kg_map_release(&names->nodes);
	for (size_t i = 0; i < KG_NAMES_PARTS; i++)
		free(names->parts[i]);
	for (size_t i = 0; i < names->nzones; i++)
		free(names->zones[i]);
	free(names->zones);
	free(names);
}
