/* A whole API server on loopback over a hub of its own, for tests: TLS, a client certificate, a
 * history that keeps every commit, and commits made from YAML. */
#ifndef KG_API_TESTSERVER_H
#define KG_API_TESTSERVER_H

#include "api/api.h"
#include "http/client.h"

#include <pthread.h>

struct test_server {
	struct kg_hub *hub;
	struct kg_api *api;
	struct kg_http_server *http;
	struct kg_auth *auth;
	char url[64];
	char *ca, *ca_key, *cert, *key, *server_cert, *server_key;
	/* every commit, as the store would keep it */
	pthread_mutex_t lock;
	struct kg_commit_event **commits;
	size_t ncommits, cap;
	uint64_t oldest; /* revisions after this one are retained */
	_Atomic kg_time now;
	const struct kg_user *as; /* who asks; NULL: an admin */
	const char *used;         /* what node n1 says is used, JSON; NULL: nothing */
	struct kg_txn *txn;
};
/* opts: may set sizes and times; the rest is filled in. Aborts on failure. */
void test_server_start(struct test_server *s, struct kg_api_options opts, size_t max_changes);
void test_server_stop(struct test_server *s);

/* Collects changes for the next commit. */
void test_put(struct test_server *s, const struct kg_value *v);
void test_put_yaml(struct test_server *s, const char *text); /* every document */
void test_delete(struct test_server *s, enum kg_kind_id kind, const char *ns, const char *name);
uint64_t test_commit(struct test_server *s); /* publishes; returns the revision */
/* A ConfigMap with a number and a label. */
void test_put_configmap(
	struct test_server *s, const char *ns, const char *name, int n, const char *label);
char *test_read_file(const char *path);
struct kg_http_client *test_client(struct test_server *s);
/* A kubeconfig with everything embedded. */
void test_kubeconfig(struct test_server *s, const char *path);

#endif
