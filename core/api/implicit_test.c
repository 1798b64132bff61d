/* Objects that are there without anybody's writing them: read, and told to who watches. */
#include "testclient.h"

#include "base/map.h"

#include <inttypes.h>
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* What the master is told to be; the empty list keeps it from being a manifest's. */
#define CLUSTER(ca, address)                                                                       \
	"apiVersion: v1\nkind: ConfigMap\nmetadata: {name: kgit-cluster, namespace: kube-system, " \
	"uid: 6ba7b810-9dad-11d1-80b4-00c04fd430c9, creationTimestamp: "                           \
	"\"2026-01-01T00:00:00Z\", ownerReferences: []}\n"                                         \
	"data: {ca.crt: \"" ca "\", address: \"" address "\", service: 10.96.0.1}\n"
#define SPACE(name, n)                                                                             \
	"apiVersion: v1\nkind: Namespace\nmetadata: {name: " name                                  \
	", uid: 6ba7b810-9dad-11d1-80b4-00c04fd430" n ", creationTimestamp: "                      \
	"\"2026-01-01T00:00:00Z\"}\n"
#define LABELLED_SPACE(label)                                                                      \
	"apiVersion: v1\nkind: Namespace\nmetadata: {name: b, labels: {l: " label "}, uid: "       \
	"6ba7b810-9dad-11d1-80b4-00c04fd430d3}\n"
#define ACCOUNT(ns)                                                                                \
	"apiVersion: v1\nkind: ServiceAccount\nmetadata: {name: default, namespace: " ns           \
	", uid: mine}\n"

static uint64_t commit(const char *yaml)
{
	test_put_yaml(&server, yaml);
	return test_commit(&server);
}

static int setup(void **state)
{
	(void)state;
	server_setup((struct kg_api_options){.wait_ms = 300, .max_feed = 30});
	commit(SPACE("kube-system", "d0"));
	commit(CLUSTER("one", "192.0.2.1:6443"));
	commit(SPACE("a-b", "d1") "---\n" SPACE("a", "d2"));
	return 0;
}

/* "NS/NAME NS/NAME" of a list, page by page. */
static char *names(const char *path, int limit)
{
	struct kg_buf b = KG_BUF_INIT;
	KG_AUTOFREE char *token = kg_strdup("");

	do {
		KG_AUTOFREE char *url = kg_asprintf("%s%slimit=%d&continue=%s", path,
			strchr(path, '?') ? "&" : "?", limit, token);
		ANSWER list = get(url);

		assert_int_equal(list.status, 200);
		const struct kg_value *items = kg_get(&list.v, "items");
		for (uint32_t i = 0; i < kg_len(items); i++) {
			const struct kg_value *md = kg_get(&items->items[i], "metadata");

			kg_buf_addf(&b, "%s%s/%s", b.len ? " " : "",
				kg_string(kg_get(md, "namespace"), ""),
				kg_string(kg_get(md, "name"), ""));
		}
		free(token);
		token = kg_strdup(kg_string(kg_at(&list.v, "metadata.continue"), ""));
		if (*token) { /* what remains is counted right */
			int64_t left = kg_int(kg_at(&list.v, "metadata.remainingItemCount"), -1);

			kg_buf_addf(&b, "(%d)", (int)left);
		}
	} while (*token);
	return kg_buf_steal(&b);
}

