/* What a watch sends: events, bookmarks, errors. */
#include "api/internal.h"
#include "api/reply.h"
#include "api/watcher.h"
#include "api/worker.h"

#include <inttypes.h>

enum { BOOKMARK_MS = 60000 };

static const char suffix[] = "}\n";

/* Of ADDED, MODIFIED or DELETED, known by its first letter. */
static const char *before_of(char type)
{
	if (type == 'A')
		return "{\"type\":\"ADDED\",\"object\":";
	return type == 'M' ? "{\"type\":\"MODIFIED\",\"object\":"
			   : "{\"type\":\"DELETED\",\"object\":";
}

void kg_api_watch_emit(
	struct watcher *w, const char *type, const struct kg_object *obj, uint64_t revision)
{
	w->sent = 0;
	w->told = revision;
	if (w->form == FORM_OBJECT) {
		w->before = before_of(*type);
		w->blob = kg_api_encode_shared(w->api, obj, revision, true);
	} else {
		kg_buf_clear(&w->out);
		kg_buf_adds(&w->out, before_of(*type));
		kg_api_write_form(&w->out, w->r, obj, revision, !w->headers_sent);
		kg_buf_adds(&w->out, suffix);
	}
	w->headers_sent = true;
	atomic_fetch_add_explicit(&w->api->events_sent, 1, memory_order_relaxed);
}

void kg_api_watch_next_bookmark(struct watcher *w)
{
	int64_t every = w->r->api->opt.bookmark_ms;

	w->bookmark = kg_api_now_ms() + (every ? every : BOOKMARK_MS);
}

void kg_api_watch_emit_bookmark(struct watcher *w, bool initial)
{
	const struct request *r = w->r;
	KG_AUTOBUF struct kg_buf md = KG_BUF_INIT;

	kg_api_watch_next_bookmark(w);
	w->told = w->cursor;
	kg_buf_addf(&md, "\"metadata\":{\"resourceVersion\":\"%" PRIu64 "\"", w->cursor);
	if (initial)
		kg_buf_adds(&md, ",\"annotations\":{\"k8s.io/initial-events-end\":\"true\"}");
	kg_buf_addc(&md, '}');

	w->sent = 0;
	kg_buf_clear(&w->out);
	kg_buf_adds(&w->out, "{\"type\":\"BOOKMARK\",\"object\":{\"kind\":");
	if (r->form == FORM_OBJECT) {
		kg_api_write_str(&w->out, r->kind->kind);
		kg_api_write_member(&w->out, "apiVersion", kg_kind_api_version(r->kind));
		kg_buf_addf(&w->out, ",%s}", md.data);
	} else if (r->form == FORM_PARTIAL) {
		kg_buf_addf(&w->out,
			"\"PartialObjectMetadata\",\"apiVersion\":\"meta.k8s.io/%s\",%s}",
			r->form_version, md.data);
	} else {
		kg_buf_addf(&w->out,
			"\"Table\",\"apiVersion\":\"meta.k8s.io/%s\",\"metadata\":{"
			"\"resourceVersion\":\"%" PRIu64 "\"},\"columnDefinitions\":[],\"rows\":[{"
			"\"cells\":[],\"object\":{\"kind\":\"PartialObjectMetadata\","
			"\"apiVersion\":\"meta.k8s.io/%s\",%s}}]}",
			r->form_version, w->cursor, r->form_version, md.data);
	}
	kg_buf_adds(&w->out, suffix);
}

void kg_api_watch_emit_error(struct watcher *w, const struct kg_error *err)
{
	w->sent = 0;
	kg_buf_clear(&w->out);
	kg_buf_adds(&w->out, "{\"type\":\"ERROR\",\"object\":");
	kg_api_write_status(
		&w->out, NULL, err, kg_code_http(err->code), kg_code_reason(err->code), NULL);
	kg_buf_adds(&w->out, suffix);
	if (err->code == KG_E_GONE)
		atomic_fetch_add(&w->r->api->metrics.expired, 1);
	w->phase = OVER;
}

void kg_api_watch_emit_gone(struct watcher *w)
{
	struct kg_error err;

	kg_fail(&err, KG_E_GONE, "too old resource version: %" PRIu64, w->cursor);
	kg_api_watch_emit_error(w, &err);
}

/* Copies what waits to be sent. */
size_t kg_api_watch_drain(struct watcher *w, char *buf, size_t max)
{
	const struct blob *b = w->blob;
	const char *part[] = {b ? w->before : w->out.data, b ? b->data : "", suffix};
	size_t len[] = {b ? strlen(w->before) : w->out.len, b ? b->len : 0, b ? strlen(suffix) : 0};
	size_t n = 0, at = w->sent;

	for (int i = 0; i < 3 && n < max; i++) {
		if (at >= len[i]) {
			at -= len[i];
			continue;
		}
		size_t take = len[i] - at < max - n ? len[i] - at : max - n;

		memcpy(buf + n, part[i] + at, take);
		n += take;
		at = 0;
	}
	w->sent += n;
	if (w->sent == len[0] + len[1] + len[2]) {
		kg_api_blob_unref(w->blob);
		w->blob = NULL;
		kg_buf_clear(&w->out);
		w->sent = 0;
	}
	return n;
}
