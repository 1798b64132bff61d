#include "kgitd/nodes.h"

#include "base/log.h"
#include "base/map.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#define OLD_VIEWS        4 /* kept a node, so that a pull is answered with the difference */
#define STREAM_MAX       (256 << 10) /* unread bytes after which a stream is broken */
#define PING_MS          10000
#define SHARED_MIN_GAP   20 /* ms between two versions of the part that all nodes share */
#define DEFAULT_GRACE_MS 40000
#define RETRY_MS         5000 /* the longest between two looks at who is silent */

struct stream {
	struct kg_http_req *req;
	struct kgd_nodes *nodes;
	struct kg_buf out;
	bool broken;
	int64_t written; /* monotonic */
	struct stream *next;
};

struct node {
	char *name, issuer[64];
	kg_time first_seen, last_seen_wall;
	int64_t last_seen;  /* monotonic */
	bool lost;          /* as last handed to the writer */
	atomic_bool unsaid; /* which failed to commit it */
	bool dirty;
	struct kgd_view *view, *old[OLD_VIEWS];
	struct stream *streams; /* newest first */
};

struct kgd_nodes {
	struct kg_loop *loop;
	struct kg_hub *hub;
	struct kgd_writer *writer;
	struct kg_subscription *sub;
	struct kg_timer *liveness_timer, *ping_timer, *shared_timer;
	int64_t grace_ms;
	char service_cidr[64], pod_cidr[64];
	atomic_bool posted; /* an update of the views is on its way to the loop */

	pthread_mutex_t lock;          /* of all below */
	struct kg_map map;             /* name -> struct node */
	struct kgd_policies *policies; /* as of seen_revision */
	char *ca_pem;
	struct kgd_shared *shared;
	bool shared_dirty;
	int64_t shared_at;
	uint64_t seen_revision; /* views are as of this one */
};

/* ---- nodes ---- */

static struct node *get_node(struct kgd_nodes *n, const char *name)
{
	return kg_map_get(&n->map, name);
}

static struct node *make_node(struct kgd_nodes *n, const char *name)
{
	struct node *node = get_node(n, name);

	if (node)
		return node;
	node = kg_alloc(sizeof(*node));
	node->name = kg_strdup(name);
	node->last_seen = kg_monotonic_ms();
	node->dirty = true;
	kg_map_put(&n->map, name, node);
	return node;
}

static void free_node(struct node *node)
{
	kgd_view_unref(node->view);
	for (int i = 0; i < OLD_VIEWS; i++)
		kgd_view_unref(node->old[i]);
	free(node->name);
	free(node);
}

/* ---- liveness ---- */

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
	struct node *node = req->ctx;

	(void)revision;
	if (rc == 0)
		return;
	kg_warn("node %s: %s; said again soon", node->name, err->msg);
	atomic_store(&node->unsaid, true);
}

/* With the lock held, so that what is said last is what is true. */
static void submit_liveness(struct kgd_nodes *n, struct node *node)
{
	struct kgd_request *req = kgd_request_new(KGD_REPORT);

	atomic_store(&node->unsaid, false);
	req->liveness = liveness_of(kg_arena_strdup(&req->arena, node->name), !node->lost);
	req->done = liveness_written;
	req->ctx = node; /* nodes outlive the writer's thread */
	kgd_writer_submit(n->writer, req);
}

