#include "reconcile/sets.h"

#include "base/mem.h"

void kg_sets_add(struct kg_sets *s, const char *name, const char *member)
{
	struct kg_map *m = kg_map_get(&s->by_name, name);
	if (!m) {
		m = kg_alloc(sizeof(*m));
		kg_map_put(&s->by_name, name, m);
	}
	kg_map_put(m, member, s);
}

void kg_sets_remove(struct kg_sets *s, const char *name, const char *member)
{
	struct kg_map *m = kg_map_get(&s->by_name, name);
	if (!m)
		return;
	kg_map_remove(m, member);
	if (m->count)
		return;
	kg_map_remove(&s->by_name, name);
	kg_map_release(m);
	free(m);
}

const struct kg_map *kg_sets_get(const struct kg_sets *s, const char *name)
{
	return s->by_name.count ? kg_map_get(&s->by_name, name) : NULL;
}

void kg_sets_release(struct kg_sets *s)
{
	struct kg_map_entry *e;
	for (size_t i = 0; (e = kg_map_next(&s->by_name, &i));) {
		kg_map_release(e->value);
		free(e->value);
	}
	kg_map_release(&s->by_name);
}
