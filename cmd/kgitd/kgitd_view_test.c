/* A node's view: what is in it, that its ids are git's, and that a pull holds only what changed. */
#include "base/hash.h"
#include "base/map.h"
#include "kgitd/view_private.h"
#include "value/json.h"
#include "value/yaml.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

static struct kg_snapshot *put(struct kg_snapshot *s, enum kg_kind_id kind, const char *ns,
	const char *name, const char *yaml, struct kg_change *change)
{
	struct kg_arena a KG_CLEANUP(kg_arena_release) = KG_ARENA_INIT;
	struct kg_txn *txn = kg_txn_new(s);
	struct kg_changes changes = {0};
	struct kg_snapshot *next;
	struct kg_value v;
	struct kg_error err;

	if (kg_yaml_load(&v, &a, yaml, strlen(yaml), &err) < 0)
		fail_msg("%s", err.msg);
	struct kg_object_spec spec = {.kind = &kg_kinds[kind], .ns = ns, .name = name, .value = &v};
	kg_txn_put(txn, kg_object_new(&spec));
	kg_txn_finish(txn, &next, &changes);
	if (change) {
		assert_int_equal(changes.len, 1);
		change->before = kg_object_ref(changes.items[0].before);
		change->after = kg_object_ref(changes.items[0].after);
		change->quiet = changes.items[0].quiet;
	}
	kg_changes_release(&changes);
	kg_snapshot_unref(s);
	return next;
}

static const struct kgd_shared_options ranges = {
	.service_cidr = "10.96.0.0/16", .pod_cidr = "10.244.0.0/16", .ca_pem = "the CA\n"};

static void release_change(struct kg_change *c)
{
	kg_object_unref(c->before);
	kg_object_unref(c->after);
}

static struct kg_snapshot *cluster(void)
{
	struct kg_snapshot *s = kg_snapshot_new("11111111-2222-3333-4444-555555555555");

	s = put(s, KG_KIND_NODE, "", "n1",
		"spec: {podCIDR: 10.244.0.0/24}\n"
		"status: {addresses: [{type: InternalIP, address: 10.0.0.1}],"
		" conditions: [{type: Ready, status: 'True'}]}\n",
		NULL);
	s = put(s, KG_KIND_CONFIGMAP, "default", "page", "data: {index: hello}\n", NULL);
	s = put(s, KG_KIND_CONFIGMAP, "default", "other", "data: {x: y}\n", NULL);
	s = put(s, KG_KIND_SECRET, "default", "page", "data: {key: c2VjcmV0}\n", NULL);
	s = put(s, KG_KIND_SECRET, "default", "env", "data: {key: ZW52}\n", NULL);
	s = put(s, KG_KIND_SECRET, "default", "pull", "data: {key: cHVsbA==}\n", NULL);
	s = put(s, KG_KIND_SECRET, "default", "other", "data: {key: aGlkZGVu}\n", NULL);
	s = put(s, KG_KIND_POD, "default", "web",
		"metadata: {name: web}\n"
		"spec: {nodeName: n1, imagePullSecrets: [{name: pull}, {name: no}],"
		" containers: [{name: c, env: [{name: A, valueFrom:"
		" {secretKeyRef: {name: env, key: key}}}]}],"
		" volumes: [{name: v, configMap: {name: page}},"
		" {name: w, projected: {sources: [{secret: {name: page}}, {secret: {name: no}}]}}]}"
		"\n"
		"status: {podIP: 10.244.0.2, phase: Pending}\n",
		NULL);
	s = put(s, KG_KIND_POD, "default", "elsewhere",
		"spec: {nodeName: n2, volumes: [{name: v, secret: {secretName: other}}]}\n", NULL);
	s = put(s, KG_KIND_SERVICE, "default", "web",
		"metadata: {uid: svc-uid}\n"
		"spec: {clusterIP: 10.96.0.9, type: ClusterIP, ports: [{name: http, port: 80,"
		" protocol: TCP}]}\n",
		NULL);
	s = put(s, KG_KIND_SERVICE, "default", "headless",
		"metadata: {uid: headless-uid}\n"
		"spec: {clusterIP: None, ports: [{name: sql, port: 1, protocol: TCP}]}\n",
		NULL);
	s = put(s, KG_KIND_ENDPOINTSLICE, "default", "headless-1",
		"metadata: {labels: {kubernetes.io/service-name: headless},"
		" ownerReferences: [{kind: Service, uid: headless-uid, controller: true}]}\n"
		"ports: [{name: sql, port: 5432}]\n"
		"endpoints: [{addresses: [10.244.0.4], hostname: db-0, conditions: {ready: true}},"
		" {addresses: [10.244.0.5], hostname: db-1, conditions: {ready: false}}]\n",
		NULL);
	s = put(s, KG_KIND_SERVICE, "default", "out",
		"spec: {type: ExternalName, externalName: db.example}\n", NULL);
	s = put(s, KG_KIND_ENDPOINTSLICE, "default", "web-1",
		"metadata: {labels: {kubernetes.io/service-name: web},"
		" ownerReferences: [{kind: Service, uid: svc-uid, controller: true}]}\n"
		"ports: [{name: http, port: 8080}]\n"
		"endpoints: [{addresses: [10.244.0.2], conditions: {ready: true}},"
		" {addresses: [10.244.0.3], conditions: {ready: false}}]\n",
		NULL);
	return s;
}

