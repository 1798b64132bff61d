/* NetworkPolicies as nodes are told of them: objects in, the files of a node's view out. */
#include "kgitd/policies.h"
#include "value/yaml.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

static struct kg_snapshot *s;
static struct kgd_policies *policies;
static char marked[256]; /* nodes and "NS/" that were marked since the last look */

static void mark(void *ctx, const char *node, const char *ns)
{
	size_t n = strlen(marked);

	(void)ctx;
	snprintf(marked + n, sizeof(marked) - n, "%s%s ", node ? node : ns, node ? "" : "/");
}

/* yaml NULL: deleted. */
static void change(enum kg_kind_id kind, const char *ns, const char *name, const char *yaml)
{
	struct kg_arena a KG_CLEANUP(kg_arena_release) = KG_ARENA_INIT;
	struct kg_txn *txn = kg_txn_new(s);
	struct kg_changes changes = {0};
	struct kg_snapshot *next;
	struct kg_value v;
	struct kg_error err;

	if (yaml && kg_yaml_load(&v, &a, yaml, strlen(yaml), &err) < 0)
		fail_msg("%s", err.msg);
	struct kg_object_spec spec = {.kind = &kg_kinds[kind], .ns = ns, .name = name, .value = &v};
	if (yaml)
		kg_txn_put(txn, kg_object_new(&spec));
	else
		kg_txn_delete(txn, kind, ns, name);
	kg_txn_finish(txn, &next, &changes);
	kg_snapshot_unref(s);
	s = next;
	for (size_t i = 0; i < changes.len; i++)
		kgd_policies_note(policies, s, &changes.items[i], mark, NULL);
	kg_changes_release(&changes);
}

static void pod(const char *ns, const char *name, const char *node, const char *ip,
	const char *labels, const char *more)
{
	KG_AUTOFREE char *yaml = kg_asprintf("metadata: {labels: %s}\n"
					     "spec: {nodeName: %s, containers: [{name: c%s}]}\n"
					     "status: {podIP: %s, phase: Running}\n",
		labels, node, more, ip);

	change(KG_KIND_POD, ns, name, yaml);
}

static void policy(const char *name, const char *spec)
{
	KG_AUTOFREE char *yaml = kg_asprintf("spec: %s\n", spec);

	change(KG_KIND_NETWORKPOLICY, "default", name, yaml);
}

static void restart(void)
{
	kgd_policies_free(policies);
	policies = kgd_policies_new(s, "10.244.0.0/16");
}

static int set_up(void **state)
{
	(void)state;
	s = kg_snapshot_new("11111111-2222-3333-4444-555555555555");
	restart();
	change(KG_KIND_NAMESPACE, "", "default", "metadata: {labels: {team: a}}\n");
	change(KG_KIND_NAMESPACE, "", "other", "metadata: {labels: {team: b}}\n");
	pod("default", "web-1", "n1", "10.244.1.2", "{app: web}",
		", ports: [{name: http, containerPort: 8080}]");
	pod("default", "web-2", "n2", "10.244.2.2", "{app: web}",
		", ports: [{name: http, containerPort: 8081}]");
	pod("default", "db", "n1", "10.244.1.3", "{app: db}", "");
	pod("other", "web", "n2", "10.244.2.3", "{app: web}", "");
	pod("other", "cli", "n1", "10.244.1.4", "{app: cli}", "");
	change(KG_KIND_POD, "default", "done",
		"metadata: {labels: {app: web}}\nspec: {nodeName: n1}\n"
		"status: {podIP: 10.244.1.9, phase: Succeeded}\n");
	change(KG_KIND_POD, "default", "host",
		"metadata: {labels: {app: web}}\nspec: {nodeName: n1, hostNetwork: true}\n"
		"status: {podIP: 192.0.2.1, phase: Running}\n");
	*marked = '\0';
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	kgd_policies_free(policies);
	policies = NULL;
	kg_snapshot_unref(s);
	return 0;
}

/* ---- files as text: sets by their content instead of their ids ---- */

struct files {
	struct {
		char *path, *text;
	} items[32];
	size_t n;
};

static void add(void *ctx, char *path, const struct kg_value *value, struct kgd_text *text)
{
	struct files *f = ctx;
	KG_AUTOBUF struct kg_buf buf = KG_BUF_INIT;

	if (value)
		kg_yaml_write(&buf, value);
	else
		kg_buf_add(&buf, text->data, text->len);
	kgd_text_unref(text);
	assert_true(f->n < KG_ARRAY_LEN(f->items));
	f->items[f->n].path = path;
	f->items[f->n++].text = kg_buf_steal(&buf);
}

