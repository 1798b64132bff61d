/* Columns of PriorityClass, ResourceQuota, LimitRange and RuntimeClass. */
#include "kinds/columns.h"

static struct kg_value cell_value(struct kg_arena *a, const struct kg_object *obj, kg_time now)
{
	(void)a, (void)now;
	return kg_cell_int(kg_get(kg_obj(obj), "value"));
}

static struct kg_value cell_global(struct kg_arena *a, const struct kg_object *obj, kg_time now)
{
	(void)a, (void)now;
	return kg_v_bool(kg_bool(kg_get(kg_obj(obj), "globalDefault"), false));
}

static struct kg_value cell_preemption(struct kg_arena *a, const struct kg_object *obj, kg_time now)
{
	(void)a, (void)now;
	return kg_v_lit(kg_string(kg_get(kg_obj(obj), "preemptionPolicy"), "PreemptLowerPriority"));
}

const struct kg_column kg_columns_priorityclass[] = {
	KG_COLUMN_NAME,
	KG_COLUMN("Value", "integer", 0, cell_value, "The pods' priority."),
	KG_COLUMN("Global-Default", "boolean", 0, cell_global,
		"Whether pods that name no class are of this one."),
	KG_COLUMN_AGE,
	KG_COLUMN("PreemptionPolicy", "string", 0, cell_preemption,
		"Whether others give way to the pods."),
	{.name = NULL},
};

/* ---- ResourceQuota: "pods: 3/10, requests.cpu: 1/4" ---- */

static struct kg_value uses(struct kg_arena *a, const struct kg_object *obj, bool limits)
{
	const struct kg_value *hard = kg_at(kg_obj(obj), "status.hard");
	const struct kg_value *used = kg_at(kg_obj(obj), "status.used");
	KG_AUTOBUF struct kg_buf b = KG_BUF_INIT;

	for (uint32_t i = 0; i < kg_len(hard); i++) {
		const struct kg_member *m = &hard->members[i];
		if (!strncmp(m->key, "limits.", 7) != limits)
			continue;
		kg_buf_addf(&b, "%s%s: %s/%s", b.len ? ", " : "", m->key,
			kg_string(kg_get(used, m->key), "0"), kg_string(&m->value, ""));
	}
	return kg_v_strn(a, kg_buf_str(&b), b.len);
}

static struct kg_value cell_requests(struct kg_arena *a, const struct kg_object *obj, kg_time now)
{
	(void)now;
	return uses(a, obj, false);
}

static struct kg_value cell_limits(struct kg_arena *a, const struct kg_object *obj, kg_time now)
{
	(void)now;
	return uses(a, obj, true);
}

const struct kg_column kg_columns_resourcequota[] = {
	KG_COLUMN_NAME,
	KG_COLUMN("Request", "string", 0, cell_requests, "What is used of what may be requested."),
	KG_COLUMN("Limit", "string", 0, cell_limits, "What is used of what limits may sum up to."),
	KG_COLUMN_AGE,
	{.name = NULL},
};

/* ---- LimitRange, RuntimeClass ---- */

const struct kg_column kg_columns_limitrange[] = {
	KG_COLUMN_NAME,
	KG_COLUMN_CREATED,
	{.name = NULL},
};

static struct kg_value cell_handler(struct kg_arena *a, const struct kg_object *obj, kg_time now)
{
	(void)a, (void)now;
	return kg_v_lit(kg_string(kg_get(kg_obj(obj), "handler"), ""));
}

const struct kg_column kg_columns_runtimeclass[] = {
	KG_COLUMN_NAME,
	KG_COLUMN("Handler", "string", 0, cell_handler, "The runtime's name on the nodes."),
	KG_COLUMN_AGE,
	{.name = NULL},
};