static void test_lists(void **state)
{
	static const struct {
		const char *path;
		int limit;
		const char *names;
	} cases[] = {
		{"/api/v1/serviceaccounts", 0,
			"a-b/default a/default default/default kube-system/default"},
		{"/api/v1/serviceaccounts", 3,
			"a-b/default a/default default/default(1) kube-system/default"},
		{"/api/v1/serviceaccounts", 1,
			"a-b/default(3) a/default(2) default/default(1) kube-system/default"},
		{"/api/v1/namespaces/a/serviceaccounts", 0, "a/default"},
		{"/api/v1/namespaces/none/serviceaccounts", 0, ""},
		{"/api/v1/namespaces/kube-system/configmaps", 1,
			"kube-system/kgit-cluster(-1) kube-system/kube-root-ca.crt"},
		{"/api/v1/configmaps?fieldSelector=metadata.name%3Dkube-root-ca.crt", 3,
			"a-b/kube-root-ca.crt a/kube-root-ca.crt default/kube-root-ca.crt(-1) "
			"kube-system/kube-root-ca.crt"},
		{"/api/v1/services?fieldSelector=metadata.name%3Dkubernetes", 0,
			"default/kubernetes"},
		{"/api/v1/namespaces/a/services", 0, ""},
		{"/apis/discovery.k8s.io/v1/endpointslices?labelSelector="
		 "kubernetes.io/service-name%3Dkubernetes",
			0, "default/kubernetes"},
		{"/api/v1/endpoints?labelSelector=endpointslice.kubernetes.io/skip-mirror", 0,
			"default/kubernetes"},
		{"/api/v1/serviceaccounts?labelSelector=a", 0, ""},
	};
	(void)state;

	for (size_t i = 0; i < KG_ARRAY_LEN(cases); i++) {
		KG_AUTOFREE char *got = names(cases[i].path, cases[i].limit);

		print_message("%s by %d\n", cases[i].path, cases[i].limit);
		assert_string_equal(got, cases[i].names);
	}
}

static void test_objects(void **state)
{
	static const struct {
		const char *path, *at, *value;
	} cases[] = {
		{"/api/v1/namespaces/a/serviceaccounts/default", "metadata.resourceVersion", "4"},
		{"/api/v1/namespaces/a/configmaps/kube-root-ca.crt", "data",
			"{\"ca.crt\":\"one\"}"},
		{"/api/v1/namespaces/default/configmaps/kube-root-ca.crt",
			"metadata.resourceVersion", "3"},
		{"/api/v1/namespaces/default/services/kubernetes", "spec.clusterIP", "10.96.0.1"},
		{"/api/v1/namespaces/default/services/kubernetes", "spec.ports",
			"[{\"name\":\"https\",\"port\":443,\"protocol\":\"TCP\",\"targetPort\":"
			"6443}]"},
		{"/apis/discovery.k8s.io/v1/namespaces/default/endpointslices/kubernetes",
			"endpoints",
			"[{\"addresses\":[\"192.0.2.1\"],\"conditions\":{\"ready\":true}}]"},
		{"/apis/discovery.k8s.io/v1/namespaces/default/endpointslices/kubernetes",
			"addressType", "IPv4"},
		{"/api/v1/namespaces/default/endpoints/kubernetes", "subsets",
			"[{\"addresses\":[{\"ip\":\"192.0.2.1\"}],\"ports\":[{\"name\":\"https\","
			"\"port\":6443,\"protocol\":\"TCP\"}]}]"},
		{"/api/v1/namespaces/none/configmaps/kube-root-ca.crt", "code", "404"},
		{"/api/v1/namespaces/a/services/kubernetes", "code", "404"},
	};
	(void)state;

	for (size_t i = 0; i < KG_ARRAY_LEN(cases); i++) {
		ANSWER a = get(cases[i].path);
		KG_AUTOBUF struct kg_buf text = KG_BUF_INIT;
		const struct kg_value *v = kg_at(&a.v, cases[i].at);

		if (v->type == KG_STRING)
			kg_buf_adds(&text, v->s);
		else
			kg_json_write(&text, v);
		print_message("%s %s\n", cases[i].path, cases[i].at);
		assert_string_equal(kg_buf_str(&text), cases[i].value);
	}
}

static int told_until = INT_MAX; /* what is told after that revision, from base, is left out */

/* "ADDED a/default@5": namespaces, names and revisions counted from base. */
static char *story(const char *path, uint64_t base)
{
	struct kg_buf b = KG_BUF_INIT;
	STREAM s = watch("%s?watch=1&timeoutSeconds=1&resourceVersion=%" PRIu64, path, base);

	for (size_t i = 0; i < s.n; i++) {
		const struct kg_value *md = kg_at(&s.lines[i], "object.metadata");
		uint64_t rv = strtoull(kg_string(kg_get(md, "resourceVersion"), "0"), NULL, 10);
		const char *ca =
			kg_string(kg_get(kg_at(&s.lines[i], "object.data"), "ca.crt"), NULL);

		if ((int)(rv - base) > told_until)
			break;
		kg_buf_addf(&b, "%s%s %s/%s@%d%s%s", i ? " " : "",
			kg_string(kg_get(&s.lines[i], "type"), ""),
			kg_string(kg_get(md, "namespace"), ""), kg_string(kg_get(md, "name"), ""),
			(int)(rv - base), ca ? "=" : "", ca ? ca : "");
	}
	return kg_buf_steal(&b);
}

