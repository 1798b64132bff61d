/* core/v1: Node. Nodes register themselves; a manifest adds labels, annotations, taints and whether
 * further pods may be bound. */
#include "kinds/tables.h"

static const char *const effects[] = {"NoSchedule", "PreferNoSchedule", "NoExecute", NULL};

static const struct kg_field taint_fields[] = {
	F_STR("key", KG_FF_REQUIRED, "The taint's key.", .check = kg_check_label_key),
	F_STR("value", 0, "Its value.", .check = kg_check_label_value),
	F_STR("effect", KG_FF_REQUIRED, "NoSchedule, PreferNoSchedule or NoExecute.",
		.values = effects),
	F_TIME("timeAdded", KG_FF_STATUS, "When it was added."),
	F_END,
};
static const struct kg_schema taint = {
	.name = "io.k8s.api.core.v1.Taint",
	.doc = "Keeps pods away that do not tolerate it.",
	.fields = taint_fields,
};
static const struct kg_field node_spec_fields[] = {
	F_STR("podCIDR", KG_FF_STATUS, "The range of its pods' addresses."),
	F_STR("podCIDRs", KG_FF_LIST | KG_FF_STATUS, "The ranges of its pods' addresses."),
	F_STR("providerID", KG_FF_STATUS, "The cloud's name of it."),
	F_STR("externalID", KG_FF_STATUS, "Not used any more."),
	F_NOANY("podPreemptionPolicy", "Which pods give way on it."),
	F_NOANY("configSource", "Where its agent's settings are."),
	F_BOOL("unschedulable", 0, "Whether no further pods are bound to it."),
	F_ROW("taints", KG_F_OBJECT, KG_FF_LIST, "What keeps pods away.", .schema = &taint,
		.merge_key = "key,effect"),
	F_END,
};
static const struct kg_schema node_spec = {
	.name = "io.k8s.api.core.v1.NodeSpec",
	.doc = "Settings of a node.",
	.fields = node_spec_fields,
};
static const struct kg_field address_fields[] = {
	F_STR("type", KG_FF_REQUIRED, "InternalIP, ExternalIP or Hostname."),
	F_STR("address", KG_FF_REQUIRED, "The address."),
	F_END,
};
static const struct kg_schema address = {
	.name = "io.k8s.api.core.v1.NodeAddress",
	.doc = "An address of a node.",
	.fields = address_fields,
};
static const struct kg_field condition_fields[] = {
	F_STR("type", KG_FF_REQUIRED, "Ready, MemoryPressure, DiskPressure, PIDPressure, ..."),
	F_STR("status", KG_FF_REQUIRED, "True, False or Unknown."),
	F_STR("reason", 0, "Why, in one word."),
	F_STR("message", 0, "Why, for people."),
	F_TIME("lastHeartbeatTime", 0, "When it was last heard of."),
	F_TIME("lastTransitionTime", 0, "When it last changed."),
	F_END,
};
static const struct kg_schema condition = {
	.name = "io.k8s.api.core.v1.NodeCondition",
	.doc = "Something that is or is not true of a node.",
	.fields = condition_fields,
};
static const struct kg_field node_info_fields[] = {
	F_STR("machineID", 0, "The machine's id."),
	F_STR("systemUUID", 0, "The hardware's id."),
	F_STR("bootID", 0, "Another one for each boot."),
	F_STR("kernelVersion", 0, "Version of the kernel."),
	F_STR("osImage", 0, "Name of the system, e.g. Debian GNU/Linux 12."),
	F_STR("containerRuntimeVersion", 0, "Version of the container runtime."),
	F_STR("kubeletVersion", 0, "Version of the node agent."),
	F_STR("kubeProxyVersion", 0, "Version of what serves Services."),
	F_STR("operatingSystem", 0, "linux."),
	F_STR("architecture", 0, "amd64, arm64, ..."),
	F_ANY("swap", 0, "How much swap space it has."),
	F_END,
};
static const struct kg_schema node_info = {
	.name = "io.k8s.api.core.v1.NodeSystemInfo",
	.doc = "What a node is made of.",
	.fields = node_info_fields,
};
static const struct kg_field image_fields[] = {
	F_STR("names", KG_FF_LIST, "Names of the image."),
	F_INT("sizeBytes", 0, "Its size in bytes."),
	F_END,
};
static const struct kg_schema image = {
	.name = "io.k8s.api.core.v1.ContainerImage",
	.doc = "An image on a node.",
	.fields = image_fields,
};
static const struct kg_field node_status_fields[] = {
	F_ROW("capacity", KG_F_QUANTITY, KG_FF_MAP, "What it has: cpu, memory, pods, ..."),
	F_ROW("allocatable", KG_F_QUANTITY, KG_FF_MAP, "What pods may request of it."),
	F_ROW("conditions", KG_F_OBJECT, KG_FF_LIST, "What is true of it.", .schema = &condition,
		.merge_key = "type"),
	F_ROW("addresses", KG_F_OBJECT, KG_FF_LIST, "Its addresses.", .schema = &address,
		.merge_key = "type"),
	F_OBJ("nodeInfo", node_info, 0, "What it is made of."),
	F_ROW("images", KG_F_OBJECT, KG_FF_LIST, "Images it has.", .schema = &image),
	F_ANY("daemonEndpoints", 0, "Ports of its agent."),
	F_STR("phase", 0, "Not used any more."),
	F_STR("volumesInUse", KG_FF_LIST, "Volumes that are mounted."),
	F_ROW("volumesAttached", KG_F_ANY, KG_FF_LIST, "Volumes that are attached."),
	F_ANY("config", 0, "Where its agent's settings are."),
	F_ROW("runtimeHandlers", KG_F_ANY, KG_FF_LIST, "Container runtimes it has."),
	F_ANY("features", 0, "What its agent can do."),
	F_STR("declaredFeatures", KG_FF_LIST, "What its agent can do."),
	F_END,
};
static const struct kg_schema node_status = {
	.name = "io.k8s.api.core.v1.NodeStatus",
	.doc = "What was observed of a node.",
	.fields = node_status_fields,
};
static const struct kg_field node_fields[] = {
	F_TYPE_META,
	F_METADATA,
	F_OBJ("spec", node_spec, 0, "Settings of the node."),
	F_OBJ("status", node_status, KG_FF_STATUS, "What was observed of it."),
	F_END,
};
const struct kg_schema kg_schema_node = {
	.name = "io.k8s.api.core.v1.Node",
	.doc = "A machine that pods run on.",
	.fields = node_fields,
	.validate = kg_validate_any_named,
};
