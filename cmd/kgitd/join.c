/*
 * The credentials of nodes: /kgit/v1/{ca,join} and nodes/NAME/renew.
 *
 * A name belongs to the key that joined first: its hash is kept in DIR/pki/nodes/NAME. Another key
 * may take the name over with a join token that was made for it (kgit token create --node NAME), or
 * once an administrator has said that the machine is out of service (the taint
 * node.kubernetes.io/out-of-service). A node renews its certificate over the one that it has, with
 * the same key.
 */
#include "kgitd/join.h"

#include "base/log.h"
#include "base/map.h"
#include "pki/pki.h"
#include "sys/file.h"
#include "value/json.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

#define CLOCK_SKEW_MS (5LL * 60 * 1000)
#define PIN_SIZE      80

int kgd_parse_body(
	struct kg_value *out, struct kg_arena *a, struct kg_http_req *req, struct kg_error *err)
{
	const struct kg_buf *body = kg_http_body(req);
	int rc = kg_json_parse(out, a, kg_buf_str(body), body->len, err);

	if (rc == 0 && out->type != KG_OBJECT)
		rc = kg_fail(err, KG_E_BAD_REQUEST, "the body must be a JSON object");
	return rc;
}

static void handle_ca(struct kg_http_req *req, void *ctx)
{
	struct kg_buf b = KG_BUF_INIT;

	(void)ctx;
	kg_buf_adds(&b, kgd_authority(kgd_exchange(req)->master)->bundle_pem);
	kg_http_reply(req, 200, "application/x-pem-file", &b);
}

bool kgd_node_name_ok(const char *name)
{
	struct kg_arena a KG_CLEANUP(kg_arena_release) = KG_ARENA_INIT;
	struct kg_value v = kg_v_str(&a, name);

	return *name && strlen(name) < 254 && kg_check_dns_subdomain(&a, &v) == NULL;
}

/* ---- whose name it is ---- */

/* Two that ask at once for one name come one after the other. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
/* What the files say of names that were asked for, "" for nothing; with the lock held. As many as
 * there are nodes with certificates of this cluster. */
static struct kg_map pins; /* name -> heap text */

static void remember(const char *name, const char *pin)
{
	free(kg_map_put(&pins, name, kg_strdup(pin)));
}

static int read_pin(
	char pin[PIN_SIZE], struct kgd_master *m, const char *name, struct kg_error *err)
{
	char *path KG_AUTOFREE = kg_asprintf("%s/pki/nodes/%s", m->dir, name);
	struct kg_buf text KG_AUTOBUF = KG_BUF_INIT;
	int rc = kg_path_exists(path) ? kg_file_read(&text, path, 4096, err) : 0;

	snprintf(pin, PIN_SIZE, "%.*s", (int)strcspn(kg_buf_str(&text), "\n"), kg_buf_str(&text));
	return rc;
}

static int write_pin(struct kgd_master *m, const char *name, const char *pin, struct kg_error *err)
{
	char *dir KG_AUTOFREE = kg_asprintf("%s/pki/nodes", m->dir);
	char *path KG_AUTOFREE = kg_asprintf("%s/%s", dir, name);
	char *line KG_AUTOFREE = kg_asprintf("%s\n", pin);
	int rc = kg_mkdir_p(dir, 0700, err);

	if (rc == 0)
		rc = kg_file_write(path, line, strlen(line), 0600, err);
	if (rc == 0)
		remember(name, pin);
	return rc;
}

bool kgd_node_key_ok(struct kgd_master *m, const char *node, const char *key)
{
	char pin[PIN_SIZE];
	struct kg_error err;
	bool ok = false;

	if (!kgd_node_name_ok(node))
		return false;
	pthread_mutex_lock(&lock);
	const char *known = kg_map_get(&pins, node);
	if (!known && read_pin(pin, m, node, &err) == 0) {
		remember(node, pin);
		known = pin;
	}
	if (known)
		ok = !*known || strcmp(known, key) == 0;
	pthread_mutex_unlock(&lock);
	return ok;
}

void kgd_node_keys_forget(void)
{
	struct kg_map_entry *e;

	for (size_t i = 0; (e = kg_map_next(&pins, &i));)
		free(e->value);
	kg_map_release(&pins);
}

static bool out_of_service(struct kgd_master *m, const char *name)
{
	struct kg_snapshot *s = kg_hub_snapshot(m->hub);
	const struct kg_object *node = kg_snapshot_get(s, KG_KIND_NODE, "", name);
	bool out = node && !kg_is_null(kg_find(kg_at(kg_obj(node), "spec.taints"), "key",
				   "node.kubernetes.io/out-of-service"));

	kg_snapshot_unref(s);
	return out;
}

/* Of a node that joined before keys were kept: is it there? */
static bool is_alive(struct kgd_master *m, const char *name)
{
	kg_time first, last;

	return kgd_nodes_lease(m->nodes, name, &first, &last) &&
	       last + kgd_nodes_grace_ms(m->nodes) > kg_realtime_ms();
}

/* With the lock held: 0 where the key may have the name, which is then its. */
static int claim_locked(
	struct kgd_master *m, const char *name, const char *pin, bool replace, struct kg_error *err)
{
	char known[PIN_SIZE];
	int rc = read_pin(known, m, name, err);

