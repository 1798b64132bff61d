/* Tables (meta.k8s.io Table): what `kubectl get` prints, from the kind's columns. */
#include "api/table.h"

#include "api/internal.h"
#include "api/request.h"
#include "value/json.h"

#include <inttypes.h>

static void write_column(struct kg_buf *out, const struct kg_column *c)
{
	kg_buf_adds(out, "{\"name\":");
	kg_api_write_str(out, c->name);
	kg_api_write_member(out, "type", c->type ? c->type : "string");
	kg_api_write_member(out, "format", c->format ? c->format : "");
	kg_api_write_member(out, "description", c->doc ? c->doc : "");
	kg_buf_addf(out, ",\"priority\":%d}", c->priority);
}

void kg_api_table_open(struct kg_buf *out, const struct request *r, bool headers)
{
	kg_buf_addf(out,
		"{\"kind\":\"Table\",\"apiVersion\":\"meta.k8s.io/%s\",\"columnDefinitions\":[",
		r->form_version);
	for (const struct kg_column *c = r->columns; headers && c && c->name; c++) {
		if (c != r->columns)
			kg_buf_addc(out, ',');
		write_column(out, c);
	}
	kg_buf_adds(out, "],\"rows\":[");
}

static void write_cell(struct kg_buf *out, const struct kg_column *c, const struct kg_value *v)
{
	bool text = !c->type || !strcmp(c->type, "string");

	if (kg_is_null(v))
		kg_buf_adds(out, text ? "\"<none>\"" : "0");
	else
		kg_json_write(out, v);
}

void kg_api_table_cells(struct kg_buf *out, const struct request *r, const struct kg_object *obj,
	struct kg_arena *scratch)
{
	kg_time now = kg_api_now(r->api);

	kg_buf_adds(out, "\"cells\":[");
	for (const struct kg_column *c = r->columns; c && c->name; c++) {
		struct kg_value v;

		if (c != r->columns)
			kg_buf_addc(out, ',');
		v = c->cell ? c->cell(scratch, obj, now) : *kg_at(kg_obj(obj), c->path);
		write_cell(out, c, &v);
	}
	kg_buf_addc(out, ']');
}

void kg_api_table_row(struct kg_buf *out, const struct request *r, const struct kg_object *obj,
	uint64_t revision, struct kg_arena *scratch)
{
	kg_buf_addc(out, '{');
	kg_api_table_cells(out, r, obj, scratch);
	if (r->include == 'M') {
		kg_buf_adds(out, ",\"object\":");
		kg_api_write_partial(out, obj, revision, r->form_version);
	} else if (r->include == 'O') {
		kg_buf_adds(out, ",\"object\":");
		kg_api_write_object(out, obj, revision);
	}
	kg_buf_addc(out, '}');
}

void kg_api_table_close(struct kg_buf *out, uint64_t revision)
{
	kg_buf_addf(out, "],\"metadata\":{\"resourceVersion\":\"%" PRIu64 "\"}}", revision);
}