/* Called on the loop: who has been silent too long, and when to look next. */
static void check_liveness(void *ctx)
{
	struct kgd_nodes *n = ctx;
	int64_t now = kg_monotonic_ms(), next = n->grace_ms < RETRY_MS ? n->grace_ms : RETRY_MS;
	struct kg_map_entry *e;

	pthread_mutex_lock(&n->lock);
	for (size_t i = 0; (e = kg_map_next(&n->map, &i));) {
		struct node *node = e->value;
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
static struct node *hear(struct kgd_nodes *n, const char *name)
{
	struct node *node = make_node(n, name);

	node->last_seen = kg_monotonic_ms();
	node->last_seen_wall = kg_realtime_ms();
	if (!node->first_seen)
		node->first_seen = node->last_seen_wall;
	return node;
}

void kgd_nodes_issuer(struct kgd_nodes *n, const char *name, char out[64])
{
	pthread_mutex_lock(&n->lock);
	const struct node *node = get_node(n, name);
	snprintf(out, 64, "%s", node ? node->issuer : "");
	pthread_mutex_unlock(&n->lock);
}

void kgd_nodes_seen(struct kgd_nodes *n, const char *name, const char *issuer)
{
	pthread_mutex_lock(&n->lock);
	struct node *node = hear(n, name);
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
	struct node *node = get_node(n, name);
	bool known = node && node->first_seen;
	if (known) {
		*first = node->first_seen;
		*last = node->last_seen_wall;
	}
	pthread_mutex_unlock(&n->lock);
	return known;
}

int64_t kgd_nodes_grace_ms(const struct kgd_nodes *n)
{
	return n->grace_ms;
}

/* ---- streams ---- */

static void stream_line(struct stream *s, const char *line)
{
	if (s->broken)
		return;
	if (s->out.len + strlen(line) > STREAM_MAX)
		s->broken = true;
	else
		kg_buf_adds(&s->out, line);
	s->written = kg_monotonic_ms();
	kg_http_stream_wake(s->req);
}

static void announce(struct node *node)
{
	char line[160];

	if (!node->view)
		return;
	snprintf(line, sizeof(line), "{\"view\":\"%s\",\"revision\":%llu}\n", node->view->commit,
		(unsigned long long)node->view->revision);
	for (struct stream *s = node->streams; s; s = s->next)
		stream_line(s, line);
}

static ssize_t stream_read(struct kg_http_req *req, char *buf, size_t max, void *ctx)
{
	struct stream *s = ctx; /* lives until the request's done */
	struct kgd_nodes *n = s->nodes;
	ssize_t got = 0;

	(void)req;
	pthread_mutex_lock(&n->lock);
	if (s->broken) {
		got = -2;
	} else if (s->out.len) {
		got = (ssize_t)(s->out.len < max ? s->out.len : max);
		memcpy(buf, s->out.data, (size_t)got);
		kg_buf_remove(&s->out, 0, (size_t)got);
	}
	pthread_mutex_unlock(&n->lock);
	return got;
}

static void ping(void *ctx)
{
	struct kgd_nodes *n = ctx;
	int64_t now = kg_monotonic_ms();
	struct kg_map_entry *e;

	pthread_mutex_lock(&n->lock);
	for (size_t i = 0; (e = kg_map_next(&n->map, &i));)
		for (struct stream *s = ((struct node *)e->value)->streams; s; s = s->next)
			if (now - s->written >= PING_MS / 2)
				stream_line(s, "{\"ping\":true}\n");
	pthread_mutex_unlock(&n->lock);
	kg_timer_set(n->ping_timer, PING_MS);
}

bool kgd_nodes_send(struct kgd_nodes *n, const char *name, const char *line)
{
	pthread_mutex_lock(&n->lock);
	struct node *node = get_node(n, name);
	bool sent = node && node->streams && !node->streams->broken;
	if (sent)
		stream_line(node->streams, line);
	pthread_mutex_unlock(&n->lock);
	return sent;
}

/* ---- views ---- */

static void set_view(struct node *node, struct kgd_view *view)
{
	kgd_view_unref(node->old[OLD_VIEWS - 1]);
	memmove(&node->old[1], &node->old[0], (OLD_VIEWS - 1) * sizeof(node->old[0]));
	node->old[0] = node->view;
	node->view = view;
}

static void make_shared(struct kgd_nodes *n, const struct kg_snapshot *s)
{
	struct kgd_shared_options opts = {
		.service_cidr = n->service_cidr, .pod_cidr = n->pod_cidr, .ca_pem = n->ca_pem};
	struct kgd_shared *fresh = kgd_shared_new(s, &opts);
	struct kg_map_entry *e;

	n->shared_dirty = false;
	n->shared_at = kg_monotonic_ms();
	if (n->shared && kgd_shared_equal(n->shared, fresh)) {
		kgd_shared_unref(fresh);
		return;
	}
	kgd_shared_unref(n->shared);
	n->shared = fresh;
	for (size_t i = 0; (e = kg_map_next(&n->map, &i));)
		((struct node *)e->value)->dirty = true;
}

/* Makes the node's view anew where something of it changed; true where it moved. */
static bool refresh(struct kgd_nodes *n, const struct kg_snapshot *s, struct node *node)
{
	if (!node->dirty && node->view)
		return false;
	if (!kg_snapshot_get(s, KG_KIND_NODE, "", node->name))
		return false;
	if (!n->shared)
		make_shared(n, s);
	struct kgd_view *view = kgd_view_new(s, node->name, n->shared, n->policies, node->view);
	node->dirty = false;
	if (view == node->view) {
		kgd_view_unref(view);
		return false;
	}
	set_view(node, view);
	return true;
}

static void mark(struct kgd_nodes *n, const char *name)
{
	struct node *node = name ? get_node(n, name) : NULL;

	if (node)
		node->dirty = true;
}

/* A ConfigMap, Secret or ServiceAccount concerns the nodes of every pod of its namespace: which
 * ones name it is seen when their views are made. */
static void mark_namespace(struct kgd_nodes *n, const struct kg_snapshot *s, const char *ns)
{
	struct kg_object_iter it KG_CLEANUP(kg_iter_release);
	const struct kg_object *pod;

	kg_iter_kind(&it, s, KG_KIND_POD, ns, NULL);
	while ((pod = kg_iter_next(&it)))
		mark(n, kg_string(kg_at(kg_obj(pod), "spec.nodeName"), NULL));
}

/* Namespaces are marked last, each once: a push may bring thousands of ConfigMaps for one. */
struct marking {
	struct kgd_nodes *nodes;
	struct kg_map namespaces;
};

static void mark_later(struct marking *m, const char *ns)
{
	kg_map_put(&m->namespaces, ns, m);
}

static void mark_policy(void *ctx, const char *node, const char *ns)
{
	struct marking *m = ctx;

	if (node)
		mark(m->nodes, node);
	else
		mark_later(m, ns);
}

static void mark_peers(void *ctx, const char *id)
{
	struct kgd_nodes *n = ctx;
	struct kg_map_entry *e;

	for (size_t i = 0; (e = kg_map_next(&n->map, &i));) {
		struct node *node = e->value;

		if (node->view && kgd_view_has_peers(node->view, id))
			node->dirty = true;
	}
}

static bool is_named(enum kg_kind_id kind)
{
	return kind == KG_KIND_CONFIGMAP || kind == KG_KIND_SECRET ||
	       kind == KG_KIND_PERSISTENTVOLUMECLAIM || kind == KG_KIND_SERVICEACCOUNT;
}

static void note_changes(
	struct kgd_nodes *n, const struct kg_snapshot *s, const struct kg_changes *changes)
{
	struct marking m = {n, KG_MAP_INIT};
	const struct kg_map_entry *ns;

	for (size_t i = 0; i < changes->len; i++) {
		const struct kg_change *c = &changes->items[i];
		const struct kg_object *obj = c->after ? c->after : c->before;

		mark(n, kgd_view_node_of(c, true));
		mark(n, kgd_view_node_of(c, false));
		if (kgd_view_is_shared(c))
			n->shared_dirty = true;
		if (is_named(obj->kind->id) && !c->quiet)
			mark_later(&m, obj->ns);
		if (obj->kind->id == KG_KIND_PERSISTENTVOLUME && !c->quiet) {
			mark_later(
				&m, kg_string(kg_at(kg_obj(obj), "spec.claimRef.namespace"), "-"));
			mark(n, kgd_view_volume_node(obj));
		}
		kgd_policies_note(n->policies, s, c, mark_policy, &m);
	}
	for (size_t i = 0; (ns = kg_map_next(&m.namespaces, &i));)
		mark_namespace(n, s, ns->key);
	kg_map_release(&m.namespaces);
}

/* What was published since the last time, noted. */
static void catch_up(struct kgd_nodes *n, const struct kg_snapshot *s)
{
	struct kg_commit_event *e;
	bool gone = false;

	while (n->seen_revision < s->revision &&
		(e = kg_hub_next(n->hub, n->seen_revision, &gone))) {
		note_changes(n, s, &e->changes);
		n->seen_revision = e->revision;
		kg_commit_event_unref(e);
	}
	if (gone) {
		struct kg_map_entry *m;

		n->seen_revision = s->revision;
		n->shared_dirty = true;
		kgd_policies_free(n->policies);
		n->policies = kgd_policies_new(s, n->pod_cidr);
		for (size_t i = 0; (m = kg_map_next(&n->map, &i));)
			((struct node *)m->value)->dirty = true;
	}
}

/* What changes with pods of other nodes, at most so often. */
static void renew_shared(struct kgd_nodes *n, const struct kg_snapshot *s)
{
	kgd_policies_publish(n->policies, mark_peers, n);
	if (n->shared_dirty || !n->shared)
		make_shared(n, s);
	n->shared_at = kg_monotonic_ms();
}

static void update_views(void *ctx)
{
	struct kgd_nodes *n = ctx;
	struct kg_map_entry *e;

	atomic_store(&n->posted, false);
	struct kg_snapshot *s = kg_hub_snapshot(n->hub);
	pthread_mutex_lock(&n->lock);
	catch_up(n, s);
	if (n->shared_dirty || !n->shared || kgd_policies_pending(n->policies)) {
		int64_t wait = n->shared_at + SHARED_MIN_GAP - kg_monotonic_ms();

		if (wait <= 0 || !n->shared)
			renew_shared(n, s);
		else
			kg_timer_set(n->shared_timer, wait);
	}
	for (size_t i = 0; (e = kg_map_next(&n->map, &i));) {
		struct node *node = e->value;

		if (node->streams && refresh(n, s, node))
			announce(node);
	}
	pthread_mutex_unlock(&n->lock);
	kg_snapshot_unref(s);
}

static void published(void *ctx)
{
	struct kgd_nodes *n = ctx;

	if (!atomic_exchange(&n->posted, true))
		kg_loop_post(n->loop, update_views, n);
}

void kgd_nodes_set_ca(struct kgd_nodes *n, const char *ca_pem)
{
	pthread_mutex_lock(&n->lock);
	free(n->ca_pem);
	n->ca_pem = kg_strdup(ca_pem);
	n->shared_dirty = true;
	pthread_mutex_unlock(&n->lock);
	published(n);
}

/* Called with the lock held; the caller owns nothing. */
static struct kgd_view *current_view(struct kgd_nodes *n, struct node *node)
{
	struct kg_snapshot *s = kg_hub_snapshot(n->hub);

	catch_up(n, s);
	if (refresh(n, s, node))
		announce(node);
	kg_snapshot_unref(s);
	return node->view;
}

struct kgd_view *kgd_nodes_view(struct kgd_nodes *n, const char *name)
{
	pthread_mutex_lock(&n->lock);
	struct node *node = make_node(n, name);
	struct kgd_view *view = kgd_view_ref(current_view(n, node));
	pthread_mutex_unlock(&n->lock);
	return view;
}

struct kgd_view *kgd_nodes_view_by_commit(struct kgd_nodes *n, const char *name, const char *commit)
{
	struct kgd_view *found = NULL;

	pthread_mutex_lock(&n->lock);
	struct node *node = get_node(n, name);
	if (node && node->view && strcmp(node->view->commit, commit) == 0)
		found = node->view;
	for (int i = 0; node && !found && i < OLD_VIEWS; i++)
		if (node->old[i] && strcmp(node->old[i]->commit, commit) == 0)
			found = node->old[i];
	kgd_view_ref(found);
	pthread_mutex_unlock(&n->lock);
	return found;
}

void kgd_nodes_watch(struct kgd_nodes *n, const char *name, struct kg_http_req *req)
{
	struct stream *s = kg_alloc(sizeof(*s));

	kgd_nodes_seen(n, name, NULL);
	pthread_mutex_lock(&n->lock);
	struct node *node = make_node(n, name);
	s->req = req;
	s->nodes = n;
	s->written = kg_monotonic_ms();
	current_view(n, node);
	s->next = node->streams;
	node->streams = s;
	if (node->view) {
		char line[160];
		snprintf(line, sizeof(line), "{\"view\":\"%s\",\"revision\":%llu}\n",
			node->view->commit, (unsigned long long)node->view->revision);
		kg_buf_adds(&s->out, line);
	}
	pthread_mutex_unlock(&n->lock);
	kg_http_stream(req, 200, "application/json", stream_read, s);
}

void kgd_nodes_watch_done(struct kgd_nodes *n, struct kg_http_req *req)
{
	struct kg_map_entry *e;

	pthread_mutex_lock(&n->lock);
	for (size_t i = 0; (e = kg_map_next(&n->map, &i));) {
		struct stream **at = &((struct node *)e->value)->streams;

		while (*at && (*at)->req != req)
			at = &(*at)->next;
		if (*at) {
			struct stream *s = *at;

			*at = s->next;
			kg_buf_release(&s->out);
			free(s);
			break;
		}
	}
	pthread_mutex_unlock(&n->lock);
}

/* The nodes that earlier runs registered are given the grace anew. */
static void known_nodes(struct kgd_nodes *n)
{
	struct kg_snapshot *s = kg_hub_snapshot(n->hub);
	struct kg_object_iter it KG_CLEANUP(kg_iter_release);
	const struct kg_object *obj;

	kg_iter_kind(&it, s, KG_KIND_NODE, NULL, NULL);
	while ((obj = kg_iter_next(&it))) {
		const struct kg_value *c =
			kg_find(kg_at(kg_obj(obj), "status.conditions"), "type", "Ready");

		make_node(n, obj->name)->lost =
			strcmp(kg_string(kg_get(c, "status"), ""), "True") != 0;
	}
	n->seen_revision = s->revision;
	n->policies = kgd_policies_new(s, n->pod_cidr);
	kg_snapshot_unref(s);
}

struct kgd_nodes *kgd_nodes_new(const struct kgd_nodes_options *opts)
{
	struct kgd_nodes *n = kg_alloc(sizeof(*n));

	n->loop = opts->loop;
	n->hub = opts->hub;
	n->writer = opts->writer;
	n->grace_ms = opts->grace_ms > 0 ? opts->grace_ms : DEFAULT_GRACE_MS;
	snprintf(n->service_cidr, sizeof(n->service_cidr), "%s", opts->service_cidr);
	snprintf(n->pod_cidr, sizeof(n->pod_cidr), "%s", opts->pod_cidr);
	n->ca_pem = opts->ca_pem ? kg_strdup(opts->ca_pem) : NULL;
	pthread_mutex_init(&n->lock, NULL);
	known_nodes(n);
	n->liveness_timer = kg_timer_new(n->loop, check_liveness, n);
	n->ping_timer = kg_timer_new(n->loop, ping, n);
	n->shared_timer = kg_timer_new(n->loop, update_views, n);
	kg_timer_set(n->liveness_timer, n->grace_ms);
	kg_timer_set(n->ping_timer, PING_MS);
	n->sub = kg_hub_subscribe(n->hub, published, n);
	published(n);
	return n;
}

void kgd_nodes_free(struct kgd_nodes *n)
{
	struct kg_map_entry *e;

	if (!n)
		return;
	kg_hub_unsubscribe(n->sub);
	kg_timer_free(n->liveness_timer);
	kg_timer_free(n->ping_timer);
	kg_timer_free(n->shared_timer);
	for (size_t i = 0; (e = kg_map_next(&n->map, &i));)
		free_node(e->value);
	kg_map_release(&n->map);
	kgd_policies_free(n->policies);
	kgd_shared_unref(n->shared);
	free(n->ca_pem);
	pthread_mutex_destroy(&n->lock);
	free(n);
}