struct seen {
	struct kg_map texts; /* hex id -> text (heap) */
	size_t blobs, trees, commits;
};

static void collect(
	void *ctx, const char *type, const unsigned char oid[20], const void *p, size_t len)
{
	struct seen *seen = ctx;
	unsigned char want[20];
	char hex[41];

	kg_git_oid(want, type, p, len);
	assert_memory_equal(want, oid, 20);
	kg_hex(hex, oid, 20);
	assert_false(kg_map_has(&seen->texts, hex));
	kg_map_put(&seen->texts, hex, kg_strndup(p, len));
	seen->blobs += strcmp(type, "blob") == 0;
	seen->trees += strcmp(type, "tree") == 0;
	seen->commits += strcmp(type, "commit") == 0;
}

static void objects(struct seen *seen, const struct kgd_view *view, const struct kgd_view *have)
{
	struct kgd_object_sink sink = {.emit = collect, .ctx = seen};

	*seen = (struct seen){0};
	kgd_view_objects(view, have, &sink);
}

static bool has_text(const struct seen *seen, const char *part)
{
	struct kg_map_entry *e;

	for (size_t i = 0; (e = kg_map_next(&seen->texts, &i));)
		if (strstr(e->value, part))
			return true;
	return false;
}

static void release_seen(struct seen *seen)
{
	struct kg_map_entry *e;

	for (size_t i = 0; (e = kg_map_next(&seen->texts, &i));)
		free(e->value);
	kg_map_release(&seen->texts);
}

/* The cluster, and n1's view of it. */
struct began {
	struct kg_snapshot *s;
	struct kgd_shared *shared;
	struct kgd_view *first;
};

static struct began begin(void)
{
	struct began b = {.s = cluster()};

	b.shared = kgd_shared_new(b.s, &ranges);
	b.first = kgd_view_new(b.s, "n1", b.shared, NULL, NULL);
	return b;
}

static void end(struct began *b)
{
	kgd_view_unref(b->first);
	kgd_shared_unref(b->shared);
	kg_snapshot_unref(b->s);
}

static void holds_what_concerns_the_node(void **state)
{
	struct began b = begin();
	struct seen seen;

	(void)state;
	objects(&seen, b.first, NULL);
	/* node.yaml, nodes/n1, pods/default/web, configmaps/default/page,
	 * secrets/default/{env,page,pull}, services/default/{headless,out,web} */
	assert_int_equal(seen.blobs, 10);
	assert_int_equal(seen.commits, 1);
	assert_true(has_text(&seen, "podIP: 10.244.0.2"));
	assert_true(has_text(&seen, "index: hello"));
	assert_true(has_text(&seen, "key: c2VjcmV0"));
	assert_true(has_text(&seen, "key: ZW52"));
	assert_true(has_text(&seen, "key: cHVsbA=="));
	assert_false(has_text(&seen, "aGlkZGVu"));
	assert_true(has_text(&seen, "10.244.0.2:8080"));
	assert_false(has_text(&seen, "10.244.0.3:8080"));
	assert_false(has_text(&seen, "phase:"));
	assert_false(has_text(&seen, "x: y"));
	assert_false(has_text(&seen, "elsewhere"));
	assert_true(has_text(&seen, "hosts:\n- address: 10.244.0.4\n  hostname: db-0\n"));
	assert_true(has_text(&seen, "10.244.0.4:5432"));
	assert_false(has_text(&seen, "db-1"));
	assert_true(has_text(&seen, "externalName: db.example"));
	release_seen(&seen);
	end(&b);
}