#define SA        "/api/v1/serviceaccounts"
#define CM        "/api/v1/namespaces/b/configmaps"
#define ALL_CM    "/api/v1/configmaps"
#define SLICES    "/apis/discovery.k8s.io/v1/endpointslices"
#define ENDPOINTS "/api/v1/endpoints"
#define EVERY_SPACE(type, ca)                                                                      \
	type " a-b/kube-root-ca.crt@9=" ca " " type " a/kube-root-ca.crt@9=" ca " " type           \
	     " default/kube-root-ca.crt@9=" ca " " type " kube-system/kgit-cluster@9=" ca " " type \
	     " kube-system/kube-root-ca.crt@9=" ca

#define LABELLED "MODIFIED b/kube-root-ca.crt@2=one MODIFIED b/kube-root-ca.crt@4=one "
#define TAKEN    "DELETED b/kube-root-ca.crt@6=one ADDED b/kube-root-ca.crt@6=own "

static void tell_all(uint64_t base, bool live)
{
	static const struct {
		const char *path, *story;
	} cases[] = {
		{SA, "ADDED b/default@1 MODIFIED b/default@2 DELETED b/default@3 ADDED b/default@3 "
		     "DELETED b/default@5 ADDED b/default@5 DELETED a/default@7 ADDED a/default@7 "
		     "DELETED b/default@8"},
		{CM, "ADDED b/kube-root-ca.crt@1=one " LABELLED TAKEN
		     "DELETED b/kube-root-ca.crt@8=own"},
		{ALL_CM, "ADDED b/kube-root-ca.crt@1=one " LABELLED TAKEN
			 "DELETED b/kube-root-ca.crt@8=own " EVERY_SPACE("MODIFIED", "two")},
		{SLICES, "MODIFIED default/kubernetes@9"},
		{"/api/v1/services", "MODIFIED default/kubernetes@9"},
		{ENDPOINTS, "DELETED default/kubernetes@9"}, /* which have no names */
	};

	for (size_t i = 0; i < KG_ARRAY_LEN(cases) - !live; i++) {
		KG_AUTOFREE char *got = story(cases[i].path, base);

		print_message("%s %s\n", cases[i].path, live ? "live" : "from the history");
		assert_string_equal(got, cases[i].story);
	}
}

static void test_watches(void **state)
{
	/* One change alone: nothing of it is told again. */
	uint64_t base = commit_configmap("calm", 1, "x");

	(void)state;
	commit(SPACE("b", "d3"));
	/* A label of the namespace is a change of what it has: of its resourceVersion. */
	commit(LABELLED_SPACE("m"));
	commit(ACCOUNT("b"));
	/* Of the account, whose place is taken, it is none. */
	commit(LABELLED_SPACE("n"));
	test_delete(&server, KG_KIND_SERVICEACCOUNT, "b", "default");
	test_commit(&server);
	commit("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: kube-root-ca.crt, namespace: "
	       "b}\ndata: {ca.crt: own}\n");
	commit(ACCOUNT("a"));
	test_delete(&server, KG_KIND_NAMESPACE, "", "b");
	test_delete(&server, KG_KIND_CONFIGMAP, "b", "kube-root-ca.crt");
	test_commit(&server);
	commit(CLUSTER("two", "kgit.example:6443"));
	tell_all(base, true);
	/* Memory moves on. */
	for (int i = 0; i < 50; i++) {
		KG_AUTOFREE char *yaml = kg_asprintf(
			"apiVersion: v1\nkind: ServiceAccount\nmetadata: {name: churn, namespace: "
			"x}\nsecrets: [{name: s%d}]\n---\napiVersion: v1\nkind: Service\nmetadata: "
			"{name: churn, namespace: x}\nspec: {externalName: s%d}\n",
			i, i);

		commit(yaml);
		commit_configmap("churn", i, "x");
	}
	told_until = 9;
	tell_all(base, false);
}

