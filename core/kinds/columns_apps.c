/* Columns of Deployment and ReplicaSet, and of what scales. */
#include "kinds/columns.h"

KG_INT_CELL(cell_desired, "spec.replicas")
KG_INT_CELL(cell_current, "status.replicas")
KG_INT_CELL(cell_ready, "status.readyReplicas")
KG_INT_CELL(cell_updated, "status.updatedReplicas")
KG_INT_CELL(cell_available, "status.availableReplicas")

struct kg_value kg_cell_ready_of(struct kg_arena *a, const struct kg_object *obj, kg_time now)
{
	(void)now;
	return kg_v_strf(a, "%lld/%lld",
		(long long)kg_int(kg_at(kg_obj(obj), "status.readyReplicas"), 0),
		(long long)kg_int(kg_at(kg_obj(obj), "spec.replicas"), 0));
}

const struct kg_column kg_columns_deployment[] = {
	KG_COLUMN_NAME,
	KG_COLUMN("Ready", "string", 0, kg_cell_ready_of, "Number of the pod with ready state"),
	KG_COLUMN("Up-to-date", "string", 0, cell_updated,
		"How many pods are of the current template."),
	KG_COLUMN(
		"Available", "string", 0, cell_available, "How many pods were ready long enough."),
	KG_COLUMN_AGE,
	KG_WORKLOAD_COLUMNS,
	{.name = NULL},
};

const struct kg_column kg_columns_replicaset[] = {
	KG_COLUMN_NAME,
	KG_COLUMN("Desired", "integer", 0, cell_desired, "How many pods there shall be."),
	KG_COLUMN("Current", "integer", 0, cell_current, "How many pods there are."),
	KG_COLUMN("Ready", "integer", 0, cell_ready, "How many pods are ready."),
	KG_COLUMN_AGE,
	KG_WORKLOAD_COLUMNS,
	{.name = NULL},
};

const struct kg_column kg_columns_scale[] = {
	KG_COLUMN_NAME,
	KG_COLUMN("Desired", "integer", 0, cell_desired, "How many pods there shall be."),
	KG_COLUMN("Available", "integer", 0, cell_current, "How many pods there are."),
	KG_COLUMN_AGE,
	{.name = NULL},
};
