#include "kgit/test_case.h"

#include "kinds/kind.h"
#include "sys/file.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#define MAX_FILE (4 << 20)
#define MAX_SPAN (INT64_C(10) * 366 * 24 * 3600) /* seconds of a step */

/* ---- nodes.yaml ---- */

static const char *const effects[] = {"NoSchedule", "PreferNoSchedule", "NoExecute", NULL};

static const struct kg_field taint_fields[] = {
	{.name = "key",
		.type = KG_F_STRING,
		.flags = KG_FF_REQUIRED,
		.check = kg_check_label_key,
		.doc = "The taint's key."},
	{.name = "value", .type = KG_F_STRING, .check = kg_check_label_value, .doc = "Its value."},
	{.name = "effect",
		.type = KG_F_STRING,
		.flags = KG_FF_REQUIRED,
		.values = effects,
		.doc = "NoSchedule, PreferNoSchedule or NoExecute."},
	{.name = "timeAdded", .type = KG_F_TIME, .doc = "When it was added."},
	{0},
};
static const struct kg_schema taint = {
	.name = "taint", .doc = "Keeps pods away.", .fields = taint_fields};

static const struct kg_schema *status_schema(void)
{
	const struct kg_field *f = kg_kind_by_name("Node")->schema->fields;

	while (f->name && strcmp(f->name, "status") != 0)
		f++;
	return f->schema;
}

static const char *check_status(struct kg_arena *a, const struct kg_value *v)
{
	const char *field = kg_schema_shape(status_schema(), v, &kg_null);

	return field ? kg_v_strf(a, "%s is not as a Node's status has it", field).s : NULL;
}

static const struct kg_field node_fields[] = {
	{.name = "name",
		.type = KG_F_STRING,
		.flags = KG_FF_REQUIRED,
		.check = kg_check_dns_subdomain,
		.doc = "The node's name."},
	{.name = "labels",
		.type = KG_F_STRING,
		.flags = KG_FF_MAP,
		.check = kg_check_label_value,
		.check_key = kg_check_label_key,
		.doc = "Its labels."},
	{.name = "status",
		.type = KG_F_ANY,
		.check = check_status,
		.doc = "What it says of itself: capacity, allocatable, addresses, ..."},
	{.name = "taints",
		.type = KG_F_OBJECT,
		.flags = KG_FF_LIST,
		.schema = &taint,
		.doc = "What keeps pods away."},
	{.name = "unschedulable", .type = KG_F_BOOL, .doc = "Whether it takes no more pods."},
	{.name = "ready", .type = KG_F_BOOL, .doc = "Whether it answers; default true."},
	{0},
};
static const struct kg_schema node_schema = {
	.name = "node", .doc = "A node of the case.", .fields = node_fields};

/* ---- steps.yaml ---- */

#define PODS(word)                                                                                 \
	{                                                                                          \
		.name = (word), .type = KG_F_STRING, .flags = KG_FF_LIST,                          \
		.doc = "Pods: how their names begin, or '*'."                                      \
	}
#define NODES(word)                                                                                \
	{                                                                                          \
		.name = (word), .type = KG_F_STRING, .flags = KG_FF_LIST, .doc = "Nodes, by name." \
	}

static const struct kg_field exited_fields[] = {
	{.name = "code",
		.type = KG_F_INT,
		.flags = KG_FF_REQUIRED,
		.min = 0,
		.max = 255,
		.doc = "The exit status of each container."},
	PODS("pods"),
	{0},
};
static const struct kg_schema exited = {
	.name = "exited", .doc = "Pods whose containers ended.", .fields = exited_fields};

static const struct kg_field step_taint_fields[] = {
	{.name = "node", .type = KG_F_STRING, .flags = KG_FF_REQUIRED, .doc = "The node's name."},
	{.name = "taints",
		.type = KG_F_OBJECT,
		.flags = KG_FF_LIST,
		.schema = &taint,
		.doc = "All that it has from now on."},
	{0},
};
static const struct kg_schema step_taint = {
	.name = "taint", .doc = "Another node's taints.", .fields = step_taint_fields};

static const struct kg_field step_fields[] = {
	{.name = "push", .type = KG_F_STRING, .doc = "The directory that main holds from now on."},
	{.name = "play",
		.type = KG_F_INT,
		.min = 0,
		.max = MAX_SPAN,
		.doc = "Seconds after which pods are ready."},
	{.name = "settle", .type = KG_F_BOOL, .doc = "true."},
	{.name = "advance",
		.type = KG_F_INT,
		.min = 0,
		.max = MAX_SPAN,
		.doc = "Seconds that pass."},
	PODS("ready"),
	PODS("unready"),
	PODS("failed"),
	PODS("succeeded"),
	PODS("gone"),
	PODS("evict"),
	{.name = "exited",
		.type = KG_F_OBJECT,
		.schema = &exited,
		.doc = "Pods whose containers ended."},
	NODES("lost"),
	NODES("back"),
	{.name = "taint",
		.type = KG_F_OBJECT,
		.schema = &step_taint,
		.doc = "Another node's taints."},
	{0},
};
static const struct kg_schema step_schema = {
	.name = "step", .doc = "One thing that happens.", .fields = step_fields};

/* ---- reading ---- */

/* The one document of a file, a list; NULL where there is none, which is a fault unless the file is
 * missing. */
static const struct kg_yaml_node *read_list(
	struct kg_arena *a, const char *path, struct kg_fault_list *faults)
{
	KG_AUTOBUF struct kg_buf text = KG_BUF_INIT;
	struct kg_yaml_node *docs;
	struct kg_error err;
	size_t n;
	unsigned line = 1, col = 1;
	int at = 0;