static void status_does_not_move_it(void **state)
{
	struct began b = begin();
	struct kg_change change;

	(void)state;
	b.s = put(b.s, KG_KIND_POD, "default", "web",
		"metadata: {name: web}\n"
		"spec: {nodeName: n1, imagePullSecrets: [{name: pull}, {name: no}],"
		" containers: [{name: c, env: [{name: A, valueFrom:"
		" {secretKeyRef: {name: env, key: key}}}]}],"
		" volumes: [{name: v, configMap: {name: page}},"
		" {name: w, projected: {sources: [{secret: {name: page}}, {secret: {name: no}}]}}]}"
		"\n"
		"status: {podIP: 10.244.0.2, phase: Running}\n",
		&change);
	assert_null(kgd_view_node_of(&change, true));
	assert_null(kgd_view_node_of(&change, false));
	struct kgd_view *same = kgd_view_new(b.s, "n1", b.shared, NULL, b.first);
	assert_ptr_equal(same, b.first);
	release_change(&change);
	kgd_view_unref(same);
	end(&b);
}

static void a_pull_holds_the_difference(void **state)
{
	struct began b = begin();
	struct kg_change change;
	struct seen seen;

	(void)state;
	b.s = put(b.s, KG_KIND_POD, "default", "second", "spec: {nodeName: n1}\n", &change);
	assert_string_equal(kgd_view_node_of(&change, false), "n1");
	assert_false(kgd_view_is_shared(&change));
	struct kgd_view *next = kgd_view_new(b.s, "n1", b.shared, NULL, b.first);
	assert_ptr_not_equal(next, b.first);
	assert_string_not_equal(next->commit, b.first->commit);
	objects(&seen, next, b.first);
	/* One pod, its two trees and the root. */
	assert_int_equal(seen.blobs, 1);
	assert_int_equal(seen.trees, 3);
	assert_int_equal(seen.commits, 1);
	release_seen(&seen);
	release_change(&change);
	kgd_view_unref(next);
	end(&b);
}

/* By what it judges pods: its labels and taints, and nothing else of it. */
static void a_node_knows_its_labels(void **state)
{
	struct began b = begin();
	struct kg_change change;
	struct seen seen;

	(void)state;
	b.s = put(b.s, KG_KIND_NODE, "", "n1",
		"metadata: {labels: {disk: ssd}}\n"
		"spec: {podCIDR: 10.244.0.0/24, taints: [{key: k, effect: NoExecute}]}\n",
		&change);
	assert_string_equal(kgd_view_node_of(&change, false), "n1");
	release_change(&change);
	struct kgd_view *next = kgd_view_new(b.s, "n1", b.shared, NULL, b.first);
	objects(&seen, next, b.first);
	assert_true(has_text(&seen, "labels:\n  disk: ssd\n"));
	assert_true(has_text(&seen, "effect: NoExecute"));
	release_seen(&seen);
	b.s = put(b.s, KG_KIND_NODE, "", "n1",
		"metadata: {labels: {disk: ssd}}\n"
		"spec: {podCIDR: 10.244.0.0/24, taints: [{key: k, effect: NoExecute}]}\n"
		"status: {capacity: {cpu: '2'}}\n",
		&change);
	assert_null(kgd_view_node_of(&change, false));
	release_change(&change);
	kgd_view_unref(next);
	end(&b);
}

