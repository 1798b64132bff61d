#include "nodeagent/nft_keeper.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/mem.h"
#include "nodeagent/nft.h"
#include "nodeagent/nft_memory.h"
#include "sys/file.h"

#include <malloc.h>
#include <string.h>
#include <sys/epoll.h>

#define REPAIR_MS    20 /* lets a burst of foreign changes end */
#define RETRY_MS     500
#define RETRY_MAX_MS 30000
#define CHUNK        16384 /* elements of a transaction where atomicity is not needed */

struct kg_nft_keeper {
	struct kg_nft_keeper_options opts;
	struct kg_nft *nft;
	struct kg_nft_monitor *monitor;
	struct kg_watch *watch;
	struct kg_timer *timer; /* to sync */
	int64_t retry_ms;
	bool begun, resync;   /* resync: the kernel's state is to be read and corrected */
	bool stands_in;       /* the other table may be there; at first an earlier run's */
	bool corrected;       /* the last sync found something to correct */
	bool disturbed;       /* somebody else changed something during a sync, or may have */
	uint64_t fingerprint; /* of the rules as we made them */
	uint32_t generation;  /* of the ruleset, when this began; 0: not known */
	bool rules_kept; /* an earlier run's, and nothing was read or changed since this began */
};

/* What was made of which text, as a line. */
static void remembered(struct kg_buf *out, struct kg_nft_keeper *k, uint64_t fingerprint)
{
	KG_AUTOBUF struct kg_buf text = KG_BUF_INIT;
	unsigned char sum[20];
	char hex[41];

	k->opts.rules(k->opts.ctx, &text, k->opts.table->name, false);
	kg_sha1(sum, text.data, text.len);
	kg_hex(hex, sum, sizeof(sum));
	kg_buf_addf(out, "%s %016llx\n", hex, (unsigned long long)fingerprint);
}

static bool is_remembered(struct kg_nft_keeper *k, uint64_t fingerprint)
{
	KG_AUTOBUF struct kg_buf had = KG_BUF_INIT, line = KG_BUF_INIT;
	struct kg_error ignored; /* then they are made */

	if (!k->opts.memory || !fingerprint ||
		kg_file_read(&had, k->opts.memory, 4096, &ignored) < 0)
		return false;
	remembered(&line, k, fingerprint);
	return strcmp(kg_buf_str(&had), kg_buf_str(&line)) == 0;
}

static void remember(struct kg_nft_keeper *k)
{
	KG_AUTOBUF struct kg_buf line = KG_BUF_INIT;
	struct kg_error err;

	if (!k->opts.memory)
		return;
	remembered(&line, k, k->fingerprint);
	if (kg_file_replace(k->opts.memory, line.data, line.len, 0600, &err) < 0)
		kg_warn("%s; the agent's next start makes the rules anew", err.msg);
}

/* What is told of our own changes is taken while there is room for it: else it cannot be told that
 * they were all ours. */
static int change_a_piece(struct kg_nft_keeper *k, struct kg_nft *nft,
	const struct kg_nft_elems *del, const struct kg_nft_elems *add, struct kg_error *err)
{
	int rc = kg_nft_change(nft, del, add, err);

	if (kg_nft_monitor_read(k->monitor))
		k->disturbed = true;
	return rc;
}

/* In pieces, so that ten thousand services do not need one message of many megabytes. */
static int change_in_pieces(struct kg_nft_keeper *k, struct kg_nft *nft, struct kg_nft_elems *del,
	struct kg_nft_elems *add, struct kg_error *err)
{
	struct kg_nft_elems none = {0};
	int rc = 0;

	if (!k->opts.in_pieces || del->n + add->n <= CHUNK)
		return change_a_piece(k, nft, del, add, err);
	for (size_t i = 0; i < del->n && rc == 0; i += CHUNK) {
		struct kg_nft_elems part = {
			del->items + i, del->n - i < CHUNK ? del->n - i : CHUNK, 0};
		rc = change_a_piece(k, nft, &part, &none, err);
	}
	for (size_t i = 0; i < add->n && rc == 0; i += CHUNK) {
		struct kg_nft_elems part = {
			add->items + i, add->n - i < CHUNK ? add->n - i : CHUNK, 0};
		rc = change_a_piece(k, nft, &none, &part, err);
	}
	return rc;
}

/* ---- the table that stands in ---- */