	faults->file = kg_arena_strdup(a, path);
	faults->root = NULL;
	if (!kg_path_exists(path))
		return NULL;
	if (kg_file_read(&text, path, MAX_FILE, &err) < 0) {
		kg_fault_add_at(faults, 1, 1, "", "%s", err.msg);
		return NULL;
	}
	if (kg_yaml_parse(&docs, &n, a, kg_buf_str(&text), text.len, NULL, &err) < 0) {
		if (sscanf(err.msg, "%u:%u: %n", &line, &col, &at) < 2)
			at = 0;
		kg_fault_add_at(faults, line, col, "", "%s", err.msg + at);
		return NULL;
	}
	if (n != 1 || docs[0].type != KG_ARRAY) {
		kg_fault_add_at(
			faults, n ? docs[0].line : 1, n ? docs[0].col : 1, "", "expected a list");
		return NULL;
	}
	return &docs[0];
}

static bool has_node(const struct kg_value *nodes, const char *name)
{
	return !kg_is_null(kg_find(nodes, "name", name));
}

static void check_nodes(struct kg_arena *a, const struct kg_yaml_node *list,
	const struct kg_value *nodes, struct kg_fault_list *faults)
{
	for (uint32_t i = 0; i < list->len; i++) {
		const struct kg_value *n = &nodes->items[i];
		const char *name = kg_string(kg_get(n, "name"), "");

		kg_schema_decode(&node_schema, &list->items[i], a, faults);
		if (*name && kg_find(nodes, "name", name) != n)
			kg_fault_add_at(faults, list->items[i].line, list->items[i].col, "name",
				"the node \"%s\" is there twice", name);
	}
}

static void check_node_names(
	const struct kg_yaml_node *arg, const struct kg_value *nodes, struct kg_fault_list *faults)
{
	for (uint32_t i = 0; arg->type == KG_ARRAY && i < arg->len; i++) {
		const struct kg_yaml_node *n = &arg->items[i];

		if (n->type == KG_STRING && !has_node(nodes, n->text))
			kg_fault_add_at(faults, n->line, n->col, "",
				"nodes.yaml has no node \"%s\"", n->text);
	}
}

static void check_directory(
	const struct kg_yaml_node *arg, const char *dir, struct kg_fault_list *faults)
{
	struct stat st;
	KG_AUTOFREE char *path = kg_asprintf("%s/%s", dir, arg->text ? arg->text : "");

	if (arg->type == KG_STRING && (stat(path, &st) < 0 || !S_ISDIR(st.st_mode)))
		kg_fault_add_at(
			faults, arg->line, arg->col, "push", "there is no directory %s", path);
}

static void check_step(const struct kg_yaml_node *step, const struct kg_value *nodes,
	const char *dir, struct kg_fault_list *faults)
{
	const struct kg_yaml_member *m = step->members;

	if (step->type != KG_OBJECT)
		return; /* a fault already */
	if (step->len != 1) {
		kg_fault_add_at(faults, step->line, step->col, "",
			step->len ? "a step is one thing; give each a list item of its own"
				  : "expected a step, as in `- push: manifests`");
		return;
	}
	if (m->value.type == KG_NULL || (m->value.type == KG_ARRAY && !m->value.len))
		kg_fault_add_at(faults, m->line, m->col, m->key, "expected something, got nothing");
	if (strcmp(m->key, "push") == 0)
		check_directory(&m->value, dir, faults);
	else if (strcmp(m->key, "lost") == 0 || strcmp(m->key, "back") == 0)
		check_node_names(&m->value, nodes, faults);
	else if (strcmp(m->key, "settle") == 0 && !kg_bool(&m->value.scalar, false))
		kg_fault_add_at(faults, m->value.line, m->value.col, "settle", "expected true");
	for (uint32_t i = 0;
		strcmp(m->key, "taint") == 0 && m->value.type == KG_OBJECT && i < m->value.len;
		i++) {
		const struct kg_yaml_member *in = &m->value.members[i];

		if (strcmp(in->key, "node") == 0 && in->value.type == KG_STRING &&
			!has_node(nodes, in->value.text))
			kg_fault_add_at(faults, in->value.line, in->value.col, "taint.node",
				"nodes.yaml has no node \"%s\"", in->value.text);
	}
}

/* What a case without steps.yaml does. */
static void one_push(struct kgit_case *out, struct kg_arena *a)
{
	struct kg_value *push = kg_arena_alloc(a, sizeof(*push));

	*push = kg_v_obj(a, "push", kg_v_lit("manifests"), (char *)NULL);
	out->steps = kg_v_array(a, push, 1);
}

void kgit_case_read(
	struct kgit_case *out, struct kg_arena *a, const char *dir, struct kg_fault_list *faults)
{
	KG_AUTOFREE char *nodes_path = kg_asprintf("%s/nodes.yaml", dir);
	KG_AUTOFREE char *steps_path = kg_asprintf("%s/steps.yaml", dir);
	const struct kg_yaml_node *list = read_list(a, nodes_path, faults);

	*out = (struct kgit_case){0};
	if (list) {
		out->nodes = kg_yaml_value(a, list);
		check_nodes(a, list, &out->nodes, faults);
	}
	if (!kg_path_exists(steps_path)) {
		one_push(out, a);
		return;
	}
	list = read_list(a, steps_path, faults);
	if (!list)
		return;
	out->steps = kg_yaml_value(a, list);
	for (uint32_t i = 0; i < list->len; i++) {
		kg_schema_decode(&step_schema, &list->items[i], a, faults);
		check_step(&list->items[i], &out->nodes, dir, faults);
	}
}
