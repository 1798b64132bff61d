/*
 * A look reads the whole cluster, and changes come in storms. So between two looks the pods are
 * watched, and the next look is due when the last pod that was not ready is, or else now and then.
 */
#include "kgit/waiting.h"

#include "base/map.h"
#include "kgit/kgit.h"
#include "reconcile/summary.h"
#include "sys/loop.h"
#include "value/json.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* Between two looks: while nothing moves, and while something does. */
#define LOOK_MS   2000
#define MOVING_MS 1000
/* Where what is not ready is no pod, each change may be the one: but never sooner than this. */
#define REST_MS 100

struct waiting {
	struct kg_map unready; /* uids of pods */
	struct kg_buf line;
	int64_t until;
};

static void note_pod(struct waiting *w, const struct kg_object *pod)
{
	struct kg_summary sum;

	kg_summarize(&sum, NULL, pod);
	if (sum.ready)
		kg_map_remove(&w->unready, kg_object_uid(pod));
	else
		kg_map_put(&w->unready, kg_object_uid(pod), w);
}

static void note_event(struct waiting *w, const char *text, size_t len)
{
	struct kg_arena a KG_CLEANUP(kg_arena_release) = KG_ARENA_INIT;
	struct kg_error ignored; /* the next look will tell */
	struct kg_value event;

	if (kg_json_parse(&event, &a, text, len, &ignored) < 0)
		return;
	const struct kg_value *value = kg_get(&event, "object");
	struct kg_object_spec spec = {.kind = &kg_kinds[KG_KIND_POD],
		.ns = kg_string(kg_at(value, "metadata.namespace"), ""),
		.name = kg_string(kg_at(value, "metadata.name"), ""),
		.value = value};
	struct kg_object *pod = kg_object_new(&spec);
	if (strcmp(kg_string(kg_get(&event, "type"), ""), "DELETED") == 0)
		kg_map_remove(&w->unready, kg_object_uid(pod));
	else
		note_pod(w, pod);
	kg_object_unref(pod);
}

static bool on_data(void *ctx, const char *p, size_t n)
{
	struct waiting *w = ctx;
	const char *end;
	bool seen = false;

	for (; (end = memchr(p, '\n', n)); n -= (size_t)(end + 1 - p), p = end + 1) {
		kg_buf_add(&w->line, p, (size_t)(end - p));
		note_event(w, kg_buf_str(&w->line), w->line.len);
		w->line.len = 0;
		seen = true;
	}
	kg_buf_add(&w->line, p, n);
	return !seen || (w->unready.count > 0 && kg_monotonic_ms() < w->until);
}

/* Until it is worth to look again. */
static void wait_for_pods(struct kg_http_client *http, const struct kg_snapshot *s, int64_t ms)
{
	struct waiting w = {.unready = KG_MAP_INIT,
		.line = KG_BUF_INIT,
		.until = kg_monotonic_ms() + MOVING_MS};
	struct kg_object_iter it;
	const struct kg_object *pod;
	struct kg_error err;
	char path[120];

	kg_iter_kind(&it, s, KG_KIND_POD, NULL, NULL);
	while ((pod = kg_iter_next(&it)))
		note_pod(&w, pod);
	kg_iter_release(&it);
	bool pods = w.unready.count > 0;
	snprintf(path, sizeof(path),
		"/api/v1/pods?watch=true&resourceVersion=%llu&timeoutSeconds=60",
		(unsigned long long)s->revision);
	int rc = kg_http_get_stream(http, path, (int)ms, on_data, &w, &err);
	/* A master that is away for a moment is waited for. */
	if (!pods || (rc < 0 && err.code != KG_E_TIMEOUT))
		usleep(REST_MS * 1000);
	kg_map_release(&w.unready);
	kg_buf_release(&w.line);
}

int kgit_load_ready(struct kg_snapshot **out, struct kg_http_client *http, int64_t wait_ms,
	struct kg_error *err)
{
	int64_t deadline = kg_monotonic_ms() + wait_ms;

	for (;;) {
		int rc = kgit_load(out, http, 0, err);
		int64_t left = deadline - kg_monotonic_ms();

		if (rc < 0 && (left <= 0 || err->code != KG_E_UNAVAILABLE))
			return rc;
		if (rc == 0 && (left <= 0 || kg_all_ready(*out)))
			return 0;
		if (rc == 0) {
			wait_for_pods(http, *out, left < LOOK_MS ? left + 1 : LOOK_MS);
			kg_snapshot_unref(*out);
		} else {
			usleep(REST_MS * 1000);
		}
	}
}
