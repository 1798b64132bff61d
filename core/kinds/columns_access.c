/* Columns of Secret, ServiceAccount, roles and bindings. */
#include "kinds/columns.h"

static struct kg_value cell_type(struct kg_arena *a, const struct kg_object *obj, kg_time now)
{
	(void)a, (void)now;
	return kg_v_lit(kg_string(kg_get(kg_obj(obj), "type"), ""));
}

static struct kg_value cell_data(struct kg_arena *a, const struct kg_object *obj, kg_time now)
{
	(void)a, (void)now;
	return kg_v_int(kg_len(kg_get(kg_obj(obj), "data")));
}

const struct kg_column kg_columns_secret[] = {
	KG_COLUMN_NAME,
	KG_COLUMN("Type", "string", 0, cell_type, "What its keys are."),
	KG_COLUMN("Data", "string", 0, cell_data, "How many keys it has."),
	KG_COLUMN_AGE,
	{.name = NULL},
};

static struct kg_value cell_secrets(struct kg_arena *a, const struct kg_object *obj, kg_time now)
{
	(void)a, (void)now;
	return kg_v_int(kg_len(kg_get(kg_obj(obj), "secrets")));
}

const struct kg_column kg_columns_serviceaccount[] = {
	KG_COLUMN_NAME,
	KG_COLUMN("Secrets", "string", 0, cell_secrets, "How many Secrets its pods may use."),
	KG_COLUMN_AGE,
	{.name = NULL},
};

/* ---- roles ---- */

const struct kg_column kg_columns_role[] = {
	KG_COLUMN_NAME,
	KG_COLUMN_CREATED,
	{.name = NULL},
};
const struct kg_column kg_columns_clusterrole[] = {
	KG_COLUMN_NAME,
	KG_COLUMN_CREATED,
	{.name = NULL},
};

/* ---- bindings ---- */

static struct kg_value cell_role(struct kg_arena *a, const struct kg_object *obj, kg_time now)
{
	const struct kg_value *ref = kg_get(kg_obj(obj), "roleRef");

	(void)now;
	return kg_v_strf(
		a, "%s/%s", kg_string(kg_get(ref, "kind"), ""), kg_string(kg_get(ref, "name"), ""));
}

/* "a, b"; accounts as NAMESPACE/NAME. */
static struct kg_value subjects(struct kg_arena *a, const struct kg_object *obj, const char *kind)
{
	const struct kg_value *list = kg_get(kg_obj(obj), "subjects");
	bool account = !strcmp(kind, "ServiceAccount");
	KG_AUTOBUF struct kg_buf b = KG_BUF_INIT;

	for (uint32_t i = 0; i < kg_len(list); i++) {
		const struct kg_value *s = &list->items[i];
		if (strcmp(kg_string(kg_get(s, "kind"), ""), kind) != 0)
			continue;
		kg_buf_adds(&b, b.len ? ", " : "");
		if (account)
			kg_buf_addf(&b, "%s/", kg_string(kg_get(s, "namespace"), ""));
		kg_buf_adds(&b, kg_string(kg_get(s, "name"), ""));
	}
	return kg_v_strn(a, kg_buf_str(&b), b.len);
}

static struct kg_value cell_users(struct kg_arena *a, const struct kg_object *obj, kg_time now)
{
	(void)now;
	return subjects(a, obj, "User");
}

static struct kg_value cell_groups(struct kg_arena *a, const struct kg_object *obj, kg_time now)
{
	(void)now;
	return subjects(a, obj, "Group");
}

static struct kg_value cell_accounts(struct kg_arena *a, const struct kg_object *obj, kg_time now)
{
	(void)now;
	return subjects(a, obj, "ServiceAccount");
}

#define BINDING_COLUMNS                                                                            \
	KG_COLUMN_NAME, KG_COLUMN("Role", "string", 0, cell_role, "What they may."),               \
		KG_COLUMN_AGE, KG_COLUMN("Users", "string", 1, cell_users, "Users who may."),      \
		KG_COLUMN("Groups", "string", 1, cell_groups, "Groups that may."),                 \
		KG_COLUMN("ServiceAccounts", "string", 1, cell_accounts,                           \
			"ServiceAccounts that may."),                                              \
	{                                                                                          \
		.name = NULL                                                                       \
	}

const struct kg_column kg_columns_rolebinding[] = {BINDING_COLUMNS};
const struct kg_column kg_columns_clusterrolebinding[] = {BINDING_COLUMNS};
