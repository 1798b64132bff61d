#include "nodeagent/policies_plan.h"
#include "base/hash.h"
#include "base/mem.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

/* A policy; it is there as long as a pod or class may name it. */
struct entry {
	struct kg_policy *now, *before; /* before: what the last commit had; where `changed` */
	bool changed;
	char key[];
};
struct peers {
	struct kg_policy_peers *now; /* what the map of peers has, too */
	bool changed;
};
struct class
{
	uint32_t id;
	size_t refs; /* pods */
	struct entry **entries;
	size_t n;
	struct kg_nft_elems elems; /* as of the last commit */
	bool open, overfull, made;
};
struct pod {
	uint32_t addr;
	struct entry **entries; /* that select it, sorted by key */
	size_t n, cap;
	struct class *class[KG_POLICY_DIRECTIONS]; /* NULL: it is not isolated */
	uint32_t class_key[KG_POLICY_DIRECTIONS];  /* as in the packet filter; 0: absent */
	bool dirty;
};

struct kg_policies_plan {
	struct kg_map policies;                      /* key -> struct entry */
	struct kg_map changed_peers;                 /* id -> plan */
	struct kg_map peers;                         /* id -> struct kg_policy_peers */
	struct kg_map pods;                          /* address, hex -> struct pod */
	struct kg_map classes[KG_POLICY_DIRECTIONS]; /* keys of policies -> struct class */
	struct pod **dirty;
	size_t ndirty, dirty_cap;
};

struct kg_policies_plan *kg_policies_plan_new(void)
{
	return kg_alloc(sizeof(struct kg_policies_plan));
}

static void free_class(struct class *c)
{
	kg_nft_elems_release(&c->elems);
	free(c->entries);
	free(c);
}

static void free_pod(struct pod *p)
{
	free(p->entries);
	free(p);
}

static void free_entry(struct entry *e)
{
	kg_policy_free(e->now);
	kg_policy_free(e->before);
	free(e);
}

void kg_policies_plan_free(struct kg_policies_plan *plan)
{
	struct kg_map_entry *e;

	if (!plan)
		return;
	for (int d = 0; d < KG_POLICY_DIRECTIONS; d++) {
		for (size_t i = 0; (e = kg_map_next(&plan->classes[d], &i));)
			free_class(e->value);
		kg_map_release(&plan->classes[d]);
	}
	for (size_t i = 0; (e = kg_map_next(&plan->pods, &i));)
		free_pod(e->value);
	for (size_t i = 0; (e = kg_map_next(&plan->policies, &i));)
		free_entry(e->value);
	for (size_t i = 0; (e = kg_map_next(&plan->peers, &i));)
		free(e->value);
	kg_map_release(&plan->pods);
	kg_map_release(&plan->policies);
	kg_map_release(&plan->peers);
	kg_map_release(&plan->changed_peers);
	free(plan->dirty);
	free(plan);
}

/* ---- what is put ---- */

static void replace(struct entry *e, struct kg_policy *now)
{
	if (e->changed) {
		kg_policy_free(e->now);
	} else {
		e->before = e->now;
		e->changed = true;
	}
	e->now = now;
}

void kg_policies_plan_policy(
	struct kg_policies_plan *plan, const char *key, const struct kg_value *policy)
{
	struct entry *e = kg_map_get(&plan->policies, key);

	if (!e && !policy)
		return;
	if (!e) {
		e = kg_alloc(sizeof(*e) + strlen(key) + 1);
		strcpy(e->key, key);
		kg_map_put(&plan->policies, key, e);
	}
	replace(e, policy ? kg_policy_parse(policy) : NULL);
}

void kg_policies_plan_peers(
	struct kg_policies_plan *plan, const char *id, const struct kg_value *peers)
{
	free(peers ? kg_map_put(&plan->peers, id, kg_policy_peers_parse(peers))
		   : kg_map_remove(&plan->peers, id));
	kg_map_put(&plan->changed_peers, id, plan);
}

void kg_policies_plan_clear(struct kg_policies_plan *plan)
{
	struct kg_map_entry *e;

	for (size_t i = 0; (e = kg_map_next(&plan->policies, &i));)
		replace(e->value, NULL);
	for (size_t i = 0; (e = kg_map_next(&plan->peers, &i));) {
		kg_map_put(&plan->changed_peers, e->key, plan);
		free(e->value);
	}
	kg_map_clear(&plan->peers);
}

