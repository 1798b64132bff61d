/* What the cells of tables are made with. Private to the room. */
#ifndef KG_KINDS_COLUMNS_H
#define KG_KINDS_COLUMNS_H

#include "kinds/object.h"
#include "kinds/tables.h"

typedef struct kg_value kg_cell_fn(struct kg_arena *a, const struct kg_object *obj, kg_time now);

#define NAME_DOC "The object's name, unique among its kind in its namespace."
#define AGE_DOC  "How long ago the object was made."
#define KG_COLUMN_NAME                                                                             \
	{                                                                                          \
		.name = "Name", .type = "string", .format = "name", .doc = NAME_DOC,               \
		.cell = kg_cell_name                                                               \
	}
#define KG_COLUMN_AGE                                                                              \
	{                                                                                          \
		.name = "Age", .type = "string", .format = "", .doc = AGE_DOC, .cell = kg_cell_age \
	}
#define KG_COLUMN(n, t, prio, fn, d)                                                               \
	{                                                                                          \
		.name = (n), .type = (t), .format = "", .doc = (d), .priority = (prio),            \
		.cell = (fn)                                                                       \
	}
#define KG_COLUMN_CREATED                                                                          \
	KG_COLUMN("Created At", "date", 0, kg_cell_created, "When the object was made.")

/* A cell function of the integer at a path, 0 where there is none. */
#define KG_INT_CELL(fn, path)                                                                      \
	static struct kg_value fn(struct kg_arena *a, const struct kg_object *obj, kg_time now)    \
	{                                                                                          \
		(void)a, (void)now;                                                                \
		return kg_cell_int(kg_at(kg_obj(obj), path));                                      \
	}
/* ... of the text at a path, or `none`. */
#define KG_TEXT_CELL(fn, path, none)                                                               \
	static struct kg_value fn(struct kg_arena *a, const struct kg_object *obj, kg_time now)    \
	{                                                                                          \
		(void)a, (void)now;                                                                \
		return kg_v_lit(kg_string(kg_at(kg_obj(obj), path), none));                        \
	}
#define KG_CONTAINER_COLUMNS                                                                       \
	KG_COLUMN("Containers", "string", 1, kg_cell_containers,                                   \
		"Names of each container in the template."),                                       \
		KG_COLUMN("Images", "string", 1, kg_cell_images,                                   \
			"Images referenced by each container in the template.")
#define KG_WORKLOAD_COLUMNS                                                                        \
	KG_CONTAINER_COLUMNS, KG_COLUMN("Selector", "string", 1, kg_cell_workload_selector,        \
				      "Which pods are its own.")

kg_cell_fn kg_cell_name, kg_cell_age, kg_cell_created;
/* "3m20s" since an RFC 3339 text; "<unknown>" where there is none. */
struct kg_value kg_cell_since(struct kg_arena *a, const struct kg_value *time, kg_time now);
/* A string, or "<none>" where it is absent or empty. */
struct kg_value kg_cell_or_none(const struct kg_value *v);
/* An integer, 0 where it is absent. */
struct kg_value kg_cell_int(const struct kg_value *v);
/* "a=1,b=2", "<none>" where empty: labels and plain selectors. */
struct kg_value kg_cell_labels(struct kg_arena *a, const struct kg_value *map);
/* A LabelSelector as kubectl writes it: "a=1,b in (x,y),!c". */
struct kg_value kg_cell_selector(struct kg_arena *a, const struct kg_value *selector);
/* One member of each item, joined with commas. */
struct kg_value kg_cell_joined(struct kg_arena *a, const struct kg_value *list, const char *key);
/* Names and images of a workload's containers, and its selector. */
kg_cell_fn kg_cell_containers, kg_cell_images, kg_cell_workload_selector;
kg_cell_fn kg_cell_ready_of; /* "2/3": status.readyReplicas of spec.replicas */

#endif
