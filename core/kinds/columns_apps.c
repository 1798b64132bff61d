/* Columns of Deployment and ReplicaSet. */
#include "kinds/columns.h"

#define INT_CELL(fn, path)                                                                         \
	static struct kg_value fn(struct kg_arena *a, const struct kg_object *obj, kg_time now)    \
	{                                                                                          \
		(void)a, (void)now;                                                                \
		return kg_cell_int(kg_at(kg_obj(obj), path));                                      \
	}
INT_CELL(cell_desired, "spec.replicas")
INT_CELL(cell_current, "status.replicas")
INT_CELL(cell_ready, "status.readyReplicas")
INT_CELL(cell_updated, "status.updatedReplicas")
INT_CELL(cell_available, "status.availableReplicas")

static struct kg_value cell_ready_of(struct kg_arena *a, const struct kg_object *obj, kg_time now)
{
	(void)now;
	return kg_v_strf(a, "%lld/%lld",
		(long long)kg_int(kg_at(kg_obj(obj), "status.readyReplicas"), 0),
		(long long)kg_int(kg_at(kg_obj(obj), "spec.replicas"), 0));
}

#define WORKLOAD_COLUMNS                                                                           \
	KG_COLUMN("Containers", "string", 1, kg_cell_containers,                                   \
		"Names of each container in the template."),                                       \
		KG_COLUMN("Images", "string", 1, kg_cell_images,                                   \
			"Images referenced by each container in the template."),                   \
		KG_COLUMN("Selector", "string", 1, kg_cell_workload_selector,                      \
			"Which pods are its own.")

const struct kg_column kg_columns_deployment[] = {
	KG_COLUMN_NAME,
	KG_COLUMN("Ready", "string", 0, cell_ready_of, "Number of the pod with ready state"),
	KG_COLUMN("Up-to-date", "string", 0, cell_updated,
		"How many pods are of the current template."),
	KG_COLUMN(
		"Available", "string", 0, cell_available, "How many pods were ready long enough."),
	KG_COLUMN_AGE,
	WORKLOAD_COLUMNS,
	{.name = NULL},
};

const struct kg_column kg_columns_replicaset[] = {
	KG_COLUMN_NAME,
	KG_COLUMN("Desired", "integer", 0, cell_desired, "How many pods there shall be."),
	KG_COLUMN("Current", "integer", 0, cell_current, "How many pods there are."),
	KG_COLUMN("Ready", "integer", 0, cell_ready, "How many pods are ready."),
	KG_COLUMN_AGE,
	WORKLOAD_COLUMNS,
	{.name = NULL},
};
