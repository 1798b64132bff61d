#include "rbac.h"

#include "watch/hub.h"

#include <pthread.h>

struct kg_rbac {
	struct kg_hub *hub;
	struct kg_subscription *sub;
	pthread_mutex_t publish; /* of seen */
	uint64_t seen;
	pthread_mutex_t lock; /* of policy */
	struct kg_policy *policy;
};

static bool is_rbac(enum kg_kind_id kind)
{
	return kind == KG_KIND_ROLE || kind == KG_KIND_CLUSTERROLE || kind == KG_KIND_ROLEBINDING ||
	       kind == KG_KIND_CLUSTERROLEBINDING;
}

static bool concerns(const struct kg_changes *c)
{
	for (size_t i = 0; i < c->len; i++)
		if (is_rbac(kg_change_object(&c->items[i])->kind->id))
			return true;
	return false;
}

/* Have roles or bindings changed since r->seen? */
static bool read_news(struct kg_rbac *r)
{
	struct kg_commit_event *e;
	bool gone = false, news = false;

	while ((e = kg_hub_next(r->hub, r->seen, &gone))) {
		news |= concerns(&e->changes);
		r->seen = e->revision;
		kg_commit_event_unref(e);
	}
	return news || gone;
}

static void compile(struct kg_rbac *r)
{
	struct kg_snapshot *s = kg_hub_snapshot(r->hub);
	struct kg_policy *now = kg_policy_new(s);

	pthread_mutex_lock(&r->lock);
	struct kg_policy *old = r->policy;
	r->policy = now;
	pthread_mutex_unlock(&r->lock);
	kg_policy_unref(old);
	r->seen = s->revision;
	kg_snapshot_unref(s);
}

static void on_publish(void *ctx)
{
	struct kg_rbac *r = ctx;

	pthread_mutex_lock(&r->publish);
	if (read_news(r))
		compile(r);
	pthread_mutex_unlock(&r->publish);
}

struct kg_rbac *kg_rbac_new(struct kg_hub *hub)
{
	struct kg_rbac *r = kg_alloc(sizeof(*r));

	r->hub = hub;
	pthread_mutex_init(&r->publish, NULL);
	pthread_mutex_init(&r->lock, NULL);
	if (!hub) {
		r->policy = kg_policy_new(NULL);
		return r;
	}
	compile(r);
	r->sub = kg_hub_subscribe(hub, on_publish, r);
	on_publish(r); /* what came in between */
	return r;
}

struct kg_policy *kg_rbac_policy(struct kg_rbac *r)
{
	pthread_mutex_lock(&r->lock);
	struct kg_policy *p = kg_policy_ref(r->policy);
	pthread_mutex_unlock(&r->lock);
	return p;
}

static int authorize(
	void *self, const struct kg_user *u, const struct kg_attributes *a, struct kg_error *err)
{
	struct kg_policy *p = kg_rbac_policy(self);
	bool allowed = kg_policy_allows(p, u, a);

	(void)err;
	kg_policy_unref(p);
	return allowed;
}

static void free_self(void *self)
{
	struct kg_rbac *r = self;

	if (r->sub)
		kg_hub_unsubscribe(r->sub);
	kg_policy_unref(r->policy);
	pthread_mutex_destroy(&r->publish);
	pthread_mutex_destroy(&r->lock);
	free(r);
}

const struct kg_authorizer kg_rbac_authorizer = {.authorize = authorize, .free = free_self};
