#include "testserver.h"

#include "base/hash.h"
#include "pki/pki.h"
#include "value/json.h"

#include <assert.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

static const struct kg_user admin = {
	.name = "admin", .groups = {"system:masters", "system:authenticated"}, .ngroups = 2};

static _Noreturn void die(const char *what, const struct kg_error *err)
{
	fprintf(stderr, "test server: %s: %s\n", what, err ? err->msg : "");
	abort();
}

/* ---- the history ---- */

static int load(void *self, struct kg_snapshot **out, uint64_t revision, struct kg_error *err)
{
	struct test_server *s = self;
	int rc = 0;

	pthread_mutex_lock(&s->lock);
	if (revision < s->oldest)
		rc = kg_fail(err, KG_E_GONE, "revision %llu is gone", (unsigned long long)revision);
	else if (!revision || revision > s->ncommits)
		rc = kg_fail(err, KG_E_NOT_FOUND, "no such revision");
	else
		*out = kg_snapshot_ref(s->commits[revision - 1]->snapshot);
	pthread_mutex_unlock(&s->lock);
	return rc;
}

static struct kg_commit_event *commit_at(struct test_server *s, uint64_t revision)
{
	struct kg_commit_event *e = NULL;

	pthread_mutex_lock(&s->lock);
	if (revision <= s->ncommits)
		e = kg_commit_event_ref(s->commits[revision - 1]);
	pthread_mutex_unlock(&s->lock);
	return e;
}

static int changes(void *self, uint64_t from, uint64_t to, size_t most,
	int (*fn)(void *ctx, uint64_t revision, kg_time time, const struct kg_changes *changes),
	void *ctx, struct kg_error *err)
{
	struct test_server *s = self;
	int rc = 0;

	if (from < s->oldest)
		return kg_fail(err, KG_E_GONE, "revision %llu is gone", (unsigned long long)from);
	for (uint64_t r = from + 1; r <= to && !rc; r++) {
		struct kg_commit_event *e = commit_at(s, r);

		assert(e);
		bool large = most && e->changes.len > most;
		if (!large)
			rc = fn(ctx, r, e->time, &e->changes);
		kg_commit_event_unref(e);
		if (large)
			return kg_fail(err, KG_E_TOO_LARGE, "a large revision");
	}
	return 0;
}

static uint64_t oldest(void *self)
{
	struct test_server *s = self;

	return s->oldest;
}

static const struct kg_api_history history = {load, changes, oldest};

/* ---- the server ---- */

static kg_time test_clock(void *ctx)
{
	return ((struct test_server *)ctx)->now;
}

static bool test_lease(void *ctx, const char *node, struct kg_api_lease *out)
{
	struct test_server *s = ctx;

	(void)node;
	*out = (struct kg_api_lease){s->now - 60000, s->now - 1000, 40};
	return true;
}

static bool test_usage(void *ctx, const char *node, struct kg_api_usage *out)
{
	struct test_server *s = ctx;
	struct kg_arena a = KG_ARENA_INIT;
	struct kg_value v;
	struct kg_error err;

	if (!s->used || strcmp(node, "n1") != 0)
		return false;
	if (kg_json_parse(&v, &a, s->used, strlen(s->used), &err) == 0)
		*out = (struct kg_api_usage){kg_doc_new(&v, NULL, 0), s->now};
	kg_arena_release(&a);
	return out->said != NULL;
}

static bool router(struct kg_http_req *req, struct kg_http_route *route, void *ctx)
{
	struct test_server *s = ctx;

	return kg_api_route(s->api, req, s->as ? s->as : &admin, route);
}

static void make_certificates(struct test_server *s)
{
	struct kg_error err;
	kg_time from = 1700000000000, to = from + 3600 * 24 * 365 * 20 * 1000LL;
	struct kg_pki_cert server = {.cn = "kgit",
		.sans = (const char *const[]){"127.0.0.1", "localhost", NULL},
		.server = true,
		.not_before = from,
		.not_after = to};
	struct kg_pki_cert client = {.cn = "admin",
		.orgs = (const char *const[]){"system:masters", NULL},
		.client = true,
		.not_before = from,
		.not_after = to};

	if (kg_pki_ca_new(&s->ca, &s->ca_key, "test", time(NULL) * 1000LL, &err) ||
		kg_pki_key_new(&s->server_key, &err) || kg_pki_key_new(&s->key, &err) ||
		kg_pki_issue(&s->server_cert, s->ca, s->ca_key, s->server_key, &server, &err) ||
		kg_pki_issue(&s->cert, s->ca, s->ca_key, s->key, &client, &err))
		die("certificates", &err);
}

void test_server_start(struct test_server *s, struct kg_api_options opts, size_t max_changes)
{
	struct kg_snapshot *empty = kg_snapshot_new("6ba7b810-9dad-11d1-80b4-00c04fd430c8");
	struct kg_http_server_options http = {.listen = "127.0.0.1:0", .router = router, .ctx = s};
	struct kg_error err;

	*s = (struct test_server){.now = 1767225660000}; /* 2026-01-01T00:01:00Z */
	pthread_mutex_init(&s->lock, NULL);
	s->hub = kg_hub_new(empty, max_changes);
	kg_snapshot_unref(empty);
	s->auth = kg_auth_new();
	kg_auth_add_default_authorizers(s->auth, s->hub);
	opts.hub = s->hub;
	opts.history = &history;
	opts.history_self = s;
	opts.auth = s->auth;
	opts.clock = test_clock;
	opts.lease = test_lease;
	opts.usage = test_usage;
	opts.ctx = s;
	opts.server_address = "127.0.0.1:6443";
	s->api = kg_api_new(&opts);
	make_certificates(s);
	http.cert_pem = s->server_cert;
	http.key_pem = s->server_key;
	http.client_ca_pem = s->ca;
	if (kg_http_server_new(&s->http, &http, &err))
		die("listen", &err);
	snprintf(s->url, sizeof(s->url), "https://127.0.0.1:%d", kg_http_server_port(s->http));
}

