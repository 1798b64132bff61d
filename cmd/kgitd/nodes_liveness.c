/* Who is there: heard from lately enough. */
#include "kgitd/nodes_private.h"

#include "base/log.h"

#include <stdio.h>

#define RETRY_MS 5000 /* the longest between two looks at who is silent */

static struct kg_input_liveness liveness_of(const char *name, bool ready)
{
	return (struct kg_input_liveness){
		.name = name,
		.ready = ready,
		.since = kg_realtime_ms(),
		.reason = ready ? "KubeletReady" : "NodeStatusUnknown",
		.message = ready ? "kgit-node is posting ready status"
				 : "kgit-node stopped posting node status.",
	};
}

/* On the writer's thread, or on the submitter's with the lock held. */
static void liveness_written(
	struct kgd_request *req, int rc, uint64_t revision, const struct kg_error *err)
{
	struct kgd_node *node = req->ctx;

	(void)revision;
	if (rc == 0)
		return;
	kg_warn("node %s: %s; said again soon", node->name, err->msg);
	atomic_store(&node->unsaid, true);
}

/* With the lock held, so that what is said last is what is true. */
static void submit_liveness(struct kgd_nodes *n, struct kgd_node *node)
{
	struct kgd_request *req = kgd_request_new(KGD_REPORT);

	atomic_store(&node->unsaid, false);
	req->liveness = liveness_of(kg_arena_strdup(&req->arena, node->name), !node->lost);
	req->done = liveness_written;
	req->ctx = node; /* nodes outlive the writer's thread */
	kgd_writer_submit(n->writer, req);
}

void kgd_nodes_check_liveness(void *ctx)
{
	struct kgd_nodes *n = ctx;
	int64_t now = kg_monotonic_ms(), next = n->grace_ms < RETRY_MS ? n->grace_ms : RETRY_MS;
	struct kg_map_entry *e;

	pthread_mutex_lock(&n->lock);
	for (size_t i = 0; (e = kg_map_next(&n->map, &i));) {
		struct kgd_node *node = e->value;
		int64_t left = node->last_seen + n->grace_ms - now;

		if (!node->lost && left <= 0) {
			node->lost = true;
			submit_liveness(n, node);
		} else if (atomic_load(&node->unsaid)) {
			submit_liveness(n, node);
		}
		if (!node->lost && left < next)
			next = left;
	}
	pthread_mutex_unlock(&n->lock);
	kg_timer_set(n->liveness_timer, next + 1);
}

/* With the lock held. */
static struct kgd_node *hear(struct kgd_nodes *n, const char *name)
{
	struct kgd_node *node = kgd_node_make(n, name);

	node->last_seen = kg_monotonic_ms();
	node->last_seen_wall = kg_realtime_ms();
	if (!node->first_seen)
		node->first_seen = node->last_seen_wall;
	return node;
}

void kgd_nodes_issuer(struct kgd_nodes *n, const char *name, char out[64])
{
	pthread_mutex_lock(&n->lock);
	const struct kgd_node *node = kgd_node_get(n, name);
	snprintf(out, 64, "%s", node ? node->issuer : "");
	pthread_mutex_unlock(&n->lock);
}

void kgd_nodes_seen(struct kgd_nodes *n, const char *name, const char *issuer)
{
	pthread_mutex_lock(&n->lock);
	struct kgd_node *node = hear(n, name);
	if (issuer)
		snprintf(node->issuer, sizeof(node->issuer), "%.63s", issuer);
	if (node->lost) {
		node->lost = false;
		submit_liveness(n, node);
	}
	pthread_mutex_unlock(&n->lock);
}

struct kg_input_liveness kgd_nodes_heard(struct kgd_nodes *n, const char *name)
{
	pthread_mutex_lock(&n->lock);
	hear(n, name)->lost = false;
	pthread_mutex_unlock(&n->lock);
	return liveness_of(name, true);
}

bool kgd_nodes_lease(struct kgd_nodes *n, const char *name, kg_time *first, kg_time *last)
{
	pthread_mutex_lock(&n->lock);
	struct kgd_node *node = kgd_node_get(n, name);
	bool known = node && node->first_seen;
	if (known) {
		*first = node->first_seen;
		*last = node->last_seen_wall;
	}
	pthread_mutex_unlock(&n->lock);
	return known;
}

void kgd_nodes_use(struct kgd_nodes *n, const char *name, struct kg_doc *said)
{
	pthread_mutex_lock(&n->lock);
	struct kgd_node *node = kgd_node_make(n, name);
	struct kg_doc *old = node->used;

	node->used = kg_doc_ref(said);
	node->used_at = kg_monotonic_ms();
	node->used_wall = kg_realtime_ms();
	pthread_mutex_unlock(&n->lock);
	kg_doc_unref(old);
}

struct kg_doc *kgd_nodes_used(struct kgd_nodes *n, const char *name, kg_time *at)
{
	struct kg_doc *used = NULL;

	pthread_mutex_lock(&n->lock);
	struct kgd_node *node = kgd_node_get(n, name);
	if (node && node->used && kg_monotonic_ms() - node->used_at < n->grace_ms) {
		used = kg_doc_ref(node->used);
		*at = node->used_wall;
	}
	pthread_mutex_unlock(&n->lock);
	return used;
}

int64_t kgd_nodes_grace_ms(const struct kgd_nodes *n)
{
	return n->grace_ms;
}
