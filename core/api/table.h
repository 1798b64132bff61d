/* Tables: rows of cells instead of objects. */
#ifndef KG_API_TABLE_H
#define KG_API_TABLE_H

#include "kinds/object.h"

struct request;

void kg_api_table_open(
	struct kg_buf *out, const struct request *r, bool headers); /* up to rows:[ */
/* "cells":[...] of the request's columns. */
void kg_api_table_cells(struct kg_buf *out, const struct request *r, const struct kg_object *obj,
	struct kg_arena *scratch);
void kg_api_table_row(struct kg_buf *out, const struct request *r, const struct kg_object *obj,
	uint64_t revision, struct kg_arena *scratch);
void kg_api_table_close(struct kg_buf *out, uint64_t revision);

#endif
