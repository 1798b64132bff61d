/* Objects that are there without anybody's writing them: read, and told to who watches. */
#include "testclient.h"

#include <inttypes.h>
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

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

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lists),
		cmocka_unit_test(test_objects),
		cmocka_unit_test(test_watches),
		cmocka_unit_test(test_exactly),
	};

	return cmocka_run_group_tests(tests, setup, server_teardown);
}
