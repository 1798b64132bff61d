/* For tests: values of text, and text of values. What cannot be read fails the test. */
#ifndef KG_VALUE_TESTING_H
#define KG_VALUE_TESTING_H

#include "value/json.h"
#include "value/yaml.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
/* cmocka wants those first */
#include <cmocka.h>

static inline struct kg_value kg_test_yaml(struct kg_arena *a, const char *text)
{
	struct kg_value v = kg_v_null();
	struct kg_error err;

	if (kg_yaml_load(&v, a, text, strlen(text), &err) < 0)
		fail_msg("%s: %s", text, err.msg);
	return v;
}

static inline struct kg_value kg_test_json(struct kg_arena *a, const char *text)
{
	struct kg_value v = kg_v_null();
	struct kg_error err;

	if (kg_json_parse(&v, a, text, strlen(text), &err) < 0)
		fail_msg("%s: %s", text, err.msg);
	return v;
}

static inline void kg_assert_json(const struct kg_value *v, const char *want)
{
	KG_AUTOBUF struct kg_buf b = KG_BUF_INIT;

	kg_json_write(&b, v);
	assert_string_equal(kg_buf_str(&b), want);
}

#endif
