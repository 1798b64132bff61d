/* core/v1: PodStatus. Never decoded; it documents what is served. */
#include "kinds/tables.h"

static const struct kg_field running_fields[] = {
	F_TIME("startedAt", 0, "When it was started."),
	F_END,
};
static const struct kg_schema running = {
	.name = "io.k8s.api.core.v1.ContainerStateRunning",
	.doc = "The container runs.",
	.fields = running_fields,
};
static const struct kg_field waiting_fields[] = {
	F_STR("reason", 0, "Why, in one word."),
	F_STR("message", 0, "Why, for people."),
	F_END,
};
static const struct kg_schema waiting = {
	.name = "io.k8s.api.core.v1.ContainerStateWaiting",
	.doc = "The container does not run yet, or not now.",
	.fields = waiting_fields,
};
static const struct kg_field terminated_fields[] = {
	F_INT("exitCode", KG_FF_REQUIRED, "Its exit code; 128 and the number after a signal.",
		R_INT32),
	F_INT("signal", 0, "The signal that ended it.", R_INT32),
	F_STR("reason", 0, "Why, in one word: Completed, Error, OOMKilled, ..."),
	F_STR("message", 0, "Its last message."),
	F_TIME("startedAt", 0, "When it was started."),
	F_TIME("finishedAt", 0, "When it ended."),
	F_STR("containerID", 0, "The runtime's id of it."),
	F_END,
};
static const struct kg_schema terminated = {
	.name = "io.k8s.api.core.v1.ContainerStateTerminated",
	.doc = "The container has ended.",
	.fields = terminated_fields,
};
static const struct kg_field state_fields[] = {
	F_OBJ("waiting", waiting, 0, "It does not run yet, or not now."),
	F_OBJ("running", running, 0, "It runs."),
	F_OBJ("terminated", terminated, 0, "It has ended."),
	F_END,
};
static const struct kg_schema state = {
	.name = "io.k8s.api.core.v1.ContainerState",
	.doc = "What a container does; one of its fields is set.",
	.fields = state_fields,
};
static const struct kg_field container_status_fields[] = {
	F_STR("name", KG_FF_REQUIRED, "The container's name."),
	F_OBJ("state", state, 0, "What it does now."),
	F_OBJ("lastState", state, 0, "How it ended the last time."),
	F_BOOL("ready", KG_FF_REQUIRED, "Whether it passes its readiness probe."),
	F_BOOL("started", 0, "Whether it passed its startup probe."),
	F_INT("restartCount", KG_FF_REQUIRED, "How often it was restarted.", R_COUNT),
	F_STR("image", KG_FF_REQUIRED, "The image it runs."),
	F_STR("imageID", KG_FF_REQUIRED, "The digest of that image."),
	F_STR("containerID", 0, "The runtime's id of it."),
	F_ROW("allocatedResources", KG_F_QUANTITY, KG_FF_MAP, "What its node keeps for it."),
	F_ROW("allocatedResourcesStatus", KG_F_ANY, KG_FF_LIST, "Health of its devices."),
	F_OBJ("resources", kg_schema_resources, 0, "What it has now."),
	F_ROW("volumeMounts", KG_F_ANY, KG_FF_LIST, "What is mounted in it."),
	F_ANY("user", 0, "Whom it runs as."),
	F_STR("stopSignal", 0, "The signal that stops it."),
	F_END,
};
static const struct kg_schema container_status = {
	.name = "io.k8s.api.core.v1.ContainerStatus",
	.doc = "What was observed of a container.",
	.fields = container_status_fields,
};
static const struct kg_field condition_fields[] = {
	F_STR("type", KG_FF_REQUIRED, "PodScheduled, Initialized, ContainersReady, Ready, ..."),
	F_STR("status", KG_FF_REQUIRED, "True, False or Unknown."),
	F_STR("reason", 0, "Why, in one word."),
	F_STR("message", 0, "Why, for people."),
	F_INT("observedGeneration", 0, "The generation it is about."),
	F_TIME("lastProbeTime", 0, "When it was last looked at."),
	F_TIME("lastTransitionTime", 0, "When it last changed."),
	F_END,
};
static const struct kg_schema condition = {
	.name = "io.k8s.api.core.v1.PodCondition",
	.doc = "Something that is or is not true of a pod.",
	.fields = condition_fields,
};
static const struct kg_field pod_ip_fields[] = {
	F_STR("ip", KG_FF_REQUIRED, "The address."),
	F_END,
};
static const struct kg_schema pod_ip = {
	.name = "io.k8s.api.core.v1.PodIP",
	.doc = "An address of a pod.",
	.fields = pod_ip_fields,
};
static const struct kg_schema host_ip = {
	.name = "io.k8s.api.core.v1.HostIP",
	.doc = "An address of a pod's node.",
	.fields = pod_ip_fields,
};
static const struct kg_field pod_status_fields[] = {
	F_STR("phase", 0, "Pending, Running, Succeeded, Failed or Unknown."),
	F_STR("reason", 0, "Why, in one word."),
	F_STR("message", 0, "Why, for people."),
	F_INT("observedGeneration", 0, "The generation it is about."),
	F_ROW("conditions", KG_F_OBJECT, KG_FF_LIST, "What is true of it.", .schema = &condition,
		.merge_key = "type"),
	F_STR("podIP", 0, "Its address."),
	F_ROW("podIPs", KG_F_OBJECT, KG_FF_LIST, "Its addresses.", .schema = &pod_ip,
		.merge_key = "ip"),
	F_STR("hostIP", 0, "Its node's address."),
	F_ROW("hostIPs", KG_F_OBJECT, KG_FF_LIST, "Its node's addresses.", .schema = &host_ip),
	F_TIME("startTime", 0, "When its node took it."),
	F_STR("qosClass", 0, "Guaranteed, Burstable or BestEffort."),
	F_STR("nominatedNodeName", 0, "The node where room is being made for it."),
	F_ROW("initContainerStatuses", KG_F_OBJECT, KG_FF_LIST, "Its init containers.",
		.schema = &container_status),
	F_ROW("containerStatuses", KG_F_OBJECT, KG_FF_LIST, "Its containers.",
		.schema = &container_status),
	F_ROW("ephemeralContainerStatuses", KG_F_OBJECT, KG_FF_LIST,
		"Its containers for debugging.", .schema = &container_status),
	F_STR("resize", 0, "How far a change of its resources is."),
	F_ROW("resourceClaimStatuses", KG_F_ANY, KG_FF_LIST, "Its claims of dynamic resources."),
	F_ANY("extendedResourceClaimStatus", 0, "Its claim of extended resources."),
	F_ROW("nodeAllocatableResourceClaimStatuses", KG_F_ANY, KG_FF_LIST,
		"Claims of its node's resources."),
	F_ROW("allocatedResources", KG_F_QUANTITY, KG_FF_MAP, "What its node keeps for it."),
	F_OBJ("resources", kg_schema_resources, 0, "What it has now."),
	F_ROW("volumeHealth", KG_F_ANY, KG_FF_LIST, "The state of its volumes."),
	F_END,
};
const struct kg_schema kg_schema_pod_status = {
	.name = "io.k8s.api.core.v1.PodStatus",
	.doc = "What was observed of a pod.",
	.fields = pod_status_fields,
};
