#include "kgitd/compact.h"

#include "base/log.h"
#include "base/mem.h"
#include "kgitd/clock.h"
#include "store/compact.h"
#include "store/settings.h"
#include "sys/loop.h"

#include <malloc.h>
#include <poll.h>
#include <pthread.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

/* ioprio_set(2), for which there is no header: of the thread itself, "best effort", lowest. */
#define IO_OF_PROCESS 1
#define IO_LOWEST     (2 << 13 | 7)

#define AFTER_FAILURE 5 /* times as long until the next try */

struct kgd_compact {
	struct kgd_compact_options opts;
	struct kgd_clock clock; /* a wall clock that jumps takes no history with it */
	pthread_t thread;
	int stop;             /* eventfd */
	struct kg_buf told;   /* what the last round noted, for the same */
	struct kg_error said; /* the last failure that was logged, so that it is logged once */
};

/* A child that the thread starts has the same. */
static void lower_priority(void)
{
	if (setpriority(PRIO_PROCESS, (id_t)gettid(), 19) < 0 ||
		syscall(SYS_ioprio_set, IO_OF_PROCESS, 0, IO_LOWEST) < 0)
		kg_warn("the priority of compaction cannot be lowered");
}

static void tell(struct kgd_compact *c, struct kg_buf *notes)
{
	char *at = NULL;

	if (strcmp(kg_buf_str(notes), kg_buf_str(&c->told)) == 0)
		return;
	kg_buf_clear(&c->told);
	if (!notes->len)
		return;
	kg_buf_adds(&c->told, notes->data);
	for (char *line = strtok_r(notes->data, "\n", &at); line; line = strtok_r(NULL, "\n", &at))
		kg_warn("%s", line);
}

static int one_round(struct kgd_compact *c, struct kg_compact_result *result, struct kg_error *err)
{
	struct kg_buf notes KG_AUTOBUF = KG_BUF_INIT;
	struct kg_compact_options o = {.revisions = c->opts.revisions,
		.age_ms = c->opts.age_ms,
		.now = kgd_clock_read(&c->clock, kg_realtime_ms(), kg_monotonic_ms()),
		.grace_ms = c->opts.grace_ms,
		.notes = &notes,
		.cancel = c->stop};
	struct kg_settings s;
	int rc = kg_store_settings(&s, c->opts.store, err);

	if (rc < 0)
		return rc;
	if (s.revisions)
		o.revisions = s.revisions;
	if (s.age_ms)
		o.age_ms = s.age_ms;
	rc = kg_store_compact(result, c->opts.store, &o, err);
	tell(c, &notes);
	return rc;
}

static void say(const struct kg_compact_result *r)
{
	if (r->dropped)
		kg_info("history before revision %llu is not kept any more",
			(unsigned long long)r->oldest);
	if (r->bytes_after != r->bytes_before)
		kg_info("compaction: %zu KB in %zu packs became %zu KB in %zu, without %zu objects "
			"that nobody needs",
			r->bytes_before >> 10, r->packs_before, r->bytes_after >> 10,
			r->packs_after, r->objects_gone);
}

static void complain(struct kgd_compact *c, int rc, const struct kg_error *err)
{
	if (rc == -KG_E_UNAVAILABLE || strcmp(c->said.msg, err->msg) == 0)
		return;
	kg_warn("%s", err->msg);
	c->said = *err;
}

static void *work(void *arg)
{
	struct kgd_compact *c = arg;
	struct pollfd p = {.fd = c->stop, .events = POLLIN};

	lower_priority();
	for (int64_t wait = c->opts.every_ms; poll(&p, 1, (int)wait) <= 0;) {
		struct kg_compact_result result;
		struct kg_error err = {0};
		int rc = one_round(c, &result, &err);

		/* A full disk, say, does not get better by trying all the time. */
		wait = rc < 0 ? c->opts.every_ms * AFTER_FAILURE : c->opts.every_ms;
		if (rc < 0) {
			complain(c, rc, &err);
			continue;
		}
		c->said.msg[0] = 0;
		say(&result);
		if (result.bytes_after != result.bytes_before)
			malloc_trim(0); /* its lists and objects were large, and nothing follows */
	}
	return NULL;
}

int kgd_compact_start(
	struct kgd_compact **out, const struct kgd_compact_options *opts, struct kg_error *err)
{
	struct kgd_compact *c = kg_alloc(sizeof(*c));

	c->opts = *opts;
	kgd_clock_start(&c->clock, opts->head, kg_realtime_ms(), kg_monotonic_ms());
	if (c->opts.every_ms > INT32_MAX / AFTER_FAILURE)
		c->opts.every_ms = INT32_MAX / AFTER_FAILURE;
	c->stop = eventfd(0, EFD_CLOEXEC);
	int rc = c->stop < 0 ? kg_fail_errno(err, "eventfd") : 0;
	int e = rc == 0 ? pthread_create(&c->thread, NULL, work, c) : 0;
	if (e)
		rc = kg_fail(err, KG_E_UNAVAILABLE, "start a thread: %s", strerror(e));
	if (rc < 0) {
		kg_closep(&c->stop);
		free(c);
		return rc;
	}
	*out = c;
	return 0;
}

void kgd_compact_stop(struct kgd_compact *c)
{
	if (!c)
		return;
	if (eventfd_write(c->stop, 1) < 0)
		kg_warn("compaction cannot be told to stop");
	pthread_join(c->thread, NULL);
	close(c->stop);
	kg_buf_release(&c->told);
	free(c);
}

int kgd_check_settings(struct kg_settings *out, struct kg_fault_list *faults,
	struct kg_store *store, const char *commit, const char *quarantine, struct kg_error *err)
{
	struct kg_buf text KG_AUTOBUF = KG_BUF_INIT;
	int rc = kg_store_settings_text(&text, store, commit, quarantine, err);

	*out = (struct kg_settings){0};
	if (rc == 0)
		kg_settings_parse(out, faults->arena, kg_buf_str(&text), text.len, faults);
	if (rc == 0 || rc == -KG_E_NOT_FOUND)
		rc = kg_store_settings_strays(faults, store, commit, quarantine, err);
	return rc;
}