static int by_path(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static char *flow(const char *yaml)
{
	struct kg_arena a KG_CLEANUP(kg_arena_release) = KG_ARENA_INIT;
	KG_AUTOBUF struct kg_buf out = KG_BUF_INIT;
	struct kg_value v;

	assert_int_equal(kg_yaml_load(&v, &a, yaml, strlen(yaml), NULL), 0);
	struct kg_value list = *kg_get(&v, "addresses");
	for (uint32_t i = 0; i < kg_len(&list); i++)
		kg_buf_addf(&out, "%s%s", i ? "," : "", kg_string(&list.items[i], ""));
	return kg_buf_steal(&out);
}

static void replace_all(char **text, const char *what, const char *with)
{
	KG_AUTOBUF struct kg_buf out = KG_BUF_INIT;
	char *at = *text, *next;

	while ((next = strstr(at, what))) {
		kg_buf_add(&out, at, (size_t)(next - at));
		kg_buf_adds(&out, with);
		at = next + strlen(what);
	}
	kg_buf_adds(&out, at);
	free(*text);
	*text = kg_buf_steal(&out);
}

static void release(struct files *f)
{
	for (size_t i = 0; i < f->n; i++) {
		free(f->items[i].path);
		free(f->items[i].text);
	}
}

/* Heap. */
static char *told(const char *node)
{
	struct files f = {.n = 0};
	KG_AUTOBUF struct kg_buf out = KG_BUF_INIT;

	kgd_policies_of_node(policies, s, node, add, &f);
	qsort(f.items, f.n, sizeof(f.items[0]), by_path);
	for (size_t i = 0; i < f.n; i++) {
		if (strncmp(f.items[i].path, "policies/", 9) == 0)
			kg_buf_addf(&out, "# %s\n%s", f.items[i].path + 9, f.items[i].text);
	}
	char *text = kg_buf_steal(&out);
	for (size_t i = 0; i < f.n; i++) {
		char id[17];

		if (strncmp(f.items[i].path, "peers/", 6) != 0)
			continue;
		snprintf(id, sizeof(id), "%.16s", f.items[i].path + 6);
		KG_AUTOFREE char *set = flow(f.items[i].text);
		KG_AUTOFREE char *shown = kg_asprintf("{%s}", set);
		replace_all(&text, id, shown);
	}
	release(&f);
	return text;
}

static void assert_told(const char *node, const char *want)
{
	KG_AUTOFREE char *got = told(node);

	if (strcmp(got, want) != 0)
		fail_msg("%s: got\n%s\nexpected\n%s", node, got, want);
}

static size_t npublished;

static void published(void *ctx, const char *id)
{
	(void)ctx;
	assert_int_equal(strlen(id), 16);
	npublished++;
}

static size_t publish(void)
{
	npublished = 0;
	kgd_policies_publish(policies, published, NULL);
	assert_false(kgd_policies_pending(policies));
	return npublished;
}

/* ---- tests ---- */

static const struct {
	const char *name, *spec, *n1;
} cases[] = {
	{"deny all", "{podSelector: {}, policyTypes: [Ingress, Egress]}",
		"# default/p.yaml\negress: []\ningress: []\npods:\n- 10.244.1.3\n- 10.244.1.2\n"},
	{"nobody of this node", "{podSelector: {matchLabels: {app: x}}, policyTypes: [Ingress]}",
		""},
	{"pods of the namespace",
		"{podSelector: {matchLabels: {app: db}}, policyTypes: [Ingress], ingress: [{from: "
		"[{podSelector: {matchLabels: {app: web}}}], ports: [{protocol: TCP, port: 80}]}]}",
		"# default/p.yaml\ningress:\n- peers:\n  - {10.244.1.2,10.244.2.2}\n  ports:\n"
		"  - port: 80\n    protocol: TCP\npods:\n- 10.244.1.3\n"},
	{"pods of other namespaces",
		"{podSelector: {matchLabels: {app: db}}, policyTypes: [Ingress], ingress: [{from: "
		"[{namespaceSelector: {matchLabels: {team: b}}}, {namespaceSelector: {matchLabels: "
		"{team: b}}, podSelector: {matchExpressions: [{key: app, operator: NotIn, values: "
		"[cli]}]}}]}]}",
		"# default/p.yaml\ningress:\n- peers:\n  - {10.244.1.4,10.244.2.3}\n"
		"  - {10.244.2.3}\npods:\n- 10.244.1.3\n"},
	{"every pod is the range of pods",
		"{podSelector: {matchLabels: {app: db}}, policyTypes: [Ingress], ingress: [{from: "
		"[{namespaceSelector: {}}]}]}",
		"# default/p.yaml\ningress:\n- blocks:\n  - cidr: 10.244.0.0/16\npods:\n- 10.244.1."
		"3\n"},
	{"blocks",
		"{podSelector: {matchLabels: {app: db}}, policyTypes: [Ingress], ingress: [{from: "
		"[{ipBlock: {cidr: 10.0.0.0/8, except: [10.1.0.0/16]}}]}, {from: [], ports: []}]}",
		"# default/p.yaml\ningress:\n- blocks:\n  - cidr: 10.0.0.0/8\n    except:\n    - "
		"10.1.0.0/16\n- {}\npods:\n- 10.244.1.3\n"},
	{"a name as port of those who are spoken to",
		"{podSelector: {matchLabels: {app: web}}, policyTypes: [Ingress], ingress: "
		"[{ports: "
		"[{protocol: TCP, port: http}, {protocol: TCP, port: none}]}, {ports: [{protocol: "
		"UDP, port: http}]}]}",
		"# default/p~e846f405.yaml\ningress:\n- ports:\n  - port: 8080\n    protocol: TCP\n"
		"pods:\n- 10.244.1.2\n"},
	{"a name as port of peers",
		"{podSelector: {matchLabels: {app: db}}, policyTypes: [Egress], egress: [{to: [{"
		"podSelector: {}}, {ipBlock: {cidr: 10.0.0.0/8}}], ports: [{protocol: TCP, port: "
		"http}, {protocol: TCP, port: 443}]}]}",
		"# default/p.yaml\negress:\n- peers:\n  - {10.244.1.2:8080,10.244.2.2:8081}\n"
		"  ports:\n  - protocol: TCP\n- blocks:\n  - cidr: 10.0.0.0/8\n  peers:\n"
		"  - {10.244.1.2,10.244.1.3,10.244.2.2}\n  ports:\n  - port: 443\n    protocol: "
		"TCP\npods:\n- 10.244.1.3\n"},
	{"a name as port of whomever",
		"{podSelector: {matchLabels: {app: db}}, policyTypes: [Egress], egress: [{ports: [{"
		"protocol: TCP, port: http}]}]}",
		"# default/p.yaml\negress:\n- peers:\n  - {10.244.1.2:8080,10.244.2.2:8081}\n"
		"  ports:\n  - protocol: TCP\npods:\n- 10.244.1.3\n"},
	{"a name as port of a block opens nothing",
		"{podSelector: {matchLabels: {app: db}}, policyTypes: [Egress], egress: [{to: [{"
		"ipBlock: {cidr: 10.0.0.0/8}}], ports: [{protocol: TCP, port: http}]}]}",
		"# default/p.yaml\negress: []\npods:\n- 10.244.1.3\n"},
};

static void test_cases(void **state)
{
	(void)state;
	for (size_t i = 0; i < KG_ARRAY_LEN(cases); i++) {
		policy("p", cases[i].spec);
		KG_AUTOFREE char *got = told("n1");
		if (strcmp(got, cases[i].n1) != 0)
			fail_msg("%s: got\n%s\nexpected\n%s", cases[i].name, got, cases[i].n1);
		assert_string_equal(marked, "default/ ");
		*marked = '\0';
		/* One who starts now says the same. */
		restart();
		KG_AUTOFREE char *again = told("n1");
		assert_string_equal(again, got);
	}
	change(KG_KIND_NETWORKPOLICY, "default", "p", NULL);
	assert_told("n1", "");
}

#define FROM_WEB                                                                                   \
	"{podSelector: {matchLabels: {app: db}}, policyTypes: [Ingress], ingress: [{from: [{"      \
	"podSelector: {matchLabels: {app: web}}}, {namespaceSelector: {matchLabels: {team: b}}}]}" \
	"]}"
#define TOLD(web, b)                                                                               \
	"# default/p.yaml\ningress:\n- peers:\n  - {" web "}\n  - {" b "}\npods:\n- 10.244.1."     \
	"3\n"

/* Peers come, go, are told anew only when published, and cost only those who name them. */
static void test_peers_move(void **state)
{
	(void)state;
	policy("p", FROM_WEB);
	assert_told("n1", TOLD("10.244.1.2,10.244.2.2", "10.244.1.4,10.244.2.3"));
	assert_false(kgd_policies_pending(policies));
	pod("default", "web-3", "n2", "10.244.2.9", "{app: web}", "");
	assert_true(kgd_policies_pending(policies));
	assert_told("n1", TOLD("10.244.1.2,10.244.2.2", "10.244.1.4,10.244.2.3"));
	assert_int_equal(publish(), 1);
	assert_told("n1", TOLD("10.244.1.2,10.244.2.2,10.244.2.9", "10.244.1.4,10.244.2.3"));
	/* Another label: it is not one any more. */
	pod("default", "web-3", "n2", "10.244.2.9", "{app: x}", "");
	assert_int_equal(publish(), 1);
	/* What nobody names costs nothing. */
	pod("default", "web-3", "n2", "10.244.2.10", "{app: x}", "");
	assert_false(kgd_policies_pending(policies));
	change(KG_KIND_POD, "other", "web", NULL);
	assert_int_equal(publish(), 1);
	assert_told("n1", TOLD("10.244.1.2,10.244.2.2", "10.244.1.4"));
	/* A namespace's labels. */
	change(KG_KIND_NAMESPACE, "", "default", "metadata: {labels: {team: b}}\n");
	change(KG_KIND_NAMESPACE, "", "other", "metadata: {labels: {team: c}}\n");
	assert_int_equal(publish(), 1);
	assert_told("n1", TOLD("10.244.1.2,10.244.2.2", "10.244.1.2,10.244.1.3,10.244.2.10,10.244."
							"2.2"));
	/* It ended: its address may be somebody else's. */
	*marked = '\0';
	change(KG_KIND_POD, "default", "web-2",
		"metadata: {labels: {app: web}}\nspec: {nodeName: n2}\n"
		"status: {podIP: 10.244.2.2, phase: Failed}\n");
	assert_string_equal(marked, "n2 ");
	assert_int_equal(publish(), 2);
	assert_told("n1", TOLD("10.244.1.2", "10.244.1.2,10.244.1.3,10.244.2.10"));
	change(KG_KIND_NETWORKPOLICY, "default", "p", NULL);
	pod("default", "web-2", "n2", "10.244.2.2", "{app: web}", "");
	assert_false(kgd_policies_pending(policies));
}

static double us_since(const struct timespec *t)
{
	struct timespec now;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
	return (double)(now.tv_sec - t->tv_sec) * 1e6 + (double)(now.tv_nsec - t->tv_nsec) / 1e3;
}

/* A namespace that changes, but not in its labels, concerns nobody. */
static void test_namespace_stays(void **state)
{
	(void)state;
	policy("p", FROM_WEB);
	*marked = '\0';
	for (int i = 0; i < 8; i++) {
		KG_AUTOFREE char *yaml =
			kg_asprintf("metadata: {labels: {team: b}, annotations: {a: \"%d\"}}\n", i);

		change(KG_KIND_NAMESPACE, "", "other", yaml);
	}
	assert_false(kgd_policies_pending(policies));
	assert_string_equal(marked, "");
}

/* A thousand policies in one namespace, each of its own pods and peers: one pod's change. */
static void test_cost(void **state)
{
	struct timespec t;
	double best = 1e9;

	(void)state;
	for (int i = 0; i < 1000; i++) {
		KG_AUTOFREE char *spec = kg_asprintf(
			"{podSelector: {matchLabels: {app: a%d}}, policyTypes: [Ingress], ingress: "
			"[{from: [{podSelector: {matchLabels: {app: b%d}}}]}]}",
			i, i);
		KG_AUTOFREE char *name = kg_asprintf("p%d", i);

		policy(name, spec);
	}
	pod("default", "a", "n3", "10.244.3.2", "{app: a7}", "");
	for (int i = 0; i < 50; i++) {
		KG_AUTOFREE char *ip = kg_asprintf("10.244.4.%d", i + 2);
		KG_AUTOFREE char *was = told("n3");

		pod("default", "b", "n4", ip, "{app: b7}", "");
		/* The change alone: of the last commit, taken over once more. */
		const struct kg_object *obj = kg_snapshot_get(s, KG_KIND_POD, "default", "b");
		struct kg_change c = {.after = (struct kg_object *)obj};

		clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
		kgd_policies_note(policies, s, &c, mark, NULL);
		publish();
		KG_AUTOFREE char *now = told("n3");
		double us = us_since(&t);
		best = us < best ? us : best;
		assert_string_not_equal(now, was);
	}
	print_message("1000 policies: a peer's change and the view of a node: %.1f us\n", best);
	assert_true(best < 5000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_cases, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_peers_move, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_namespace_stays, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_cost, set_up, tear_down),
	};
	kg_kinds_init();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