static void services_are_shared(void **state)
{
	struct began b = begin();
	struct kg_change change;
	struct seen seen;

	(void)state;
	b.s = put(b.s, KG_KIND_SERVICE, "default", "api",
		"spec: {clusterIP: 10.96.0.10, ports: [{port: 1, protocol: TCP}]}\n", &change);
	assert_true(kgd_view_is_shared(&change));
	struct kgd_shared *later = kgd_shared_new(b.s, &ranges);
	assert_false(kgd_shared_equal(b.shared, later));
	struct kgd_view *next = kgd_view_new(b.s, "n1", later, NULL, b.first);
	objects(&seen, next, b.first);
	assert_int_equal(seen.blobs, 1);
	assert_true(has_text(&seen, "10.96.0.10"));
	release_seen(&seen);
	release_change(&change);
	kgd_view_unref(next);
	kgd_shared_unref(later);
	end(&b);
}

/* What nodes are told of one service, as YAML; heap. */
static char *told(const struct kg_snapshot *s, const char *name)
{
	struct kg_arena a KG_CLEANUP(kg_arena_release) = KG_ARENA_INIT;
	struct kg_value v =
		kgd_service_map(&a, s, kg_snapshot_get(s, KG_KIND_SERVICE, "default", name));
	struct kg_buf b = KG_BUF_INIT;

	kg_json_write(&b, &v);
	return kg_buf_steal(&b);
}

