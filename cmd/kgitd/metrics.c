/* What kgitd adds to /metrics, and what /livez and /readyz look at. */
#include "kgitd/metrics.h"

#include "base/metrics.h"
#include "http/limiter.h"

#include <stdatomic.h>
#include <string.h>

/* Neither loop nor writer says when it is stuck: a probe is sent to it, and one that is not back
 * after so long tells. */
#define STUCK_MS 30000

struct probe {
	_Atomic int64_t sent_ms; /* 0: none is under way */
};
struct kgd_probes {
	struct probe loop, writer;
};

static void back(void *ctx)
{
	struct probe *p = ctx;

	atomic_store(&p->sent_ms, 0);
}

/* True where a probe is to be sent; *stuck where the last one has been away for too long. */
static bool is_due(struct probe *p, bool *stuck)
{
	int64_t now = kg_monotonic_ms(), none = 0;
	int64_t sent = atomic_load(&p->sent_ms);

	*stuck = sent && now - sent >= STUCK_MS;
	return !sent && atomic_compare_exchange_strong(&p->sent_ms, &none, now);
}

static bool check_loop(void *ctx, struct kg_buf *why)
{
	struct kgd_master *m = ctx;
	bool stuck;

	if (is_due(&m->probes->loop, &stuck))
		kg_loop_post(m->loop, back, &m->probes->loop);
	if (stuck)
		kg_buf_adds(why, "the event loop does not answer");
	return !stuck;
}

static void writer_back(
	struct kgd_request *req, int rc, uint64_t revision, const struct kg_error *err)
{
	(void)rc;
	(void)revision;
	(void)err;
	back(req->ctx);
}

static bool check_writer(void *ctx, struct kg_buf *why)
{
	struct kgd_master *m = ctx;
	bool stuck;

	if (is_due(&m->probes->writer, &stuck)) {
		struct kgd_request *req = kgd_request_new(KGD_CALL);

		req->done = writer_back;
		req->ctx = &m->probes->writer;
		kgd_writer_submit(m->writer, req);
	}
	if (stuck)
		kg_buf_adds(why, "the writer has been at one commit for too long");
	return !stuck;
}

static bool check_store(void *ctx, struct kg_buf *why)
{
	struct kgd_master *m = ctx;
	char health[256];

	kgd_writer_health(m->writer, health);
	kg_buf_adds(why, health);
	return !*health;
}

static bool check_shutdown(void *ctx, struct kg_buf *why)
{
	struct kgd_master *m = ctx;
	bool stopping = atomic_load(&m->stopping);

	if (stopping)
		kg_buf_adds(why, "process is shutting down");
	return !stopping;
}

const struct kg_api_check kgd_checks[KGD_NCHECKS] = {
	{.name = "loop", .ok = check_loop},
	{.name = "writer", .ok = check_writer},
	{.name = "store", .ready_only = true, .ok = check_store},
	{.name = "shutdown", .ready_only = true, .ok = check_shutdown},
};

struct kgd_probes *kgd_probes_new(void)
{
	return kg_alloc(sizeof(struct kgd_probes));
}

/* ---- metrics ---- */

static void write_http(struct kg_buf *out, struct kgd_master *m)
{
	struct kg_http_stats s;

	kg_http_server_stats(m->http, &s);
	kg_metric_one(out, "kgit_http_connections", "gauge", "TLS connections that are open.",
		(double)s.connections);
	kg_metric_one(out, "kgit_http_connections_total", "counter", "Connections taken.",
		(double)s.accepted);
	kg_metric_one(out, "kgit_http_requests_total", "counter",
		"Requests of every kind: the API's, git's, nodes'.", (double)s.requests);
	kg_metric_one(out, "kgit_http_connections_max", "gauge", "No more are taken.",
		(double)m->limits.connections);
	kg_metric_one(out, "kgit_http_connections_evicted_total", "counter",
		"Idle connections closed because there were nearly too many.", (double)s.evicted);
	kg_metric_one(out, "kgit_http_rate_max", "gauge",
		"Requests a second that one user may make.", (double)m->limits.requests);
	kg_metric_one(out, "kgit_http_rate_limited_total", "counter", "Requests refused for that.",
		(double)kg_limiter_refused(m->limiter));
	kg_metric_one(out, "kgit_http_ambiguous_total", "counter",
		"Requests refused because their framing was in doubt.", (double)s.ambiguous);
	kg_metric_one(out, "kgit_http_timeouts_total", "counter",
		"Connections closed because a handshake, a header or a body took too long, or of "
		"silence.",
		(double)s.timeouts);
	kg_metric_one(out, "kgit_http_streams_blocked_total", "counter",
		"How often a stream had to wait for its peer to read.", (double)s.blocked);
	kg_metric_one(out, "kgit_http_body_too_large_total", "counter",
		"Requests refused for the size of their body.", (double)s.too_large);
	kg_metric_one(out, "kgit_http_header_too_large_total", "counter",
		"Requests refused for the size of their header.", (double)s.header_too_large);
	kg_metric_one(out, "kgit_http_websockets_total", "counter",
		"Streams that went over a WebSocket.", (double)s.websockets);
	kg_metric_one(out, "kgit_http_websocket_faults_total", "counter",
		"Of those, closed because their peer broke the protocol, or said too much.",
		(double)s.websocket_faults);
}

void kgd_metrics(void *ctx, struct kg_buf *out)
{
	struct kgd_master *m = ctx;

	write_http(out, m);
	kgd_writer_metrics(m->writer, out);
	kg_metric_one(
		out, "kgit_git_processes", "gauge", "git children that run.", kgd_git_active());
	kg_metric_one(out, "kgit_git_processes_max", "gauge", "No more are started.",
		(double)m->limits.git_processes);
	kg_metric_one(out, "kgit_git_processes_refused_total", "counter",
		"Pushes and fetches refused for that.", (double)kgd_git_refused());
}
