/*
 * Certificates while kgitd runs: renewed once a day, and the whole authority replaced when an admin
 * says so, in two steps.
 *
 *   rotate   A new CA, and a new key for tokens, take over. What they make is shown together with
 *            what leads to the CA before, so that whoever trusts only that one goes on; whoever has
 *            its certificates is let in. Views tell the nodes, who trust both from then on, have a
 *            certificate of the new one made, get new tokens for their pods, and pods' ca.crt.
 *   retire   The CA before is trusted no more, nor are the keys of tokens before. Not while a node
 *            was not heard by a new certificate, unless it is forced.
 *
 * Each step first makes what may be made twice (a key that signs, keys that go), then decides by
 * one file (authority.h), then does what follows from it, which every start does, too.
 */
#include "auth/accounts.h"
#include "base/log.h"
#include "kgitd/join.h"
#include "kgitd/master.h"

#include <pthread.h>
#include <string.h>

/* Of all that changes certificates. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

/* What follows from the authority; with the lock held. */
static int apply(struct kgd_master *m, struct kg_error *err)
{
	char *cert KG_AUTOFREE = NULL, *key KG_AUTOFREE = NULL;
	int rc = kgd_setup_pki(m, &cert, &key, err);

	if (rc == 0)
		rc = kg_http_server_set_certs(
			m->http, cert, key, kgd_authority(m)->bundle_pem, err);
	return rc == 0 ? kgd_setup_kubeconfig(m, err) : rc;
}

int kgd_ca_renew(struct kgd_master *m, struct kg_error *err)
{
	pthread_mutex_lock(&lock);
	int rc = apply(m, err);
	if (rc == 0)
		rc = kg_accounts_rotate(m->accounts, kg_realtime_ms(), err);
	pthread_mutex_unlock(&lock);
	return rc;
}

/* Nodes are told when the new certificates are in use. */
static int decided(struct kgd_master *m, struct kgd_authority *next, struct kg_error *err)
{
	atomic_store(&m->authority, next);
	int rc = apply(m, err);
	kgd_nodes_set_ca(m->nodes, next->bundle_pem);
	kgd_tell_cluster(m);
	return rc < 0 ? kg_wrap(err,
				"it is done, but not all that follows from it (a restart of kgitd "
				"does that)")
		      : 0;
}

static int rotate(struct kgd_master *m, const char *dir, struct kg_error *err)
{
	struct kgd_authority *now = kgd_authority(m), *next;
	int rc = now->old_pem ? 0 : kg_accounts_renew(m->accounts, kg_realtime_ms(), err);

	if (rc == 0)
		rc = kgd_authority_rotate(&next, now, dir, err);
	if (rc < 0)
		return rc;
	kg_info("the CA %s takes over from %s", next->name, next->old_name);
	return decided(m, next, err);
}

/* Nodes of the newest revision that were not heard by a certificate of the present CA. */
static struct kg_value behind(struct kgd_master *m, struct kg_arena *a)
{
	struct kg_snapshot *s = kg_hub_snapshot(m->hub);
	struct kg_value list = kg_v_array(a, NULL, 0);
	const struct kg_object *node;
	struct kg_object_iter it;
	char issuer[64];

	kg_iter_kind(&it, s, KG_KIND_NODE, NULL, NULL);
	while ((node = kg_iter_next(&it))) {
		kgd_nodes_issuer(m->nodes, node->name, issuer);
		if (strcmp(issuer, kgd_authority(m)->name) != 0)
			list = kg_with_item(a, &list, kg_v_str(a, node->name));
	}
	kg_iter_release(&it);
	kg_snapshot_unref(s);
	return list;
}

