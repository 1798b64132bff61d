/* The streams by which nodes are told. */
#include "kgitd/nodes_private.h"

#include <stdio.h>
#include <string.h>

#define STREAM_MAX (256 << 10) /* unread bytes after which a stream is broken */
#define PING_MS    10000

static void stream_line(struct kgd_node_stream *s, const char *line)
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

void kgd_node_announce(struct kgd_node *node)
{
	char line[160];

	if (!node->view)
		return;
	snprintf(line, sizeof(line), "{\"view\":\"%s\",\"revision\":%llu}\n", node->view->commit,
		(unsigned long long)node->view->revision);
	for (struct kgd_node_stream *s = node->streams; s; s = s->next)
		stream_line(s, line);
}

static ssize_t stream_read(struct kg_http_req *req, char *buf, size_t max, void *ctx)
{
	struct kgd_node_stream *s = ctx; /* lives until the request's done */
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

void kgd_nodes_ping(void *ctx)
{
	struct kgd_nodes *n = ctx;
	int64_t now = kg_monotonic_ms();
	struct kg_map_entry *e;

	pthread_mutex_lock(&n->lock);
	for (size_t i = 0; (e = kg_map_next(&n->map, &i));)
		for (struct kgd_node_stream *s = ((struct kgd_node *)e->value)->streams; s;
			s = s->next)
			if (now - s->written >= PING_MS / 2)
				stream_line(s, "{\"ping\":true}\n");
	pthread_mutex_unlock(&n->lock);
	kg_timer_set(n->ping_timer, PING_MS);
}

bool kgd_nodes_send(struct kgd_nodes *n, const char *name, const char *line)
{
	pthread_mutex_lock(&n->lock);
	struct kgd_node *node = kgd_node_get(n, name);
	bool sent = node && node->streams && !node->streams->broken;
	if (sent)
		stream_line(node->streams, line);
	pthread_mutex_unlock(&n->lock);
	return sent;
}

void kgd_nodes_watch(struct kgd_nodes *n, const char *name, struct kg_http_req *req)
{
	struct kgd_node_stream *s = kg_alloc(sizeof(*s));

	kgd_nodes_seen(n, name, NULL);
	pthread_mutex_lock(&n->lock);
	struct kgd_node *node = kgd_node_make(n, name);
	s->req = req;
	s->nodes = n;
	s->written = kg_monotonic_ms();
	kgd_node_current_view(n, node);
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
		struct kgd_node_stream **at = &((struct kgd_node *)e->value)->streams;

		while (*at && (*at)->req != req)
			at = &(*at)->next;
		if (*at) {
			struct kgd_node_stream *s = *at;

			*at = s->next;
			kg_buf_release(&s->out);
			free(s);
			break;
		}
	}
	pthread_mutex_unlock(&n->lock);
}