static int remove_stand_in(struct kg_nft_keeper *k, struct kg_error *err)
{
	const char *name = k->opts.stand_in->name;
	KG_AUTOFREE char *text = kg_asprintf("table ip %s\ndelete table ip %s\n", name, name);

	return kg_nft_run(text, err);
}

static int fill_stand_in(struct kg_nft_keeper *k, struct kg_error *err)
{
	struct kg_nft_elems want = {0}, none = {0};
	struct kg_nft *nft;
	int rc = kg_nft_open(&nft, k->opts.stand_in, err);

	if (rc < 0)
		return rc;
	k->opts.desired(k->opts.ctx, &want);
	kg_nft_elems_sort(&want);
	rc = change_in_pieces(k, nft, &none, &want, err);
	kg_nft_elems_release(&want);
	kg_nft_close(nft);
	return rc;
}

static int make_stand_in(struct kg_nft_keeper *k, struct kg_error *err)
{
	KG_AUTOBUF struct kg_buf text = KG_BUF_INIT;

	k->opts.rules(k->opts.ctx, &text, k->opts.stand_in->name, true);
	k->stands_in = true;
	int rc = kg_nft_run(text.data, err);
	return rc == 0 ? fill_stand_in(k, err) : rc;
}

/* present: there is a table, and what it translates is to go on. */
static int install_rules(struct kg_nft_keeper *k, bool present, struct kg_error *err)
{
	KG_AUTOBUF struct kg_buf text = KG_BUF_INIT;
	int rc = -1;

	/* The first time what is there is an earlier run's, and its elements stay; later it is
	 * somebody's whose additions must not. */
	if (!k->fingerprint) {
		k->opts.rules(k->opts.ctx, &text, k->opts.table->name, false);
		rc = kg_nft_run(text.data, err);
	}
	if (rc < 0) {
		rc = present && k->opts.stand_in ? make_stand_in(k, err) : 0;
		if (rc < 0)
			return rc;
		kg_buf_clear(&text);
		k->opts.rules(k->opts.ctx, &text, k->opts.table->name, true);
		rc = kg_nft_run(text.data, err);
	}
	kg_nft_monitor_read(k->monitor); /* that was us */
	k->corrected = true;
	if (rc == 0)
		rc = kg_nft_fingerprint(&k->fingerprint, k->nft, err);
	if (rc == 0)
		remember(k);
	return rc;
}

static char *elements_file(const struct kg_nft_keeper *k)
{
	return kg_asprintf("%s.elements", k->opts.memory);
}

/* As the agent before this one left them, if nobody else did anything since. Once. */
static bool take_memory(struct kg_nft_keeper *k, struct kg_nft_elems *out)
{
	KG_AUTOFREE char *path = k->opts.memory ? elements_file(k) : NULL;
	bool fine = path && kg_nft_memory_take(out, path, k->generation);

	if (fine && (!k->generation || kg_nft_monitor_read(k->monitor))) {
		kg_nft_elems_release(out);
		fine = false;
	}
	return fine;
}

static int read_elements(struct kg_nft_keeper *k, struct kg_nft_elems *out, struct kg_error *err)
{
	bool fine = k->rules_kept && take_memory(k, out);
	int rc = fine ? 0 : kg_nft_dump(out, k->nft, err);

	k->rules_kept = false;
	if (rc == 0)
		kg_nft_elems_sort(out);
	return rc;
}

static int correct(struct kg_nft_keeper *k, struct kg_error *err)
{
	struct kg_nft_elems have = {0}, want = {0}, del = {0}, add = {0};
	int rc = read_elements(k, &have, err);

	if (rc == 0) {
		k->opts.desired(k->opts.ctx, &want);
		kg_nft_elems_sort(&want);
		kg_nft_elems_diff(&del, &add, &have, &want);
		k->corrected = k->corrected || del.n || add.n;
		rc = change_in_pieces(k, k->nft, &del, &add, err);
	}
	bool large = want.n > CHUNK;
	kg_nft_elems_release(&have);
	kg_nft_elems_release(&want);
	kg_nft_elems_release(&del);
	kg_nft_elems_release(&add);
	if (large)
		malloc_trim(0);
	return rc;
}

