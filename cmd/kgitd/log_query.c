#include "kgitd/log_query.h"

#include "base/time.h"
#include "value/json.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* The numbers of the query: what the node calls them, and the least that makes sense. */
static const struct number {
	const char *query, *key;
	int64_t least;
} numbers[] = {
	{"tailLines", "tail", 0},
	{"sinceSeconds", "sinceSeconds", 1},
	{"limitBytes", "limitBytes", 1},
};

/* NULL where it is absent or empty. */
static const char *given(const struct kg_http_req *req, const char *name)
{
	const char *text = kg_http_query(req, name);

	return text && *text ? text : NULL;
}

static int check_number(const struct kg_http_req *req, const struct number *n, struct kg_error *err)
{
	const char *text = given(req, n->query);
	char *end;

	if (!text)
		return 0;
	errno = 0;
	long long value = strtoll(text, &end, 10);
	if (*end || errno || strchr(" +", *text))
		return kg_fail(err, KG_E_BAD_REQUEST,
			"%s: Invalid value: \"%.100s\": must be a whole number", n->query, text);
	if (value < n->least)
		return kg_fail(err, KG_E_INVALID, "%s: Invalid value: %lld: must be %s", n->query,
			value, n->least ? "greater than 0" : "greater than or equal to 0");
	return 0;
}

static int check_times(const struct kg_http_req *req, struct kg_error *err)
{
	const char *since = given(req, "sinceTime");
	kg_time at;

	if (since && given(req, "sinceSeconds"))
		return kg_fail(err, KG_E_INVALID,
			"at most one of `sinceTime` or `sinceSeconds` may be specified");
	if (since && kg_time_parse(&at, since) < 0)
		return kg_fail(err, KG_E_BAD_REQUEST,
			"sinceTime: Invalid value: \"%.100s\": must be a time as RFC 3339 has it: "
			"2026-01-31T12:00:00Z",
			since);
	return 0;
}

static int check_container(const struct kg_object *pod, const char *name, struct kg_error *err)
{
	const struct kg_value *cs = kg_at(kg_obj(pod), "spec.containers");
	const struct kg_value *inits = kg_at(kg_obj(pod), "spec.initContainers");

	if (!name) {
		struct kg_buf names KG_AUTOBUF = KG_BUF_INIT;

		if (kg_len(cs) <= 1)
			return 0;
		for (uint32_t i = 0; i < kg_len(cs); i++)
			kg_buf_addf(&names, "%s%s", i ? " " : "",
				kg_string(kg_get(&cs->items[i], "name"), ""));
		return kg_fail(err, KG_E_BAD_REQUEST,
			"a container name must be specified for pod %s, choose one of: [%s]",
			pod->name, kg_buf_str(&names));
	}
	if (kg_is_null(kg_find(cs, "name", name)) && kg_is_null(kg_find(inits, "name", name)))
		return kg_fail(err, KG_E_BAD_REQUEST, "container %s is not valid for pod %s", name,
			pod->name);
	return 0;
}

int kgd_log_check(const struct kg_http_req *req, const struct kg_object *pod, struct kg_error *err)
{
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < KG_ARRAY_LEN(numbers); i++)
		rc = check_number(req, &numbers[i], err);
	if (rc == 0)
		rc = check_times(req, err);
	if (rc == 0)
		rc = check_container(pod, given(req, "container"), err);
	if (rc == 0 && !*kg_string(kg_at(kg_obj(pod), "spec.nodeName"), ""))
		rc = kg_fail(
			err, KG_E_BAD_REQUEST, "pod %s does not have a host assigned", pod->name);
	return rc;
}

void kgd_log_line(struct kg_buf *out, const struct kg_http_req *req, const char *id,
	const struct kg_object *pod)
{
	struct kg_arena a KG_CLEANUP(kg_arena_release) = KG_ARENA_INIT;
	const char *since = given(req, "sinceTime"), *container = given(req, "container");
	struct kg_value v = kg_v_obj(&a, "id", kg_v_lit(id), "namespace", kg_v_lit(pod->ns), "pod",
		kg_v_lit(pod->name), "uid", kg_v_lit(kg_object_uid(pod)), "container",
		container ? kg_v_lit(container) : kg_v_null(), "follow",
		kg_v_bool(kg_http_query_bool(req, "follow")), "timestamps",
		kg_v_bool(kg_http_query_bool(req, "timestamps")), "previous",
		kg_v_bool(kg_http_query_bool(req, "previous")), "sinceTime",
		since ? kg_v_lit(since) : kg_v_null(), (char *)NULL);

	for (size_t i = 0; i < KG_ARRAY_LEN(numbers); i++) {
		const char *text = given(req, numbers[i].query);

		if (text)
			v = kg_with_key(&a, &v, numbers[i].key, kg_v_int(strtoll(text, NULL, 10)));
	}
	struct kg_value line = kg_v_obj(&a, "log", v, (char *)NULL);
	kg_json_write(out, &line);
	kg_buf_addc(out, '\n');
}
