#include "kgitd/writer_private.h"

#include "base/map.h"

struct kgd_request *kgd_request_new(enum kgd_request_type type)
{
	struct kgd_request *req = kg_alloc(sizeof(*req));

	req->type = type;
	return req;
}

void kgd_request_free(struct kgd_request *req)
{
	if (!req)
		return;
	kg_buf_release(&req->push.plan);
	kg_arena_release(&req->arena);
	free(req);
}

void kgd_request_answer(
	struct kgd_request *req, int rc, uint64_t revision, const struct kg_error *err)
{
	if (req->done)
		req->done(req, rc, revision, err);
	kgd_request_free(req);
}

void kgd_batch_answer(struct kgd_batch *b, int rc, uint64_t revision, const struct kg_error *err)
{
	while (b->requests) {
		struct kgd_request *req = b->requests;

		b->requests = req->next;
		kgd_request_answer(req, rc, revision, err);
	}
	b->push = NULL;
}

static void *last_by_name(struct kg_map *seen, const char *name, void *item)
{
	void *slot = kg_map_get(seen, name);

	if (!slot)
		kg_map_put(seen, name, item);
	return slot;
}

static void add_node(struct kgd_batch *b, struct kg_map *seen, const struct kgd_request *req)
{
	if (!req->node.name)
		return;
	struct kg_input_node *slot =
		last_by_name(seen, req->node.name, &b->nodes[b->inputs.nnodes]);

	if (!slot)
		slot = &b->nodes[b->inputs.nnodes++];
	*slot = req->node;
}

static void add_liveness(struct kgd_batch *b, struct kg_map *seen, const struct kgd_request *req)
{
	if (!req->liveness.name)
		return;
	struct kg_input_liveness *slot =
		last_by_name(seen, req->liveness.name, &b->liveness[b->inputs.nliveness]);

	if (!slot)
		slot = &b->liveness[b->inputs.nliveness++];
	*slot = req->liveness;
}

static void add_pods(struct kgd_batch *b, struct kg_map *seen, const struct kgd_request *req)
{
	for (size_t i = 0; i < req->npods; i++) {
		const struct kg_input_pod_status *p = &req->pods[i];
		struct kg_input_pod_status *slot =
			last_by_name(seen, p->uid, &b->pods[b->inputs.npods]);

		if (!slot)
			slot = &b->pods[b->inputs.npods++];
		else if (slot->gone)
			continue; /* gone is final */
		*slot = *p;
	}
}

/* What the push desires on this very revision: it may have been judged on an earlier one. */
static void add_desired(struct kgd_batch *b, const struct kg_snapshot *prev)
{
	struct kgd_request *req = b->push;
	const struct kg_admission *a = req->push.admission;
	struct kg_admission now = *a;

	if (a->revision != prev->revision)
		kg_admission_renew(&now, a, prev, &req->arena);
	b->inputs.desired = now.desired;
	b->inputs.ndesired = now.n;
}

void kgd_batch_inputs(struct kgd_batch *b, const struct kg_snapshot *prev, kg_time now)
{
	struct kg_map nodes KG_CLEANUP(kg_map_release) = KG_MAP_INIT;
	struct kg_map liveness KG_CLEANUP(kg_map_release) = KG_MAP_INIT;
	struct kg_map pods KG_CLEANUP(kg_map_release) = KG_MAP_INIT;
	size_t n = 1, npods = 1;

	for (struct kgd_request *r = b->requests; r; r = r->next) {
		n++;
		npods += r->npods;
	}
	b->nodes = kg_alloc(n * sizeof(*b->nodes));
	b->liveness = kg_alloc(n * sizeof(*b->liveness));
	b->pods = kg_alloc(npods * sizeof(*b->pods));
	b->evictions = kg_alloc(n * sizeof(*b->evictions));
	b->inputs = (struct kg_inputs){.now = now, .full = b->full};
	for (struct kgd_request *r = b->requests; r; r = r->next) {
		add_node(b, &nodes, r);
		add_liveness(b, &liveness, r);
		add_pods(b, &pods, r);
		if (r->eviction.name) {
			r->eviction.why = &r->eviction_why;
			b->evictions[b->inputs.nevictions++] = r->eviction;
		}
	}
	b->inputs.nodes = b->nodes;
	b->inputs.liveness = b->liveness;
	b->inputs.pods = b->pods;
	b->inputs.evictions = b->evictions;
	if (b->push)
		add_desired(b, prev);
}

void kgd_batch_release(struct kgd_batch *b)
{
	free(b->nodes);
	free(b->liveness);
	free(b->pods);
	free(b->evictions);
	*b = (struct kgd_batch){0};
}