/* Endpoints as slices say them, and what nodes are told: part of it. */
static void slices_are_merged(void **state)
{
#define SVC(more, ports)                                                                           \
	"spec: {clusterIP: 10.96.0.9, type: NodePort, ports: [" ports "]" more "}\n"
#define HTTP "{name: http, port: 80, protocol: TCP}"
#define SLICE(meta, ports, endpoints)                                                              \
	"{metadata: {labels: {kubernetes.io/service-name: web}" meta "}, ports: [" ports           \
	"], endpoints: [" endpoints "]}"
#define ONE(port) "{name: http, port: " port "}"
	static const struct {
		const char *svc, *slices[2], *want;
	} cases[] = {
		{SVC("", HTTP),
			{SLICE("", ONE("8080"), "{addresses: [192.0.2.7, 192.0.2.8]}"),
				SLICE("", ONE("81"),
					"{addresses: [192.0.2.7]}, {addresses: [192.0.2.9], "
					"conditions: {ready: false}}")},
			"\"endpoints\":[\"192.0.2.7:8080\",\"192.0.2.7:81\"]"},
		/* twice is once */
		{SVC("", HTTP),
			{SLICE("", ONE("80"), "{addresses: [192.0.2.7]}"),
				SLICE("", ONE("80"), "{addresses: [192.0.2.7]}")},
			"\"endpoints\":[\"192.0.2.7:80\"]"},
		/* by name and protocol */
		{SVC("", HTTP),
			{SLICE("", "{name: http, port: 8080, protocol: UDP}",
				 "{addresses: [192.0.2.7]}"),
				SLICE("", "{name: '', port: 80}", "{addresses: [192.0.2.7]}")},
			"\"endpoints\":[]"},
		{SVC("", "{port: 80}"),
			{SLICE("", "{port: 8080}", "{addresses: [192.0.2.7]}"),
				SLICE("", "{name: ''}", "{addresses: [192.0.2.8]}")},
			"\"endpoints\":[\"192.0.2.7:8080\"]"},
		/* the Service's own come first, then those of its slices; each once, as it is first
		 */
		{"spec: {clusterIP: None, ports: [{name: b, port: 1}, {name: b, port: 9}]}\n",
			{SLICE("", "{name: a, port: 2}, {name: b, port: 3}",
				 "{addresses: [192.0.2.7]}"),
				SLICE("", "{name: b, port: 4}, {name: a, port: 5, protocol: UDP}",
					"{addresses: [192.0.2.8]}")},
			"\"ports\":[{\"endpoints\":[\"192.0.2.7:3\",\"192.0.2.8:4\"],\"name\":"
			"\"b\",\"port\":1,\"protocol\":\"TCP\"},{\"endpoints\":[\"192.0.2.7:2\"],"
			"\"name\":\"a\",\"port\":2,\"protocol\":\"TCP\"},{\"endpoints\":["
			"\"192.0.2.8:5\"],\"name\":\"a\",\"port\":5,\"protocol\":\"UDP\"}]"},
		/* of no other Service, nor namespace */
		{SVC("", HTTP),
			{"{metadata: {labels: {kubernetes.io/service-name: we}}, ports: "
			 "[" ONE("1") "], endpoints: [{addresses: [192.0.2.7]}]}",
				NULL},
			"\"endpoints\":[]"},
		/* none is ready: those that end, but serve */
		{SVC("", HTTP),
			{SLICE("", ONE("1"),
				 "{addresses: [192.0.2.7], conditions: {ready: false, terminating: "
				 "true}}, {addresses: [192.0.2.8], conditions: {ready: false, "
				 "serving: false, terminating: true}}, {addresses: [192.0.2.9], "
				 "conditions: {ready: false, serving: true}}"),
				NULL},
			"\"endpoints\":[\"192.0.2.7:1\"],\"name\""},
		{SVC("", HTTP),
			{SLICE("", ONE("1"),
				 "{addresses: [192.0.2.7], conditions: {ready: false, terminating: "
				 "true}}, {addresses: [192.0.2.8]}"),
				NULL},
			"{\"endpoints\":[\"192.0.2.8:1\"],\"name\""},
		/* a node's own alone */
		{SVC(", externalTrafficPolicy: Local", HTTP),
			{SLICE("", ONE("1"),
				 "{addresses: [192.0.2.7], nodeName: n1, conditions: {ready: "
				 "false, "
				 "terminating: true}}, {addresses: [192.0.2.8]}"),
				NULL},
			"\"places\":[{\"address\":\"192.0.2.7\",\"nodeName\":\"n1\"},{\"address\":"
			"\"192.0.2.8\",\"nodeName\":\"\"}],\"ports\":[{\"draining\":[\"192.0.2.7:"
			"1\"],"
			"\"endpoints\":[\"192.0.2.8:1\"]"},
		/* a pod is where its address says, whoever names it, too */
		{SVC(", externalTrafficPolicy: Local", HTTP),
			{SLICE(", ownerReferences: [{kind: Service, uid: u, controller: true}]",
				 ONE("1"), "{addresses: [10.244.0.2], nodeName: n1}"),
				SLICE("", ONE("1"),
					"{addresses: [10.244.0.2]}, {addresses: [192.0.2.8]}")},
			"\"places\":[{\"address\":\"192.0.2.8\",\"nodeName\":\"\"}],\"ports\":[{"
			"\"endpoints\":[\"10.244.0.2:1\",\"192.0.2.8:1\"]"},
		/* addresses of its own; a headless one has none that lead anywhere */
		{SVC(", externalIPs: [192.0.2.1, 192.0.2.2]", HTTP), {NULL},
			"\"externalIPs\":[\"192.0.2.1\",\"192.0.2.2\"]"},
		{"spec: {clusterIP: None, externalIPs: [192.0.2.1]}\n", {NULL},
			"{\"clusterIP\":\"None\",\"hosts\":[]"},
		/* names: of all addresses, and of ports that the Service does not name itself */
		{"spec: {clusterIP: None}\n",
			{SLICE("", ONE("80"),
				 "{addresses: [192.0.2.7, 192.0.2.8], hostname: a}, {addresses: "
				 "[192.0.2.7], hostname: b}, {addresses: [192.0.2.9], conditions: "
				 "{ready: false}}"),
				NULL},
			"\"hosts\":[{\"address\":\"192.0.2.7\",\"hostname\":\"a\"},{\"address\":"
			"\"192.0.2.8\",\"hostname\":\"a\"},{\"address\":\"192.0.2.7\",\"hostname\":"
			"\"b\"}]"},
		{"spec: {clusterIP: None}\n",
			{SLICE("", ONE("80"), "{addresses: [192.0.2.7, 192.0.2.8]}"), NULL},
			"{\"endpoints\":[\"192.0.2.7:80\",\"192.0.2.8:80\"],\"name\":\"http\","
			"\"port\":80,\"protocol\":\"TCP\"}"},
	};

	(void)state;
	for (size_t i = 0; i < KG_ARRAY_LEN(cases); i++) {
		struct kg_snapshot *s = kg_snapshot_new("11111111-2222-3333-4444-555555555555");

		s = put(s, KG_KIND_SERVICE, "default", "web", cases[i].svc, NULL);
		s = put(s, KG_KIND_ENDPOINTSLICE, "other", "a",
			SLICE("", ONE("9"), "{addresses: [192.0.2.99]}"), NULL);
		for (size_t k = 0; k < 2 && cases[i].slices[k]; k++)
			s = put(s, KG_KIND_ENDPOINTSLICE, "default", k ? "b" : "a",
				cases[i].slices[k], NULL);
		KG_AUTOFREE char *got = told(s, "web");
		if (!strstr(got, cases[i].want))
			fail_msg("case %zu: %s is not in\n%s", i, cases[i].want, got);
		kg_snapshot_unref(s);
	}
}

