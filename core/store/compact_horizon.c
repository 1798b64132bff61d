#include "store/compact_private.h"

#include "store/commit_text.h"

#include "base/hash.h"
#include "base/mem.h"
#include "sys/file.h"

#include <stdio.h>
#include <string.h>

#define GRACE_MS (INT64_C(3600) * 1000)

/* ---- what is remembered ---- */

static void take_line(struct kg_map *packed, char done[41], const char *line, size_t n)
{
	char text[64];

	if (n >= sizeof(text))
		return;
	memcpy(text, line, n);
	text[n] = '\0';
	if (n == 45 && strncmp(text, "pack-", 5) == 0)
		kg_map_put(packed, text, packed);
	else if (n == 48 && strncmp(text, "horizon ", 8) == 0)
		memcpy(done, text + 8, 41);
}

void kg_compact_recall(const char *side, struct kg_map *packed, char done[41])
{
	char *path KG_AUTOFREE = kg_asprintf("%s/compacted", side);
	struct kg_buf text KG_AUTOBUF = KG_BUF_INIT;

	done[0] = '\0';
	if (kg_file_read(&text, path, 1u << 20, NULL) < 0)
		return;
	for (const char *p = kg_buf_str(&text); *p;) {
		const char *end = strchrnul(p, '\n');

		take_line(packed, done, p, (size_t)(end - p));
		p = *end ? end + 1 : end;
	}
}

void kg_compact_names(struct kg_map *packed, const char *side)
{
	char done[41];

	kg_compact_recall(side, packed, done);
}

int kg_compact_remember(struct kg_compact_round *c, struct kg_error *err)
{
	char *path KG_AUTOFREE = kg_asprintf("%s/compacted", c->side);
	struct kg_buf text KG_AUTOBUF = KG_BUF_INIT;
	struct kg_map_entry *e;

	if (c->done[0])
		kg_buf_addf(&text, "horizon %s\n", c->done);
	for (size_t i = 0; (e = kg_map_next(&c->packed, &i));)
		kg_buf_addf(&text, "%s\n", e->key);
	return kg_file_replace(path, kg_buf_str(&text), text.len, 0644, err);
}

/* ---- the horizon ---- */

/* When a revision was. */
static int time_of(
	kg_time *out, struct kg_compact_round *c, uint64_t revision, struct kg_error *err)
{
	git_odb_object *obj KG_AUTOOBJ = NULL;
	struct kg_commit_view v;
	unsigned char id[20];
	int rc = kg_store_find_revision(id, c->s, revision, err);

	if (rc == 0)
		rc = kg_commit_read(&obj, &v, &c->reader, id, err);
	if (rc == 0)
		*out = v.seconds * 1000;
	return rc;
}

/* The first revision that is not older than the limit; time never goes back. */
static int first_by_age(uint64_t *out, struct kg_compact_round *c, uint64_t oldest, uint64_t head,
	struct kg_error *err)
{
	uint64_t low = oldest, high = head;

	while (low < high) {
		uint64_t middle = low + (high - low) / 2;
		kg_time t = 0;
		int rc = time_of(&t, c, middle, err);

		if (rc < 0)
			return rc;
		if (t < c->o->now - c->o->age_ms)
			low = middle + 1;
		else
			high = middle;
	}
	*out = low;
	return 0;
}

/* The oldest revision that is to be kept. */
static int wanted(uint64_t *out, struct kg_compact_round *c, uint64_t oldest, struct kg_error *err)
{
	uint64_t head = kg_store_revision(c->s), by_age = oldest;
	int rc = 0;

	*out = oldest;
	if (c->o->revisions && head - oldest >= c->o->revisions)
		*out = head - c->o->revisions + 1;
	if (c->o->age_ms > 0 && c->o->age_ms < c->o->now)
		rc = first_by_age(&by_age, c, oldest, head, err);
	if (rc == 0 && by_age > *out)
		*out = by_age;
	/* Every move is followed by a walk over all that stays. */
	if (!c->o->force && *out - oldest < (head - oldest + 8) / 8)
		*out = oldest;
	return rc;
}

bool kg_compact_is_pending(const struct kg_compact_round *c)
{
	char hex[41];

	kg_hex(hex, c->oldest, 20);
	return kg_shallow_has(&c->shallow, c->oldest) && strcmp(c->done, hex) != 0;
}

/* What reached the disk of a write that failed is as unknown here as of a pack. */
int kg_compact_write_shallow(struct kg_compact_round *c, struct kg_error *err)
{
	int rc = kg_shallow_write(c->s->dir, &c->shallow, err);

	if (rc == -KG_E_IO)
		atomic_store(&c->s->sync_failed, true);
	return rc;
}

int kg_compact_move_horizon(struct kg_compact_round *c, struct kg_error *err)
{
	uint64_t to;
	int rc = wanted(&to, c, c->out->oldest, err);

	if (rc < 0 || to == c->out->oldest)
		return rc;
	rc = kg_store_find_revision(c->oldest, c->s, to, err);
	if (rc < 0)
		return rc;
	kg_shallow_add(&c->shallow, c->oldest);
	rc = kg_compact_write_shallow(c, err);
	if (rc < 0)
		return rc;
	c->shallow.since = time(NULL);
	pthread_mutex_lock(&c->s->lock);
	kg_history_cut(&c->s->history, to, c->oldest);
	pthread_mutex_unlock(&c->s->lock);
	c->out->dropped = to - c->out->oldest;
	c->out->oldest = to;
	return 0;
}

static time_t grace(const struct kg_compact_round *c)
{
	int64_t ms = c->o->grace_ms ? c->o->grace_ms : GRACE_MS;

	return ms < 0 ? -1 : (time_t)((ms + 999) / 1000);
}

bool kg_compact_is_old(const struct kg_compact_round *c, time_t since)
{
	return since + grace(c) < time(NULL);
}
