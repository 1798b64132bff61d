/* Label and field selectors of a query: any bytes are a selector or an error, and what was parsed
 * can be matched. */
#include "api/selector.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct kg_object *object(void)
{
	struct kg_arena a = KG_ARENA_INIT;
	struct kg_value labels =
		kg_v_obj(&a, "app", kg_v_lit("web"), "n", kg_v_lit("7"), (char *)NULL);
	struct kg_value md = kg_v_obj(&a, "name", kg_v_lit("p"), "namespace", kg_v_lit("d"),
		"labels", labels, (char *)NULL);
	struct kg_value v = kg_v_obj(&a, "metadata", md, (char *)NULL);
	struct kg_object *obj = kg_object_new(&(struct kg_object_spec){
		.kind = &kg_kinds[KG_KIND_POD], .ns = "d", .name = "p", .value = &v});

	kg_arena_release(&a);
	return obj;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct kg_object *obj;
	struct kg_arena a = KG_ARENA_INIT;
	struct selector sel = {0};
	struct kg_error err;

	if (!obj)
		obj = object();
	const char *text = kg_arena_strndup(&a, (const char *)data, size);

	if (!kg_api_label_selector_parse(&sel, &a, text, &err))
		kg_api_selector_matches(&sel, obj);
	sel = (struct selector){0};
	if (!kg_api_field_selector_parse(&sel, &a, obj->kind, text, &err))
		kg_api_selector_matches(&sel, obj);
	kg_arena_release(&a);
	return 0;
}
