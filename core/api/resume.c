/*
 * Where a watch may be resumed. One commit of ours changes many objects, all with the same
 * resourceVersion; a client that goes away in the middle of such a commit's events knows only that
 * number, and resuming after it would lose the rest. So what was sent to whom is remembered for a
 * while, and a client that asks the same thing again from a revision that an open or broken
 * stream of its had sent gets the events of that one commit once more: at least once instead of
 * at most once. A client that has just listed at that revision has all of it, and does not.
 *
 * "The same client asking the same thing" is: user, agent, path and selectors.
 */
#include "api/internal.h"

enum { KEEP = 2048 };

static uint64_t resume_key(const struct request *r)
{
	KG_AUTOBUF struct kg_buf key = KG_BUF_INIT;
	const char *parts[] = {r->user->name, kg_http_header(r->http, "User-Agent"),
		kg_http_path(r->http), kg_http_query(r->http, "labelSelector"),
		kg_http_query(r->http, "fieldSelector")};

	for (size_t i = 0; i < KG_ARRAY_LEN(parts); i++) {
		kg_buf_adds(&key, parts[i] ? parts[i] : "");
		kg_buf_addc(&key, '\n');
	}
	return kg_hash64(key.data, key.len);
}

static struct resume_span *find(struct resume_table *t, uint64_t key)
{
	for (size_t i = 0; i < t->len; i++) {
		if (t->spans[i].key == key) {
			t->spans[i].used = ++t->clock;
			return &t->spans[i];
		}
	}
	return NULL;
}

/* The span least recently used of those without an open stream; NULL where there is none. */
static struct resume_span *stale(struct resume_table *t)
{
	struct resume_span *s = NULL;

	for (size_t i = 0; i < t->len; i++)
		if (!t->spans[i].open && (!s || t->spans[i].used < s->used))
			s = &t->spans[i];
	return s;
}

static struct resume_span *find_or_add(struct resume_table *t, uint64_t key)
{
	struct resume_span *s = find(t, key);

	if (s)
		return s;
	if (t->len >= KEEP)
		s = stale(t);
	if (!s) {
		KG_GROW(t->spans, t->cap, t->len + 1);
		s = &t->spans[t->len++];
	}
	*s = (struct resume_span){.key = key, .used = ++t->clock, .after = UINT64_MAX};
	return s;
}

void kg_api_resume_listed(const struct request *r, uint64_t revision)
{
	struct resume_table *t = &r->api->resume;
	uint64_t key = resume_key(r);

	pthread_mutex_lock(&t->lock);
	find_or_add(t, key)->listed = revision;
	pthread_mutex_unlock(&t->lock);
}

bool kg_api_resume_open(struct request *r, uint64_t revision)
{
	struct resume_table *t = &r->api->resume;
	bool partly;

	r->resume_key = resume_key(r);
	pthread_mutex_lock(&t->lock);
	struct resume_span *s = find_or_add(t, r->resume_key);

	partly = revision > s->after && (s->open || revision <= s->upto) && s->listed != revision;
	if (s->listed == revision)
		s->listed = 0;
	if (revision < s->after)
		s->after = revision;
	s->open++;
	pthread_mutex_unlock(&t->lock);
	return partly;
}

void kg_api_resume_close(struct request *r, uint64_t sent)
{
	struct resume_table *t = &r->api->resume;

	pthread_mutex_lock(&t->lock);
	struct resume_span *s = find(t, r->resume_key);

	if (s->upto < sent)
		s->upto = sent;
	s->open--;
	pthread_mutex_unlock(&t->lock);
}

void kg_api_resume_release(struct resume_table *t)
{
	free(t->spans);
	pthread_mutex_destroy(&t->lock);
}