int kg_nft_keeper_sync(struct kg_nft_keeper *k, struct kg_error *err)
{
	uint64_t now = 0;
	int rc = kg_nft_fingerprint(&now, k->nft, err);

	k->corrected = k->disturbed = false;
	k->rules_kept = rc == 0 && !k->fingerprint && is_remembered(k, now);
	if (k->rules_kept)
		k->fingerprint = now;
	if (rc == 0 && (now != k->fingerprint || !now))
		rc = install_rules(k, now != 0, err);
	if (rc == 0)
		rc = correct(k, err);
	if (rc == 0 && k->stands_in && k->opts.stand_in)
		rc = remove_stand_in(k, err);
	k->stands_in = k->stands_in && rc < 0;
	k->resync = rc < 0;
	if (rc < 0) {
		kg_timer_set(k->timer, k->retry_ms);
		k->retry_ms = k->retry_ms * 2 < RETRY_MAX_MS ? k->retry_ms * 2 : RETRY_MAX_MS;
		return rc;
	}
	k->retry_ms = RETRY_MS;
	k->resync = k->disturbed;
	kg_timer_set(k->timer, k->disturbed ? REPAIR_MS : -1);
	return 0;
}

int kg_nft_keeper_change(struct kg_nft_keeper *k, const struct kg_nft_elems *del,
	const struct kg_nft_elems *add, struct kg_error *err)
{
	if (!k->resync && kg_nft_change(k->nft, del, add, err) == 0)
		return 0;
	/* Not what we thought it was (a change by somebody that is just being told): read it. */
	k->resync = true;
	return kg_nft_keeper_sync(k, err);
}

bool kg_nft_keeper_in_step(const struct kg_nft_keeper *k)
{
	return !k->resync;
}

void kg_nft_keeper_reset(struct kg_nft_keeper *k)
{
	k->begun = k->resync = true;
	k->fingerprint = 0;
}

static void on_timer(void *ctx)
{
	struct kg_nft_keeper *k = ctx;
	struct kg_error err;

	if (!k->begun)
		return;
	int rc = kg_nft_keeper_sync(k, &err);
	if (k->opts.on_event && (rc < 0 || k->corrected))
		k->opts.on_event(k->opts.ctx, rc < 0 ? &err : NULL);
}

static void on_monitor(void *ctx, uint32_t events)
{
	struct kg_nft_keeper *k = ctx;

	(void)events;
	if (kg_nft_monitor_read(k->monitor) && k->begun && !k->resync) {
		k->resync = true;
		kg_timer_set(k->timer, REPAIR_MS);
	}
}

int kg_nft_keeper_new(struct kg_nft_keeper **out, struct kg_loop *loop,
	const struct kg_nft_keeper_options *opts, struct kg_error *err)
{
	struct kg_nft_keeper *k = kg_alloc(sizeof(*k));
	int rc = kg_nft_open(&k->nft, opts->table, err);

	k->opts = *opts;
	k->retry_ms = RETRY_MS;
	k->resync = k->stands_in = true;
	if (rc == 0)
		rc = kg_nft_monitor_open(&k->monitor, k->nft, err);
	if (rc == 0)
		rc = kg_nft_generation(&k->generation, k->nft, err);
	if (rc == 0) {
		k->timer = kg_timer_new(loop, on_timer, k);
		k->watch =
			kg_loop_watch(loop, kg_nft_monitor_fd(k->monitor), EPOLLIN, on_monitor, k);
		if (!k->watch)
			rc = kg_fail_errno(err, "watch nftables' changes");
	}
	if (rc < 0) {
		kg_nft_keeper_free(k);
		return rc;
	}
	*out = k;
	return 0;
}

void kg_nft_keeper_leave(struct kg_nft_keeper *k)
{
	struct kg_nft_elems have = {0};
	struct kg_error err;
	uint32_t generation;

	if (!k->opts.memory || !k->begun || k->resync)
		return;
	int rc = kg_nft_generation(&generation, k->nft, &err);
	if (rc == 0 && kg_nft_monitor_read(k->monitor))
		return;
	KG_AUTOFREE char *path = elements_file(k);
	k->opts.desired(k->opts.ctx, &have);
	kg_nft_elems_sort(&have);
	if (rc == 0)
		rc = kg_nft_memory_save(path, generation, &have, &err);
	kg_nft_elems_release(&have);
	if (rc < 0)
		kg_warn("%s; the agent's next start reads the table anew", err.msg);
}

void kg_nft_keeper_free(struct kg_nft_keeper *k)
{
	if (!k)
		return;
	kg_watch_free(k->watch);
	kg_timer_free(k->timer);
	kg_nft_monitor_close(k->monitor);
	kg_nft_close(k->nft);
	free(k);
}
