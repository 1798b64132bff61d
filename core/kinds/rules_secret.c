/* Rules of Secret and ServiceAccount. No message here holds a value. */
#include "base/hash.h"
#include "kinds/tables.h"
#include "value/json.h"

enum { SECRET_MAX = 1024 * 1024 };

/* stringData is another way of writing data. */
struct kg_value kg_default_secret(struct kg_arena *a, const struct kg_value *v)
{
	const struct kg_value *texts = kg_get(v, "stringData");
	struct kg_value data = *kg_get(v, "data");

	if (!kg_len(texts))
		return *v;
	for (uint32_t i = 0; i < texts->len; i++) {
		const struct kg_member *m = &texts->members[i];
		if (m->value.type != KG_STRING)
			return *v;
		KG_AUTOFREE char *coded = kg_base64_encode(m->value.s, m->value.len);
		data = kg_with_key(a, &data, m->key, kg_v_str(a, coded));
	}
	struct kg_value out = kg_with(a, v, "data", data);
	return kg_with(a, &out, "stringData", kg_v_null());
}

/* ---- what the types ask for ---- */

static void require_key(
	struct kg_fault_list *f, const struct kg_value *v, const char *path, const char *key)
{
	if (kg_is_null(kg_get(kg_get(v, "data"), key)))
		kg_rule(f, path, kg_arena_printf(f->arena, "data[%s]", key),
			"Required value: a Secret of type %s has it",
			kg_string(kg_get(v, "type"), ""));
}

static void require_json(
	struct kg_fault_list *f, const struct kg_value *v, const char *path, const char *key)
{
	const struct kg_value *coded = kg_get(kg_get(v, "data"), key);
	struct kg_arena scratch = KG_ARENA_INIT;
	struct kg_error err;
	struct kg_value parsed;
	size_t n;

	require_key(f, v, path, key);
	if (kg_is_null(coded))
		return;
	KG_AUTOFREE unsigned char *text = kg_base64_decode(coded->s, coded->len, &n);
	if (text && kg_json_parse(&parsed, &scratch, (const char *)text, n, &err))
		kg_rule(f, path, kg_arena_printf(f->arena, "data[%s]", key),
			"Invalid value: <secret contents redacted>: must be JSON");
	kg_arena_release(&scratch);
}

static void validate_type(struct kg_fault_list *f, const struct kg_value *v, const char *path)
{
	const char *type = kg_string(kg_get(v, "type"), "");
	const struct kg_value *data = kg_get(v, "data");

	if (!strcmp(type, "kubernetes.io/dockerconfigjson"))
		require_json(f, v, path, ".dockerconfigjson");
	if (!strcmp(type, "kubernetes.io/dockercfg"))
		require_json(f, v, path, ".dockercfg");
	if (!strcmp(type, "kubernetes.io/ssh-auth"))
		require_key(f, v, path, "ssh-privatekey");
	if (!strcmp(type, "kubernetes.io/tls")) {
		require_key(f, v, path, "tls.crt");
		require_key(f, v, path, "tls.key");
	}
	if (!strcmp(type, "kubernetes.io/basic-auth") && kg_is_null(kg_get(data, "username")) &&
		kg_is_null(kg_get(data, "password"))) {
		require_key(f, v, path, "username");
		require_key(f, v, path, "password");
	}
	if (!strcmp(type, "kubernetes.io/service-account-token") &&
		kg_is_null(kg_get(
			kg_at(v, "metadata.annotations"), "kubernetes.io/service-account.name")))
		kg_rule(f, path, "metadata.annotations[kubernetes.io/service-account.name]",
			"Required value: the ServiceAccount that the token is of");
	else if (!strcmp(type, "kubernetes.io/service-account-token") &&
		 kg_is_null(kg_get(data, "token")))
		kg_rule_warn(f, path, "type", "nothing in kgit fills in the token");
}

void kg_validate_secret(struct kg_fault_list *f, const struct kg_value *v, const char *path)
{
	const struct kg_value *data = kg_get(v, "data");
	size_t total = 0;

	kg_rule_object_meta(f, v, path, kg_check_dns_subdomain);
	for (uint32_t i = 0; i < kg_len(data); i++)
		total += data->members[i].value.len / 4 * 3;
	if (total > SECRET_MAX)
		kg_rule(f, path, "data", "Too long: must have at most %d bytes", SECRET_MAX);
	validate_type(f, v, path);
	kg_rule_warn(f, path, "kind",
		"the values of this Secret are in plain text in git: whoever can read the "
		"repository, or ever could, can read them");
}

void kg_update_secret(struct kg_fault_list *f, const struct kg_value *before,
	const struct kg_value *after, const char *path)
{
	static const char *const fields[] = {"immutable", "data", NULL};

	kg_rule_sealed(f, before, after, path, fields);
}

/* ---- ServiceAccount ---- */

void kg_validate_serviceaccount(struct kg_fault_list *f, const struct kg_value *v, const char *path)
{
	kg_rule_object_meta(f, v, path, kg_check_dns_subdomain);
}