/* ---- pods ---- */

static struct pod *find_pod(const struct kg_policies_plan *plan, uint32_t addr)
{
	char key[9];

	snprintf(key, sizeof(key), "%08x", addr);
	return kg_map_get(&plan->pods, key);
}

static struct pod *touch_pod(struct kg_policies_plan *plan, uint32_t addr)
{
	struct pod *p = find_pod(plan, addr);
	char key[9];

	if (!p) {
		snprintf(key, sizeof(key), "%08x", addr);
		p = kg_alloc(sizeof(*p));
		p->addr = addr;
		kg_map_put(&plan->pods, key, p);
	}
	if (!p->dirty) {
		KG_GROW(plan->dirty, plan->dirty_cap, plan->ndirty + 1);
		plan->dirty[plan->ndirty++] = p;
		p->dirty = true;
	}
	return p;
}

/* Where the policy is, or belongs. */
static size_t place_of(const struct pod *p, const struct entry *e)
{
	size_t i = 0;

	while (i < p->n && strcmp(p->entries[i]->key, e->key) < 0)
		i++;
	return i;
}

static void deselect(struct pod *p, const struct entry *e)
{
	size_t i = place_of(p, e);

	if (i < p->n && p->entries[i] == e)
		memmove(&p->entries[i], &p->entries[i + 1], (--p->n - i) * sizeof(struct entry *));
}

static void select_pod(struct pod *p, struct entry *e)
{
	size_t i = place_of(p, e);

	KG_GROW(p->entries, p->cap, p->n + 1);
	memmove(&p->entries[i + 1], &p->entries[i], (p->n++ - i) * sizeof(struct entry *));
	p->entries[i] = e;
}

static void note_entry(struct kg_policies_plan *plan, struct entry *e)
{
	for (uint32_t i = 0; e->before && i < e->before->npods; i++)
		deselect(touch_pod(plan, e->before->pods[i]), e);
	for (uint32_t i = 0; e->now && i < e->now->npods; i++)
		select_pod(touch_pod(plan, e->now->pods[i]), e);
}

/* ---- classes ---- */

/* Follows from the policies' names, so that an agent that starts again finds its own. */
static uint32_t number(const struct kg_map *classes, const char *key)
{
	uint64_t hash = kg_hash64(key, strlen(key));
	uint32_t id = (uint32_t)(hash ^ hash >> 32);
	struct kg_map_entry *e;
	bool taken = true;

	while (taken || !id) {
		taken = false;
		for (size_t i = 0; (e = kg_map_next(classes, &i));)
			taken = taken || ((struct class *)e->value)->id == id;
		id += taken || !id;
	}
	return id;
}

static struct class *make_class(
	struct kg_map *classes, const char *key, const struct pod *p, enum kg_policy_direction d)
{
	struct class *c = kg_alloc(sizeof(*c));

	c->id = number(classes, key);
	c->entries = kg_alloc(p->n * sizeof(struct entry *));
	for (size_t i = 0; i < p->n; i++) {
		if (p->entries[i]->now->of[d].restricts)
			c->entries[c->n++] = p->entries[i];
	}
	kg_map_put(classes, key, c);
	return c;
}

static struct class *class_of(
	struct kg_policies_plan *plan, const struct pod *p, enum kg_policy_direction d)
{
	KG_AUTOBUF struct kg_buf key = KG_BUF_INIT;

	for (size_t i = 0; i < p->n; i++) {
		if (p->entries[i]->now->of[d].restricts)
			kg_buf_addf(&key, "%s\n", p->entries[i]->key);
	}
	if (!key.len)
		return NULL;
	struct class *c = kg_map_get(&plan->classes[d], key.data);
	return c ? c : make_class(&plan->classes[d], key.data, p, d);
}

static void classify(struct kg_policies_plan *plan, struct pod *p)
{
	for (int d = 0; d < KG_POLICY_DIRECTIONS; d++) {
		struct class *c = class_of(plan, p, (enum kg_policy_direction)d);

		if (c)
			c->refs++;
		if (p->class[d])
			p->class[d]->refs--;
		p->class[d] = c;
	}
}