void test_server_stop(struct test_server *s)
{
	kg_http_server_free(s->http);
	kg_api_free(s->api);
	kg_auth_free(s->auth);
	kg_txn_free(s->txn);
	kg_hub_free(s->hub);
	for (size_t i = 0; i < s->ncommits; i++)
		kg_commit_event_unref(s->commits[i]);
	free(s->commits);
	free(s->ca);
	free(s->ca_key);
	free(s->cert);
	free(s->key);
	free(s->server_cert);
	free(s->server_key);
	pthread_mutex_destroy(&s->lock);
}

/* ---- commits ---- */

static struct kg_txn *open_txn(struct test_server *s)
{
	if (!s->txn) {
		struct kg_snapshot *now = kg_hub_snapshot(s->hub);

		s->txn = kg_txn_new(now);
		kg_snapshot_unref(now);
	}
	return s->txn;
}

void test_put(struct test_server *s, const struct kg_value *v)
{
	const struct kg_value *md = kg_get(v, "metadata");
	const struct kg_kind *kind = kg_kind_by_api(
		kg_string(kg_get(v, "apiVersion"), ""), kg_string(kg_get(v, "kind"), ""));

	assert(kind);
	struct kg_object_spec spec = {.kind = kind,
		.ns = kg_string(kg_get(md, "namespace"), ""),
		.name = kg_string(kg_get(md, "name"), ""),
		.value = v};
	if ((kind->flags & KG_KF_MANIFEST) && kind->id != KG_KIND_NODE &&
		kg_is_null(kg_get(md, "ownerReferences")))
		spec.source = "web.yaml";
	kg_txn_put(open_txn(s), kg_object_new(&spec));
}

void test_put_yaml(struct test_server *s, const char *text)
{
	struct kg_arena a = KG_ARENA_INIT;
	struct kg_yaml_node *docs;
	struct kg_error err;
	size_t n;

	if (kg_yaml_parse(&docs, &n, &a, text, strlen(text), NULL, &err))
		die("yaml", &err);
	for (size_t i = 0; i < n; i++) {
		struct kg_value v = kg_yaml_value(&a, &docs[i]);

		test_put(s, &v);
	}
	kg_arena_release(&a);
}

void test_put_configmap(
	struct test_server *s, const char *ns, const char *name, int n, const char *label)
{
	struct kg_arena a = KG_ARENA_INIT;
	struct kg_value labels = kg_v_obj(&a, "l", kg_v_str(&a, label), (char *)NULL);
	struct kg_value md = kg_v_obj(&a, "name", kg_v_str(&a, name), "namespace", kg_v_str(&a, ns),
		"labels", labels, (char *)NULL);
	struct kg_value data = kg_v_obj(&a, "n", kg_v_strf(&a, "%d", n), (char *)NULL);
	struct kg_value v = kg_v_obj(&a, "apiVersion", kg_v_lit("v1"), "kind",
		kg_v_lit("ConfigMap"), "metadata", md, "data", data, (char *)NULL);

	test_put(s, &v);
	kg_arena_release(&a);
}

void test_delete(struct test_server *s, enum kg_kind_id kind, const char *ns, const char *name)
{
	kg_txn_delete(open_txn(s), kind, ns, name);
}

uint64_t test_commit(struct test_server *s)
{
	struct kg_txn *txn = open_txn(s);
	struct kg_snapshot *next;
	struct kg_changes list;

	kg_txn_set_time(txn, s->now);
	kg_txn_finish(txn, &next, &list);
	s->txn = NULL;
	uint64_t revision = next->revision;
	struct kg_commit_event *e = kg_commit_event_new(revision, s->now, &list, next);

	pthread_mutex_lock(&s->lock);
	KG_GROW(s->commits, s->cap, s->ncommits + 1);
	s->commits[s->ncommits++] = kg_commit_event_ref(e);
	pthread_mutex_unlock(&s->lock);
	kg_hub_publish(s->hub, e);
	kg_snapshot_unref(next);
	return revision;
}

/* ---- clients ---- */

char *test_read_file(const char *path)
{
	struct kg_buf b = KG_BUF_INIT;
	char piece[4096];
	ssize_t n;
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		die(path, NULL);
	while ((n = read(fd, piece, sizeof(piece))) > 0)
		kg_buf_add(&b, piece, (size_t)n);
	close(fd);
	return kg_buf_steal(&b);
}

struct kg_http_client *test_client(struct test_server *s)
{
	return kg_http_client_new(&(struct kg_http_client_options){
		.url = s->url, .ca_pem = s->ca, .cert_pem = s->cert, .key_pem = s->key});
}

void test_kubeconfig(struct test_server *s, const char *path)
{
	KG_AUTOFREE char *ca = kg_base64_encode(s->ca, strlen(s->ca));
	KG_AUTOFREE char *cert = kg_base64_encode(s->cert, strlen(s->cert));
	KG_AUTOFREE char *key = kg_base64_encode(s->key, strlen(s->key));
	FILE *f = fopen(path, "we");

	if (!f)
		die(path, NULL);
	fprintf(f,
		"apiVersion: v1\nkind: Config\ncurrent-context: t\n"
		"clusters: [{name: t, cluster: {server: '%s', certificate-authority-data: %s}}]\n"
		"users: [{name: t, user: {client-certificate-data: %s, client-key-data: %s}}]\n"
		"contexts: [{name: t, context: {cluster: t, user: t}}]\n",
		s->url, ca, cert, key);
	fclose(f);
}
