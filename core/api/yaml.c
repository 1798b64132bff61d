/* Answers as YAML, made of the JSON that we write: people ask for it, few and seldom. */
#include "value/yaml.h"
#include "api/reply.h"
#include "value/json.h"

void kg_api_yaml(struct kg_buf *out, const struct kg_buf *json)
{
	struct kg_arena a KG_CLEANUP(kg_arena_release) = KG_ARENA_INIT;
	struct kg_value v;
	struct kg_error err;

	/* It is JSON, which YAML includes. */
	if (kg_json_parse(&v, &a, json->data, json->len, &err))
		kg_buf_add(out, json->data, json->len);
	else
		kg_yaml_write(out, &v);
}

void kg_api_yaml_item(struct kg_buf *out, const struct kg_buf *json)
{
	KG_AUTOBUF struct kg_buf text = KG_BUF_INIT;

	kg_api_yaml(&text, json);
	for (const char *p = kg_buf_str(&text), *end; *p; p = end) {
		end = strchrnul(p, '\n');
		end += *end == '\n';
		if (*p != '\n')
			kg_buf_adds(out, p == text.data ? "- " : "  ");
		kg_buf_add(out, p, (size_t)(end - p));
	}
}
