/* Rules of volumes. */
#include "base/map.h"
#include "kinds/tables.h"

struct kg_value kg_default_volume(struct kg_arena *a, const struct kg_value *v)
{
	for (uint32_t i = 0; i < kg_len(v); i++) {
		if (strcmp(v->members[i].key, "name") != 0)
			return *v;
	}
	return kg_with(a, v, "emptyDir", kg_v_object(a, NULL, 0));
}

/* How many members but `beside` an object has. */
static int count_others(const struct kg_value *v, const char *beside)
{
	int n = 0;

	for (uint32_t i = 0; i < kg_len(v); i++)
		n += strcmp(v->members[i].key, beside) != 0;
	return n;
}

void kg_validate_volume(struct kg_fault_list *f, const struct kg_value *v, const char *path)
{
	bool first = true;

	for (uint32_t i = 0; i < kg_len(v); i++) {
		const struct kg_member *m = &v->members[i];
		if (!strcmp(m->key, "name"))
			continue;
		if (!first)
			kg_rule(f, path, m->key,
				"Forbidden: may not specify more than 1 volume type");
		first = false;
		/* Several keys in one file: the last wins. */
		kg_rule_unique(f, kg_get(&m->value, "items"), "path",
			kg_rule_path(f, path, "%s.items", m->key), true);
	}
}

void kg_validate_downward_file(struct kg_fault_list *f, const struct kg_value *v, const char *path)
{
	bool field = !kg_is_null(kg_get(v, "fieldRef"));
	const struct kg_value *resource = kg_get(v, "resourceFieldRef");

	if (field && !kg_is_null(resource))
		kg_rule(f, path, "",
			"Invalid value: fieldRef and resourceFieldRef can not be specified "
			"simultaneously");
	else if (!field && kg_is_null(resource))
		kg_rule(f, path, "",
			"Required value: one of fieldRef and resourceFieldRef is required");
	if (!kg_is_null(resource) && kg_is_null(kg_get(resource, "containerName")))
		kg_rule(f, path, "resourceFieldRef.containerName",
			"Required value: the container whose resource it is");
}

/* Files of several sources; those of one are looked at with it. */
void kg_validate_projected(struct kg_fault_list *f, const struct kg_value *v, const char *path)
{
	static const char *const lists[] = {"configMap", "secret", "downwardAPI"};
	KG_CLEANUP(kg_map_release) struct kg_map seen = KG_MAP_INIT;
	const struct kg_value *sources = kg_get(v, "sources");

	for (uint32_t i = 0; i < kg_len(sources); i++) {
		for (size_t l = 0; l < KG_ARRAY_LEN(lists); l++) {
			const struct kg_value *items =
				kg_get(kg_get(&sources->items[i], lists[l]), "items");
			for (uint32_t j = 0; j < kg_len(items); j++) {
				const struct kg_value *file = kg_get(&items->items[j], "path");
				const char *name = kg_string(file, "");
				if (*name && kg_map_has(&seen, name))
					kg_rule(f, path,
						kg_arena_printf(f->arena,
							"sources[%u].%s.items[%u].path", i,
							lists[l], j),
						"Invalid value: %s: conflicting duplicate paths",
						kg_rule_show(f->arena, file));
				kg_map_put(&seen, name, &seen);
			}
		}
	}
}

void kg_validate_projection(struct kg_fault_list *f, const struct kg_value *v, const char *path)
{
	if (count_others(v, "") > 1)
		kg_rule(f, path, "",
			"Forbidden: may not specify more than 1 volume type per source");
	else if (!kg_len(v))
		kg_rule(f, path, "", "Required value: must specify a source");
}