	if (rc < 0 || strcmp(known, pin) == 0)
		return rc;
	bool taken = *known || is_alive(m, name);
	if (taken && !replace && !out_of_service(m, name))
		return kg_fail(err, KG_E_FORBIDDEN,
			"a node \"%s\" is known by another key. If this is that node, made anew, "
			"or "
			"its replacement: `kgit token create --node %s` makes a token that may "
			"take "
			"the name over",
			name, name);
	if (*known)
		kg_warn("node %s: its name goes to another key", name);
	return write_pin(m, name, pin, err);
}

static int claim(
	struct kgd_master *m, const char *name, const char *csr, bool replace, struct kg_error *err)
{
	char pin[PIN_SIZE];
	int rc = kg_pki_csr_pin(pin, csr, err);

	if (rc < 0)
		return rc;
	pthread_mutex_lock(&lock);
	rc = claim_locked(m, name, pin, replace, err);
	pthread_mutex_unlock(&lock);
	return rc;
}

/* ---- certificates ---- */

static int sign(
	char **cert, struct kgd_master *m, const char *name, const char *csr, struct kg_error *err)
{
	static const char *const orgs[] = {"system:nodes", NULL};
	kg_time now = kg_realtime_ms();
	char cn[300];

	snprintf(cn, sizeof(cn), "system:node:%s", name);
	struct kg_pki_cert c = {
		.cn = cn,
		.orgs = orgs,
		.client = true,
		.not_before = now - CLOCK_SKEW_MS,
		.not_after = now + m->node_cert_ms,
	};
	const struct kgd_authority *a = kgd_authority(m);
	return kg_pki_sign(cert, a->cert_pem, a->key_pem, csr, &c, err);
}

static int join(
	char **cert, struct kgd_master *m, const struct kg_value *body, struct kg_error *err)
{
	const char *name = kg_string(kg_get(body, "node"), "");
	const char *csr = kg_string(kg_get(body, "csr"), "");
	char bound[254];
	int rc = kg_tokens_check_join(
		m->tokens, kg_string(kg_get(body, "token"), ""), bound, kg_realtime_ms(), err);

	if (rc < 0)
		return rc;
	if (!kgd_node_name_ok(name))
		return kg_fail(err, KG_E_INVALID,
			"the node's name \"%s\" must be a DNS name in lower case", name);
	if (*bound && strcmp(bound, name) != 0)
		return kg_fail(
			err, KG_E_FORBIDDEN, "this join token is for the node \"%s\"", bound);
	rc = sign(cert, m, name, csr, err);
	return rc == 0 ? claim(m, name, csr, *bound != '\0', err) : rc;
}

static void reply(struct kg_http_req *req, struct kg_arena *a, const char *cert)
{
	struct kg_value v = kg_v_obj(a, "certificate", kg_v_lit(cert), "ca",
		kg_v_lit(kgd_authority(kgd_exchange(req)->master)->bundle_pem), (char *)NULL);

	kgd_reply_value(req, 200, &v);
}

static void handle_join(struct kg_http_req *req, void *ctx)
{
	struct kg_arena a KG_CLEANUP(kg_arena_release) = KG_ARENA_INIT;
	char *cert KG_AUTOFREE = NULL;
	struct kg_value body;
	struct kg_error err;

	(void)ctx;
	if (kgd_parse_body(&body, &a, req, &err) < 0 ||
		join(&cert, kgd_exchange(req)->master, &body, &err) < 0)
		kgd_reply_error(req, &err);
	else
		reply(req, &a, cert);
}

static int renew(
	char **cert, struct kgd_exchange *x, const struct kg_value *body, struct kg_error *err)
{
	const char *csr = kg_string(kg_get(body, "csr"), "");

	/* An admin who may use the path has no node's key. */
	if (strcmp(x->user.node, x->node) != 0 || !kgd_node_name_ok(x->node))
		return kg_fail(err, KG_E_FORBIDDEN, "a node's certificate is renewed by the node");
	int rc = sign(cert, x->master, x->node, csr, err);
	return rc == 0 ? claim(x->master, x->node, csr, false, err) : rc;
}

void kgd_handle_renew(struct kg_http_req *req, void *ctx)
{
	struct kg_arena a KG_CLEANUP(kg_arena_release) = KG_ARENA_INIT;
	char *cert KG_AUTOFREE = NULL;
	struct kg_value body;
	struct kg_error err;

	(void)ctx;
	if (kgd_parse_body(&body, &a, req, &err) < 0 ||
		renew(&cert, kgd_exchange(req), &body, &err) < 0)
		kgd_reply_error(req, &err);
	else
		reply(req, &a, cert);
}

bool kgd_join_route(struct kg_http_req *req, const char *rest, struct kg_http_route *route)
{
	const char *method = kg_http_method(req);

	route->max_body = 64 << 10;
	if (strcmp(rest, "ca") == 0 && strcmp(method, "GET") == 0)
		route->handle = handle_ca;
	else if (strcmp(rest, "join") == 0 && strcmp(method, "POST") == 0)
		route->handle = handle_join;
	return route->handle != NULL;
}