enum { PORTS = 20000 }; /* of a slice: as many as may be */

/* `text` with as many ports as may be in the place of its '%'. */
static struct kg_snapshot *put_many(
	struct kg_snapshot *s, enum kg_kind_id kind, const char *name, const char *text)
{
	KG_AUTOBUF struct kg_buf b = KG_BUF_INIT;
	size_t before = strcspn(text, "%");

	kg_buf_add(&b, text, before);
	for (int i = 1; i <= PORTS; i++)
		kg_buf_addf(&b, "%s{name: p%d, port: %d}", i > 1 ? ", " : "", i, i);
	kg_buf_adds(&b, text + before + 1);
	return put(s, kind, "default", name, kg_buf_str(&b), NULL);
}

static double cpu_seconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* Ports are found by their names, not looked for: 4e8 comparisons would be of seconds. */
static void many_ports_are_told(void **state)
{
	static const struct {
		const char *svc;
		int slices;
		const char *first, *last;
	} cases[] = {
		{"spec: {clusterIP: None}\n", 1, "\"192.0.2.7:1\"", "\"192.0.2.7:20000\""},
		{"spec: {clusterIP: None, ports: [%]}\n", 2, "\"192.0.2.7:1\",\"192.0.2.8:1\"",
			"\"192.0.2.7:20000\",\"192.0.2.8:20000\""},
		{"spec: {clusterIP: 10.96.0.9, ports: [%]}\n", 2, "\"192.0.2.7:1\",\"192.0.2.8:1\"",
			"\"192.0.2.7:20000\",\"192.0.2.8:20000\""},
	};

	(void)state;
	for (size_t i = 0; i < KG_ARRAY_LEN(cases); i++) {
		struct kg_snapshot *s = kg_snapshot_new("11111111-2222-3333-4444-555555555555");
		struct kg_arena a KG_CLEANUP(kg_arena_release) = KG_ARENA_INIT;

		s = strchr(cases[i].svc, '%')
			    ? put_many(s, KG_KIND_SERVICE, "web", cases[i].svc)
			    : put(s, KG_KIND_SERVICE, "default", "web", cases[i].svc, NULL);
		for (int k = 0; k < cases[i].slices; k++)
			s = put_many(s, KG_KIND_ENDPOINTSLICE, k ? "b" : "a",
				k ? SLICE("", "%", "{addresses: [192.0.2.8]}")
				  : SLICE("", "%", "{addresses: [192.0.2.7]}"));
		double began = cpu_seconds();
		struct kg_value v = kgd_service_map(
			&a, s, kg_snapshot_get(s, KG_KIND_SERVICE, "default", "web"));
		double took = cpu_seconds() - began;
		print_message("case %zu: %d ports in %.3f s\n", i, PORTS, took);
		assert_true(took < 3);
		const struct kg_value *ports = kg_get(&v, "ports");
		assert_int_equal(kg_len(ports), PORTS);
		for (int k = 0; k < 2; k++) {
			KG_AUTOBUF struct kg_buf b = KG_BUF_INIT;
			const char *want = k ? cases[i].last : cases[i].first;
			KG_AUTOFREE char *list = kg_asprintf("[%s]", want);

			kg_json_write(&b, kg_get(&ports->items[k ? PORTS - 1 : 0], "endpoints"));
			assert_string_equal(kg_buf_str(&b), list);
		}
		kg_snapshot_unref(s);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(holds_what_concerns_the_node),
		cmocka_unit_test(status_does_not_move_it),
		cmocka_unit_test(a_pull_holds_the_difference),
		cmocka_unit_test(a_node_knows_its_labels),
		cmocka_unit_test(services_are_shared),
		cmocka_unit_test(slices_are_merged),
		cmocka_unit_test(many_ports_are_told),
	};

	kg_kinds_init();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
