/* JSON in and out. Reading is jansson's; writing is our own, since it serves every list. */
#ifndef KG_VALUE_JSON_H
#define KG_VALUE_JSON_H

#include "value/value.h"

/* One JSON text into an arena. Bounds: depth 100, integers as int64 (larger become floats);
 * nulls in objects are dropped, duplicate keys and trailing bytes refused (KG_E_BAD_REQUEST with
 * line and column). */
int kg_json_parse(struct kg_value *out, struct kg_arena *a, const char *text, size_t len,
	struct kg_error *err);
void kg_json_write(struct kg_buf *out, const struct kg_value *v);        /* compact */
void kg_json_write_pretty(struct kg_buf *out, const struct kg_value *v); /* 4 spaces */
void kg_json_write_string(struct kg_buf *out, const char *s, size_t n);  /* quoted, escaped */

#endif