/* An old revision has what it had. */
static void test_exactly(void **state)
{
	(void)state;
	ANSWER old = get("/api/v1/namespaces/a/configmaps?resourceVersion=4&resourceVersionMatch="
			 "Exact");
	ANSWER first = get("/api/v1/configmaps?resourceVersion=2&resourceVersionMatch=Exact");
	ANSWER now = get("/api/v1/namespaces/a/configmaps/kube-root-ca.crt");
	ANSWER named = get("/apis/discovery.k8s.io/v1/namespaces/default/endpointslices/"
			   "kubernetes");
	ANSWER none = get("/api/v1/namespaces/default/endpoints/kubernetes");

	assert_non_null(strstr(kg_buf_str(&old.body), "\"ca.crt\":\"one\""));
	assert_null(strstr(kg_buf_str(&first.body), "ca.crt"));
	assert_non_null(strstr(kg_buf_str(&now.body), "\"ca.crt\":\"two\""));
	assert_string_equal(at(&named, "addressType"), "FQDN");
	assert_int_equal(none.status, 404); /* Endpoints have no names */
}

/* Endpoints that are manifests among those that are made of slices, page by page. */
static void test_stored_endpoints(void **state)
{
#define ENDPOINTS_OF(name)                                                                         \
	"---\napiVersion: v1\nkind: Endpoints\nmetadata: {name: " name                             \
	", namespace: a}\nsubsets: [{addresses: [{ip: 192.0.2.7}], ports: [{port: 80}]}]\n"
	(void)state;
	commit("apiVersion: v1\nkind: Service\nmetadata: {name: m, namespace: a, uid: "
	       "8b0e4f5a-0000-4000-8000-00000000000a}\n"
	       "---\napiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\nmetadata: {name: m-x, "
	       "namespace: a, labels: {kubernetes.io/service-name: m}, ownerReferences: [{kind: "
	       "Service, name: m, controller: true, uid: 8b0e4f5a-0000-4000-8000-00000000000a}]}\n"
	       "endpoints: [{addresses: [10.244.0.2]}]\n" ENDPOINTS_OF("b") ENDPOINTS_OF("z"));
	static const char want[] = "a/b a/m a/z default/web";
	for (int limit = 1; limit < 6; limit++) {
		KG_AUTOFREE char *all = names(ENDPOINTS, limit);
		KG_AUTOFREE char *text = kg_strdup("");
		for (char *word = strtok(all, " "); word; word = strtok(NULL, " ")) {
			char *more = kg_asprintf(
				"%s%s%.*s", text, *text ? " " : "", (int)strcspn(word, "("), word);
			free(text);
			text = more;
		}
		assert_string_equal(text, want);
	}
	ANSWER one = get("/api/v1/namespaces/a/endpoints/z");
	assert_string_equal(at(&one, "subsets.0.addresses.0.ip"), "192.0.2.7");
	ANSWER made = get("/api/v1/namespaces/a/endpoints/m");
	assert_string_equal(at(&made, "subsets.0.addresses.0.ip"), "10.244.0.2");
	test_delete(&server, KG_KIND_SERVICE, "a", "m");
	test_delete(&server, KG_KIND_ENDPOINTSLICE, "a", "m-x");
	test_delete(&server, KG_KIND_ENDPOINTS, "a", "b");
	test_delete(&server, KG_KIND_ENDPOINTS, "a", "z");
	test_commit(&server);
}

/* A stored object that holds the place when its namespace comes, and when that goes. */
static void test_a_place_that_is_held(void **state)
{
	uint64_t base = commit_configmap("calmer", 1, "x");

	(void)state;
	told_until = INT_MAX;
	commit(ACCOUNT("held"));
	commit(SPACE("held", "d9"));
	test_delete(&server, KG_KIND_NAMESPACE, "", "held");
	test_commit(&server);
	for (int live = 1; live >= 0; live--) {
		KG_AUTOFREE char *got = story("/api/v1/namespaces/held/serviceaccounts", base);

		assert_string_equal(got, "ADDED held/default@1");
		for (int i = 0; live && i < 50; i++) {
			KG_AUTOFREE char *yaml = kg_asprintf(
				"apiVersion: v1\nkind: ServiceAccount\nmetadata: {name: churn, "
				"namespace: x}\nsecrets: [{name: s%d}]\n",
				i);

			commit(yaml);
		}
	}
}