static int may_retire(struct kgd_master *m, const char *issuer, struct kg_error *err)
{
	struct kg_arena a KG_CLEANUP(kg_arena_release) = KG_ARENA_INIT;
	const struct kgd_authority *now = kgd_authority(m);
	struct kg_value nodes = behind(m, &a);

	if (issuer && strcmp(issuer, now->name) != 0)
		return kg_fail(err, KG_E_CONFLICT,
			"the certificate that you ask with would end with its CA: "
			"%s/admin.kubeconfig has a new one",
			m->dir);
	if (!kg_len(&nodes))
		return 0;
	const char *first = kg_string(&nodes.items[0], "");
	char *who = kg_len(&nodes) == 1 ? kg_arena_printf(&a, "one node, \"%s\", was", first)
					: kg_arena_printf(&a, "%u nodes, \"%s\" among them, were",
						  kg_len(&nodes), first);
	return kg_fail(err, KG_E_CONFLICT,
		"%s not heard by a certificate of %s yet: without one they have to join anew (kgit "
		"token create --node NAME). `kgit ca status` names them, --force goes on without "
		"them",
		who, now->name);
}

/* The keys of tokens go first: what is cut short there is done again. */
static int retire(struct kgd_master *m, const char *dir, struct kg_error *err)
{
	struct kgd_authority *now = kgd_authority(m), *next;
	int rc = now->old_pem ? kg_accounts_retire(m->accounts, err) : 0;

	if (rc == 0)
		rc = kgd_authority_retire(&next, now, dir, err);
	if (rc < 0)
		return rc;
	kg_info("the CA %s is trusted no more", now->old_name);
	return decided(m, next, err);
}

/* ---- the API ---- */

static void reply_status(struct kg_http_req *req)
{
	struct kg_arena a KG_CLEANUP(kg_arena_release) = KG_ARENA_INIT;
	struct kgd_master *m = kgd_exchange(req)->master;
	const struct kgd_authority *now = kgd_authority(m);
	struct kg_value v = kg_v_obj(&a, "ca", kg_v_lit(now->name), "pin", kg_v_lit(now->pin),
		"retiring", now->old_pem ? kg_v_lit(now->old_name) : kg_v_null(), "nodesBehind",
		behind(m, &a), "bundle", kg_v_lit(now->bundle_pem), "state", kg_v_lit(m->dir),
		(char *)NULL);

	kgd_reply_value(req, 200, &v);
}

static void handle_status(struct kg_http_req *req, void *ctx)
{
	(void)ctx;
	reply_status(req);
}

static int act(struct kg_http_req *req, const char *action, bool force, struct kg_error *err)
{
	struct kgd_master *m = kgd_exchange(req)->master;
	char *dir KG_AUTOFREE = kg_asprintf("%s/pki", m->dir);
	int rc = 0;

	pthread_mutex_lock(&lock);
	if (strcmp(action, "rotate") == 0) {
		rc = rotate(m, dir, err);
	} else if (strcmp(action, "retire") == 0) {
		if (kgd_authority(m)->old_pem && !force)
			rc = may_retire(m, kg_http_peer_issuer(req), err);
		if (rc == 0)
			rc = retire(m, dir, err);
	} else {
		rc = kg_fail(
			err, KG_E_INVALID, "action: expected rotate or retire, got \"%s\"", action);
	}
	pthread_mutex_unlock(&lock);
	return rc;
}

static void handle_action(struct kg_http_req *req, void *ctx)
{
	struct kg_arena a KG_CLEANUP(kg_arena_release) = KG_ARENA_INIT;
	struct kg_value body;
	struct kg_error err;

	(void)ctx;
	int rc = kgd_parse_body(&body, &a, req, &err);
	if (rc == 0)
		rc = act(req, kg_string(kg_get(&body, "action"), ""),
			kg_bool(kg_get(&body, "force"), false), &err);
	if (rc < 0)
		kgd_reply_error(req, &err);
	else
		reply_status(req);
}

bool kgd_ca_route(struct kg_http_req *req, const char *rest, struct kg_http_route *route)
{
	bool post = strcmp(kg_http_method(req), "POST") == 0;

	if (strcmp(rest, "authority") != 0 || (!post && strcmp(kg_http_method(req), "GET") != 0))
		return false;
	route->handle = post ? handle_action : handle_status;
	route->max_body = 4 << 10;
	return true;
}