static bool names_changed_peers(
	const struct kg_policies_plan *plan, const struct kg_policy_rules *of)
{
	for (uint32_t i = 0; plan->changed_peers.count && i < of->n; i++) {
		for (uint32_t k = 0; k < of->rules[i].npeers; k++) {
			if (kg_map_has(&plan->changed_peers, of->rules[i].peers[k]))
				return true;
		}
	}
	return false;
}

static bool is_stale(const struct kg_policies_plan *plan, const struct class *c, int d)
{
	if (!c->made || !c->refs)
		return true;
	for (size_t i = 0; i < c->n; i++) {
		const struct entry *e = c->entries[i];

		if (e->changed || names_changed_peers(plan, &e->now->of[d]))
			return true;
	}
	return false;
}

static void remake(const struct kg_policies_plan *plan, struct class *c, enum kg_policy_direction d,
	struct kg_nft_elems *del, struct kg_nft_elems *add)
{
	const struct kg_policy **policies = kg_alloc((c->n + 1) * sizeof(*policies));
	struct kg_nft_elems want = {0};

	for (size_t i = 0; i < c->n && c->refs; i++)
		policies[i] = c->entries[i]->now;
	if (c->refs)
		c->overfull = !kg_policy_class_elements(
			&want, &c->open, d, c->id, policies, c->n, &plan->peers);
	kg_nft_elems_diff(del, add, &c->elems, &want);
	kg_nft_elems_release(&c->elems);
	c->elems = want;
	c->made = true;
	free(policies);
}

static void remake_classes(
	struct kg_policies_plan *plan, int d, struct kg_nft_elems *del, struct kg_nft_elems *add)
{
	KG_AUTOFREE struct kg_map_entry **all = kg_map_sorted(&plan->classes[d]);
	size_t n = plan->classes[d].count;

	for (size_t i = 0; i < n; i++) {
		struct class *c = all[i]->value;

		if (!is_stale(plan, c, d))
			continue;
		remake(plan, c, (enum kg_policy_direction)d, del, add);
		if (!c->refs) {
			kg_map_remove(&plan->classes[d], all[i]->key);
			free_class(c);
		}
	}
}

/* ---- elements of pods ---- */

static void add_pod(struct kg_nft_elems *out, const struct pod *p)
{
	uint32_t addr = htonl(p->addr);
	bool any = false;

	for (unsigned d = 0; d < KG_POLICY_DIRECTIONS; d++) {
		if (!p->class_key[d])
			continue;
		struct kg_nft_elem *e = kg_nft_elems_add(out, d * KG_POLICY_SETS + KG_POLICY_PODS);
		memcpy(e->key, &addr, 4);
		memcpy(e->data, &p->class_key[d], 4);
		any = true;
	}
	if (!any)
		return;
	struct kg_nft_elem *e = kg_nft_elems_add(out, KG_POLICY_SELF);
	memcpy(e->key, &addr, 4);
	memcpy(e->key + 4, &addr, 4);
}

static void settle_pods(
	struct kg_policies_plan *plan, struct kg_nft_elems *have, struct kg_nft_elems *want)
{
	char key[9];

	for (size_t i = 0; i < plan->ndirty; i++) {
		struct pod *p = plan->dirty[i];

		add_pod(have, p);
		for (int d = 0; d < KG_POLICY_DIRECTIONS; d++)
			p->class_key[d] = p->class[d] && !p->class[d]->open ? p->class[d]->id : 0;
		add_pod(want, p);
		p->dirty = false;
		if (p->n)
			continue;
		snprintf(key, sizeof(key), "%08x", p->addr);
		kg_map_remove(&plan->pods, key);
		free_pod(p);
	}
	plan->ndirty = 0;
}

/* ---- the whole ---- */

static void settle_entries(struct kg_policies_plan *plan)
{
	KG_AUTOFREE struct kg_map_entry **all = kg_map_sorted(&plan->policies);
	size_t n = plan->policies.count;

	for (size_t i = 0; i < n; i++) {
		struct entry *e = all[i]->value;

		kg_policy_free(e->before);
		e->before = NULL;
		e->changed = false;
		if (e->now)
			continue;
		kg_map_remove(&plan->policies, all[i]->key);
		free(e);
	}
	kg_map_clear(&plan->changed_peers);
}

