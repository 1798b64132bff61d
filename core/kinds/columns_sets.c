/* Columns of StatefulSet, DaemonSet, ControllerRevision, ReplicationController, PodTemplate and
 * PodDisruptionBudget. */
#include "kinds/columns.h"

#include <ctype.h>

KG_INT_CELL(cell_desired, "spec.replicas")
KG_INT_CELL(cell_current, "status.replicas")
KG_INT_CELL(cell_ready, "status.readyReplicas")

const struct kg_column kg_columns_statefulset[] = {
	KG_COLUMN_NAME,
	KG_COLUMN("Ready", "string", 0, kg_cell_ready_of, "Number of the pod with ready state"),
	KG_COLUMN_AGE,
	KG_CONTAINER_COLUMNS,
	{.name = NULL},
};

/* ---- DaemonSet ---- */

KG_INT_CELL(cell_daemon_desired, "status.desiredNumberScheduled")
KG_INT_CELL(cell_daemon_current, "status.currentNumberScheduled")
KG_INT_CELL(cell_daemon_ready, "status.numberReady")
KG_INT_CELL(cell_daemon_updated, "status.updatedNumberScheduled")
KG_INT_CELL(cell_daemon_available, "status.numberAvailable")

static struct kg_value cell_node_selector(
	struct kg_arena *a, const struct kg_object *obj, kg_time now)
{
	(void)now;
	return kg_cell_labels(a, kg_at(kg_obj(obj), "spec.template.spec.nodeSelector"));
}

const struct kg_column kg_columns_daemonset[] = {
	KG_COLUMN_NAME,
	KG_COLUMN("Desired", "integer", 0, cell_daemon_desired, "Nodes that should have its pod."),
	KG_COLUMN("Current", "integer", 0, cell_daemon_current,
		"Nodes that have its pod and should."),
	KG_COLUMN("Ready", "integer", 0, cell_daemon_ready, "Nodes where its pod is ready."),
	KG_COLUMN("Up-to-date", "integer", 0, cell_daemon_updated,
		"Nodes whose pod is of the current template."),
	KG_COLUMN("Available", "integer", 0, cell_daemon_available,
		"Nodes whose pod was ready long enough."),
	KG_COLUMN("Node Selector", "string", 0, cell_node_selector,
		"Labels that its pods' nodes must have."),
	KG_COLUMN_AGE,
	KG_WORKLOAD_COLUMNS,
	{.name = NULL},
};

/* ---- ControllerRevision ---- */

/* "statefulset.apps/web". */
static struct kg_value cell_controller(struct kg_arena *a, const struct kg_object *obj, kg_time now)
{
	const struct kg_value *owners = kg_at(kg_obj(obj), "metadata.ownerReferences");

	(void)now;
	for (uint32_t i = 0; i < kg_len(owners); i++) {
		const struct kg_value *o = &owners->items[i];
		const char *version = kg_string(kg_get(o, "apiVersion"), "");
		const char *slash = strchr(version, '/');
		if (!kg_bool(kg_get(o, "controller"), false))
			continue;
		char *kind = kg_arena_strdup(a, kg_string(kg_get(o, "kind"), ""));
		for (char *p = kind; *p; p++)
			*p = (char)tolower((unsigned char)*p);
		return kg_v_strf(a, "%s%s%.*s/%s", kind, slash ? "." : "",
			slash ? (int)(slash - version) : 0, version,
			kg_string(kg_get(o, "name"), ""));
	}
	return kg_v_lit("<none>");
}

KG_INT_CELL(cell_revision, "revision")

const struct kg_column kg_columns_controllerrevision[] = {
	KG_COLUMN_NAME,
	KG_COLUMN("Controller", "string", 0, cell_controller, "What it is a state of."),
	KG_COLUMN(
		"Revision", "string", 0, cell_revision, "Its number among its owner's revisions."),
	KG_COLUMN_AGE,
	{.name = NULL},
};

/* ---- ReplicationController, PodTemplate ---- */

static struct kg_value cell_plain_selector(
	struct kg_arena *a, const struct kg_object *obj, kg_time now)
{
	(void)now;
	return kg_cell_labels(a, kg_at(kg_obj(obj), "spec.selector"));
}

const struct kg_column kg_columns_replicationcontroller[] = {
	KG_COLUMN_NAME,
	KG_COLUMN("Desired", "integer", 0, cell_desired, "How many pods there shall be."),
	KG_COLUMN("Current", "integer", 0, cell_current, "How many pods there are."),
	KG_COLUMN("Ready", "integer", 0, cell_ready, "How many pods are ready."),
	KG_COLUMN_AGE,
	KG_CONTAINER_COLUMNS,
	KG_COLUMN("Selector", "string", 1, cell_plain_selector, "Which pods are its own."),
	{.name = NULL},
};

static struct kg_value cell_template_containers(
	struct kg_arena *a, const struct kg_object *obj, kg_time now)
{
	(void)now;
	return kg_cell_joined(a, kg_at(kg_obj(obj), "template.spec.containers"), "name");
}

static struct kg_value cell_template_images(
	struct kg_arena *a, const struct kg_object *obj, kg_time now)
{
	(void)now;
	return kg_cell_joined(a, kg_at(kg_obj(obj), "template.spec.containers"), "image");
}

static struct kg_value cell_template_labels(
	struct kg_arena *a, const struct kg_object *obj, kg_time now)
{
	(void)now;
	return kg_cell_labels(a, kg_at(kg_obj(obj), "template.metadata.labels"));
}

const struct kg_column kg_columns_podtemplate[] = {
	KG_COLUMN_NAME,
	KG_COLUMN("Containers", "string", 0, cell_template_containers,
		"Names of each container in the template."),
	KG_COLUMN("Images", "string", 0, cell_template_images,
		"Images referenced by each container in the template."),
	KG_COLUMN("Pod Labels", "string", 0, cell_template_labels,
		"The labels for the pod template."),
	{.name = NULL},
};

/* ---- PodDisruptionBudget ---- */

static struct kg_value amount(struct kg_arena *a, const struct kg_value *v)
{
	if (kg_is_null(v))
		return kg_v_lit("N/A");
	return v->type == KG_INT ? kg_v_strf(a, "%lld", (long long)v->i) : *v;
}

static struct kg_value cell_min(struct kg_arena *a, const struct kg_object *obj, kg_time now)
{
	(void)now;
	return amount(a, kg_at(kg_obj(obj), "spec.minAvailable"));
}

static struct kg_value cell_max(struct kg_arena *a, const struct kg_object *obj, kg_time now)
{
	(void)now;
	return amount(a, kg_at(kg_obj(obj), "spec.maxUnavailable"));
}

KG_INT_CELL(cell_allowed, "status.disruptionsAllowed")

const struct kg_column kg_columns_poddisruptionbudget[] = {
	KG_COLUMN_NAME,
	KG_COLUMN("Min Available", "string", 0, cell_min, "How many pods must stay available."),
	KG_COLUMN("Max Unavailable", "string", 0, cell_max, "How many pods may be missing."),
	KG_COLUMN("Allowed Disruptions", "integer", 0, cell_allowed,
		"How many pods may be evicted now."),
	KG_COLUMN_AGE,
	{.name = NULL},
};
