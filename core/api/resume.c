/*
 * Where a watch goes on. One commit of ours changes many objects, all with the same
 * resourceVersion; a client that goes away in the middle of such a commit's events knows only that
 * number, and going on after it would lose the rest. Nothing that is remembered of what was sent
 * settles it: it may not have arrived, and a restart forgets it.
 *
 * So a watch from revision R begins with the events of R itself, where several of them concern it:
 * at least once instead of at most once. Where one or none does, who names R has all of it. Being
 * told again is harmless: it makes the client's state at those objects that of R, whatever part of
 * R it had (client-go's caches replace an object by its equal, and delete what is not there). A
 * 410 instead would make all clients list again after each restart, and ends `kubectl get -w`.
 *
 * The exception is who has just listed at R: then the list was whole, and its objects would all be
 * told twice (`kubectl get -w` would print them twice). That is known of a list that was asked for
 * on the same connection, by the same user and agent, of the same path and selectors; it counts
 * once, and whatever is forgotten is told again. Likewise of a stream that ended in order.
 *
 * So: within a stream everything comes once and in order; a stream that goes on may begin with
 * what its predecessor had of the one revision at which it goes on.
 *
 * Unresolved: two watches of the same thing in one process, over one connection, of which one
 * broke in the middle of R while the other one listed at R and lets the first go on before it.
 */
#include "api/resume.h"

#include "api/internal.h"
#include "api/request.h"
#include "base/hash.h"

static uint64_t resume_key(const struct request *r)
{
	KG_AUTOBUF struct kg_buf key = KG_BUF_INIT;
	const char *parts[] = {r->user->name, kg_http_header(r->http, "User-Agent"),
		kg_http_path(r->http), kg_http_query(r->http, "labelSelector"),
		kg_http_query(r->http, "fieldSelector")};

	kg_buf_addf(&key, "%llu\n", (unsigned long long)kg_http_connection(r->http));
	for (size_t i = 0; i < KG_ARRAY_LEN(parts); i++) {
		kg_buf_adds(&key, parts[i] ? parts[i] : "");
		kg_buf_addc(&key, '\n');
	}
	return kg_hash64(key.data, key.len);
}

static struct resume_listed *slot(struct resume_table *t, uint64_t key)
{
	return &t->listed[key % KG_ARRAY_LEN(t->listed)];
}

void kg_api_resume_listed(const struct request *r, uint64_t revision)
{
	struct resume_table *t = &r->api->resume;
	uint64_t key = resume_key(r);

	pthread_mutex_lock(&t->lock);
	*slot(t, key) = (struct resume_listed){.key = key, .revision = revision};
	pthread_mutex_unlock(&t->lock);
}

bool kg_api_resume_has_all(const struct request *r, uint64_t revision)
{
	struct resume_table *t = &r->api->resume;
	uint64_t key = resume_key(r);

	pthread_mutex_lock(&t->lock);
	struct resume_listed *l = slot(t, key);
	bool all = l->key == key && l->revision == revision;

	if (all)
		*l = (struct resume_listed){0};
	pthread_mutex_unlock(&t->lock);
	return all;
}