void kg_policies_plan_commit(
	struct kg_policies_plan *plan, struct kg_nft_elems *del, struct kg_nft_elems *add)
{
	struct kg_nft_elems have = {0}, want = {0};
	struct kg_map_entry *e;
	bool gone = false;

	for (size_t i = 0; (e = kg_map_next(&plan->policies, &i));) {
		struct entry *entry = e->value;

		if (entry->changed)
			note_entry(plan, entry);
		gone = gone || entry->changed;
	}
	for (size_t i = 0; i < plan->ndirty; i++)
		classify(plan, plan->dirty[i]);
	for (int d = 0; d < KG_POLICY_DIRECTIONS; d++)
		remake_classes(plan, d, del, add);
	settle_pods(plan, &have, &want);
	kg_nft_elems_sort(&have);
	kg_nft_elems_sort(&want);
	kg_nft_elems_diff(del, add, &have, &want);
	kg_nft_elems_release(&have);
	kg_nft_elems_release(&want);
	kg_nft_elems_sort(del);
	kg_nft_elems_sort(add);
	if (gone)
		settle_entries(plan);
	kg_map_clear(&plan->changed_peers);
}

void kg_policies_plan_all(const struct kg_policies_plan *plan, struct kg_nft_elems *out)
{
	struct kg_map_entry *e;

	for (int d = 0; d < KG_POLICY_DIRECTIONS; d++) {
		for (size_t i = 0; (e = kg_map_next(&plan->classes[d], &i));)
			kg_nft_elems_copy(out, &((struct class *)e->value)->elems);
	}
	for (size_t i = 0; (e = kg_map_next(&plan->pods, &i));)
		add_pod(out, e->value);
}

size_t kg_policies_plan_overfull(const struct kg_policies_plan *plan)
{
	struct kg_map_entry *e;
	size_t n = 0;

	for (int d = 0; d < KG_POLICY_DIRECTIONS; d++) {
		for (size_t i = 0; (e = kg_map_next(&plan->classes[d], &i));)
			n += ((struct class *)e->value)->overfull;
	}
	return n;
}

/* ---- what the packet filter would say ---- */

static bool in_box(const struct kg_nft_elem *e, uint32_t addr, uint8_t protocol, uint16_t port)
{
	uint32_t net = htonl(addr);
	uint16_t p = htons(port);

	return memcmp(e->key + 4, &net, 4) <= 0 && memcmp(e->end.addr, &net, 4) >= 0 &&
	       e->key[8] <= protocol && e->end.protocol >= protocol &&
	       memcmp(e->key + 12, &p, 2) <= 0 && memcmp(e->end.port, &p, 2) >= 0;
}

static bool class_allows(
	const struct class *c, unsigned sets, uint32_t addr, const struct kg_policy_flow *flow)
{
	struct kg_nft_elem key = {.set = (uint8_t)(sets + KG_POLICY_PEERS)};
	uint32_t net = htonl(addr);
	uint16_t port = htons(flow->port);

	memcpy(key.key, &c->id, 4);
	memcpy(key.key + 4, &net, 4);
	if (kg_nft_elems_find(&c->elems, &key))
		return true;
	key.set = (uint8_t)(sets + KG_POLICY_PORTS);
	key.key[8] = flow->protocol;
	memcpy(key.key + 12, &port, 2);
	if (kg_nft_elems_find(&c->elems, &key))
		return true;
	for (size_t i = c->elems.n; i > 0; i--) { /* ranges come last */
		if (c->elems.items[i - 1].set != sets + KG_POLICY_RANGES)
			break;
		if (in_box(&c->elems.items[i - 1], addr, flow->protocol, flow->port))
			return true;
	}
	return false;
}

bool kg_policies_plan_allows(const struct kg_policies_plan *plan, const struct kg_policy_flow *flow)
{
	const struct pod *from = find_pod(plan, flow->src), *to = find_pod(plan, flow->dst);

	if (flow->src == flow->dst)
		return true;
	if (from && from->class_key[KG_POLICY_OUT] &&
		!class_allows(from->class[KG_POLICY_OUT], KG_POLICY_SETS, flow -> dst, flow))
		return false;
	return !to || !to->class_key[KG_POLICY_IN] ||
	       class_allows(to->class[KG_POLICY_IN], 0, flow -> src, flow);
}
