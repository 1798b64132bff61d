/* Memory that changes needed is given back when they are over, or now and then while they go on. */
#include "kgitd/master.h"

#include <malloc.h>
#include <stdatomic.h>

#define QUIET_MS 3000
#define ROUNDS   10 /* of that, at most */

struct kgd_trim {
	struct kg_loop *loop;
	struct kg_hub *hub;
	struct kg_subscription *sub;
	struct kg_timer *timer;
	uint64_t seen;   /* the loop's */
	unsigned rounds; /* the loop's */
	atomic_bool posted;
};

static void look_later(struct kgd_trim *t)
{
	t->seen = kg_hub_revision(t->hub);
	kg_timer_set(t->timer, QUIET_MS);
}

static void arm(void *ctx)
{
	struct kgd_trim *t = ctx;

	t->rounds = 0;
	look_later(t);
}

static void on_timer(void *ctx)
{
	struct kgd_trim *t = ctx;

	if (kg_hub_revision(t->hub) != t->seen && ++t->rounds < ROUNDS) {
		look_later(t);
		return;
	}
	atomic_store(&t->posted, false);
	malloc_trim(0);
}

/* On the writer's thread. */
static void on_publish(void *ctx)
{
	struct kgd_trim *t = ctx;

	if (!atomic_exchange(&t->posted, true))
		kg_loop_post(t->loop, arm, t);
}

struct kgd_trim *kgd_trim_new(struct kg_loop *loop, struct kg_hub *hub)
{
	struct kgd_trim *t = kg_alloc(sizeof(*t));

	t->loop = loop;
	t->hub = hub;
	t->timer = kg_timer_new(loop, on_timer, t);
	t->sub = kg_hub_subscribe(hub, on_publish, t);
	return t;
}

void kgd_trim_free(struct kgd_trim *t)
{
	if (!t)
		return;
	kg_hub_unsubscribe(t->sub);
	kg_timer_free(t->timer);
	free(t);
}