/* ---- what is told adds up to what is listed ---- */

/* By "NAMESPACE/NAME": "uid@resourceVersion"; "uid@" of one that has its place again. */
static void hold(struct kg_map *m, const struct kg_value *obj, const char *type)
{
	const struct kg_value *md = kg_get(obj, "metadata");
	KG_AUTOFREE char *key = kg_asprintf(
		"%s/%s", kg_string(kg_get(md, "namespace"), ""), kg_string(kg_get(md, "name"), ""));
	const char *uid = kg_string(kg_get(md, "uid"), ""),
		   *rv = kg_string(kg_get(md, "resourceVersion"), "");
	char *has = kg_map_get(m, key);
	bool gone = !has || !*has, again = has && !*has && strncmp(uid, "own-", 4) != 0;
	bool same = !gone && !strncmp(has, uid, strlen(uid)) && has[strlen(uid)] == '@';

	if (*type == 'A' ? !gone : !same)
		fail_msg("%s %s %s, and there is %s", type, key, uid, gone ? "nothing" : has);
	kg_map_put(
		m, key, *type == 'D' ? kg_strdup("") : kg_asprintf("%s@%s", uid, again ? "" : rv));
	free(has);
}

/* Since when it has its place again, a list does not say. */
static void leave_open(struct kg_map *listed, struct kg_map *told)
{
	struct kg_map_entry *e;

	for (size_t i = 0; (e = kg_map_next(told, &i));) {
		char *text = e->value, *is = kg_map_get(listed, e->key);

		if (*text && text[strlen(text) - 1] == '@' && is &&
			!strncmp(is, text, strlen(text)))
			is[strlen(text)] = '\0';
	}
}

static char *list_of(struct kg_map *m)
{
	KG_AUTOFREE struct kg_map_entry **e = kg_map_sorted(m);
	struct kg_buf b = KG_BUF_INIT;

	for (size_t i = 0; i < m->count; i++)
		if (*(char *)e[i]->value)
			kg_buf_addf(&b, "%s=%s\n", e[i]->key, (char *)e[i]->value);
	return kg_buf_steal(&b);
}

static void forget(struct kg_map *m)
{
	struct kg_map_entry *e;

	for (size_t i = 0; (e = kg_map_next(m, &i));)
		free(e->value);
	kg_map_release(m);
}

static void list_at(struct kg_map *m, const char *path, uint64_t revision)
{
	KG_AUTOFREE char *url = kg_asprintf(
		"%s?resourceVersion=%" PRIu64 "&resourceVersionMatch=Exact", path, revision);
	ANSWER list = get(url);
	const struct kg_value *items = kg_get(&list.v, "items");

	assert_int_equal(list.status, 200);
	for (uint32_t i = 0; i < kg_len(items); i++)
		hold(m, &items->items[i], "ADDED");
}

static void check_sum(const char *path, uint64_t from, uint64_t to)
{
	struct kg_map told = KG_MAP_INIT, is = KG_MAP_INIT;
	list_at(&told, path, from);
	list_at(&is, path, to);
	KG_AUTOFREE char *before = list_of(&told);
	STREAM s = watch("%s?watch=1&timeoutSeconds=1&resourceVersion=%" PRIu64, path, from);
	bool fresh = false;

	for (size_t i = 0; i < s.n; i++) {
		const struct kg_value *obj = kg_get(&s.lines[i], "object");
		uint64_t rv =
			strtoull(kg_string(kg_at(obj, "metadata.resourceVersion"), "0"), NULL, 10);

		fresh |= rv > from; /* what is told of `from` itself is told again */
		if (fresh && rv <= to)
			hold(&told, obj, kg_string(kg_get(&s.lines[i], "type"), ""));
	}
	leave_open(&is, &told);
	KG_AUTOFREE char *got = list_of(&told);
	KG_AUTOFREE char *wanted = list_of(&is);
	if (strcmp(got, wanted) != 0)
		fail_msg("%s from %" PRIu64 " to %" PRIu64 ": it was\n%sand told is\n%sand "
			 "listed\n%s",
			path, from, to, before, got, wanted);
	forget(&told);
	forget(&is);
}

enum { SPACES = 4, ROUNDS = 3, CHANGES = 25 };
struct play {
	unsigned seed, n;
	bool space[SPACES], account[SPACES], map[SPACES];
};

static const char *const play_spaces[SPACES] = {"p", "p-q", "q", "r"};

static void put_play(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
static void put_play(const char *fmt, ...)
{
	KG_AUTOBUF struct kg_buf b = KG_BUF_INIT;
	va_list ap;

	va_start(ap, fmt);
	kg_buf_addv(&b, fmt, ap);
	va_end(ap);
	test_put_yaml(&server, b.data);
}

static void put_space(struct play *p, unsigned i, bool another)
{
	put_play("apiVersion: v1\nkind: Namespace\nmetadata: {name: %s, uid: "
		 "6ba7b810-9dad-11d1-80b4-0000000%c%04x, labels: {n: n%u}}\n",
		play_spaces[i], another ? 'a' : 'b', i, p->n);
	p->space[i] = true;
}

/* One change, as the reconciler leaves them: what is stored goes with its namespace. */
static void play_one(struct play *p)
{
	unsigned i = (unsigned)rand_r(&p->seed) % SPACES, what = (unsigned)rand_r(&p->seed) % 8;
	const char *ns = play_spaces[i];

	p->n++;
	if (!p->space[i] || what == 0) {
		put_space(p, i, p->n % 2);
	} else if (what == 1) {
		test_delete(&server, KG_KIND_NAMESPACE, "", ns);
		if (p->account[i])
			test_delete(&server, KG_KIND_SERVICEACCOUNT, ns, "default");
		if (p->map[i])
			test_delete(&server, KG_KIND_CONFIGMAP, ns, "kube-root-ca.crt");
		p->space[i] = p->account[i] = p->map[i] = false;
	} else if (what == 2) {
		put_play(CLUSTER("%s", "192.0.2.1:6443"), p->n % 2 ? "odd" : "even");
	} else if (what < 6) {
		if (p->account[i] && what == 3)
			test_delete(&server, KG_KIND_SERVICEACCOUNT, ns, "default");
		else
			put_play("apiVersion: v1\nkind: ServiceAccount\nmetadata: {name: default, "
				 "namespace: %s, uid: own-%s-%u, labels: {n: n%u}}\n",
				ns, ns, p->n / 3, p->n);
		p->account[i] = !(p->account[i] && what == 3);
	} else {
		if (p->map[i] && what == 6)
			test_delete(&server, KG_KIND_CONFIGMAP, ns, "kube-root-ca.crt");
		else
			put_play("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: "
				 "kube-root-ca.crt, namespace: %s, uid: own-%s-%u}\ndata: {n: "
				 "n%u}\n",
				ns, ns, p->n / 3, p->n);
		p->map[i] = !(p->map[i] && what == 6);
	}
}

static void test_any_changes(void **state)
{
	static const char *const paths[] = {"/api/v1/serviceaccounts", "/api/v1/configmaps"};
	struct play p = {.seed = 7};
	uint64_t ends[ROUNDS + 1] = {commit_configmap("calmest", 1, "x")};

	(void)state;
	for (int round = 0; round < ROUNDS; round++) {
		for (int i = 0; i < CHANGES; i++) {
			play_one(&p);
			ends[round + 1] = test_commit(&server);
		}
		for (size_t k = 0; k < KG_ARRAY_LEN(paths); k++)
			check_sum(paths[k], ends[round], ends[round + 1]);
	}
	for (size_t k = 0; k < KG_ARRAY_LEN(paths); k++)
		check_sum(paths[k], ends[0], ends[1]); /* by now of the history */
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lists),
		cmocka_unit_test(test_objects),
		cmocka_unit_test(test_watches),
		cmocka_unit_test(test_exactly),
		cmocka_unit_test(test_stored_endpoints),
		cmocka_unit_test(test_a_place_that_is_held),
		cmocka_unit_test(test_any_changes),
	};

	return cmocka_run_group_tests(tests, setup, server_teardown);
}
