/*
 * Unused images are removed while the disk is too full, as kubelet does it: from a usage of
 * `high` percent on, down to `low`, the one that was not used for longest first, none that was
 * there for less than `min_age_ms`. When an image came and was used is not known from before this
 * run. One image is removed at a time, and the disk looked at again. The loop's thread.
 */
#include "base/log.h"
#include "nodeagent/image_remove.h"
#include "nodeagent/pods_private.h"

#include <string.h>
#include <sys/statvfs.h>

#define LOOK_MS (5 * 60 * 1000)

struct record {
	int64_t first, used; /* monotonic; used 0: not since the agent started */
};

struct kg_image_gc {
	struct kg_pods *pods;
	struct kg_image_gc_options opts;
	struct kg_timer *timer;
	struct kg_map records; /* reference -> struct record */
	bool freeing, failing;
	unsigned removed;
};

/* In percent, rounded as kubelet does; *left: percent of it free. */
static bool usage(const struct kg_image_gc *gc, unsigned *percent)
{
	struct statvfs fs;

	if (statvfs(gc->pods->env.dir, &fs) < 0 || fs.f_blocks == 0)
		return false;
	*percent = 100 - (unsigned)((uint64_t)fs.f_bavail * 100 / fs.f_blocks);
	return true;
}

/* ---- who is in use ---- */

static void use(struct kg_map *used, const char *ref)
{
	KG_AUTOFREE char *name = ref ? kg_image_normalize(ref, NULL) : NULL;

	if (name)
		kg_map_put(used, name, used);
}

/* What its containers run, ran and will run, until nothing is left of them. */
static void used_by(struct kg_map *used, const struct pod *p)
{
	bool over = kg_plan_finished(&p->st);

	for (size_t i = 0; i < p->st.nc; i++) {
		const struct kg_cstate *c = &p->st.c[i];
		if (over && !c->dirty && !p->st.busy)
			continue;
		use(used, kg_string(kg_get(kg_cstate_spec(&p->st, c), "image"), ""));
		use(used, c->image);
		if (c->image_id)
			kg_map_put(used, c->image_id, used);
	}
}

static void all_used(struct kg_map *used, const struct kg_pods *pods)
{
	struct kg_map_entry *e;

	for (size_t i = 0; (e = kg_map_next(&pods->pods, &i));)
		used_by(used, e->value);
}

static void forget_gone(struct kg_image_gc *gc, const struct kg_map *images)
{
	KG_AUTOFREE struct kg_map_entry **all = kg_map_sorted(&gc->records);
	size_t n = gc->records.count;

	for (size_t i = 0; i < n; i++) {
		KG_AUTOFREE char *ref = kg_strdup(all[i]->key);
		if (!kg_map_has(images, ref))
			free(kg_map_remove(&gc->records, ref));
	}
}

/* Brings the records up to date; the reference to be removed next, or NULL. */
static char *look(struct kg_image_gc *gc, const struct kg_map *images, int64_t now)
{
	struct kg_map used KG_CLEANUP(kg_map_release) = {0};
	struct kg_map_entry *e;
	const struct record *oldest = NULL;
	const char *victim = NULL;

	all_used(&used, gc->pods);
	forget_gone(gc, images);
	for (size_t i = 0; (e = kg_map_next(images, &i));) {
		struct record *r = kg_map_get(&gc->records, e->key);
		bool in_use = kg_map_has(&used, e->key) || kg_map_has(&used, e->value);
		if (!r) {
			r = kg_alloc(sizeof(*r));
			r->first = now;
			kg_map_put(&gc->records, e->key, r);
		}
		if (in_use)
			r->used = now;
		if (in_use || now - r->first < gc->opts.min_age_ms)
			continue;
		if (!oldest || r->used < oldest->used ||
			(r->used == oldest->used && r->first < oldest->first)) {
			oldest = r;
			victim = e->key;
		}
	}
	return victim ? kg_strdup(victim) : NULL;
}

/* ---- freeing ---- */

static void free_one(struct kg_image_gc *gc);

static void told(struct kg_image_gc *gc, const struct kg_error *err)
{
	if (err && !gc->failing)
		kg_warn("%s", err->msg);
	gc->failing = err != NULL;
}

static void stop(struct kg_image_gc *gc, unsigned percent)
{
	struct kg_error err;

	if (gc->removed)
		kg_info("removed %u unused images; the disk is %u %% full", gc->removed, percent);
	if (percent > gc->opts.low) {
		kg_fail(&err, KG_E_TOO_LARGE,
			"the disk of %s is %u %% full, and no unused image is left to remove",
			gc->pods->env.dir, percent);
		told(gc, &err);
	} else {
		told(gc, NULL);
	}
	gc->freeing = false;
	kg_timer_set(gc->timer, gc->opts.look_ms);
}

static void collected(void *ctx, const struct kg_error *err)
{
	struct kg_image_gc *gc = ctx;

	if (err) {
		told(gc, err);
		gc->freeing = false;
		kg_timer_set(gc->timer, gc->opts.look_ms);
		return;
	}
	free_one(gc);
}

static void free_one(struct kg_image_gc *gc)
{
	struct kg_map images = {0};
	struct kg_error err;
	unsigned percent = 0;
	int rc = kg_images_list(&images, gc->pods->env.images, &err);
	KG_AUTOFREE char *victim = rc == 0 ? look(gc, &images, kg_monotonic_ms()) : NULL;

	kg_images_list_release(&images);
	bool known = usage(gc, &percent);
	if (rc == 0 && victim && known && percent > gc->opts.low) {
		rc = kg_images_forget(gc->pods->env.images, victim, &err);
		if (rc == 0) {
			kg_info("image %s is unused: removed", victim);
			gc->removed++;
			kg_images_collect(gc->pods->env.images, collected, gc);
			return;
		}
	}
	if (rc < 0)
		collected(gc, &err);
	else
		stop(gc, percent);
}

static void on_timer(void *ctx)
{
	struct kg_image_gc *gc = ctx;
	struct kg_map images = {0};
	struct kg_error err;
	unsigned percent;

	if (gc->freeing)
		return;
	if (usage(gc, &percent) && percent >= gc->opts.high) {
		gc->freeing = true;
		gc->removed = 0;
		/* Also what an earlier run left. */
		kg_images_collect(gc->pods->env.images, collected, gc);
		return;
	}
	if (kg_images_list(&images, gc->pods->env.images, &err) == 0) {
		told(gc, NULL);
		free(look(gc, &images, kg_monotonic_ms()));
	} else {
		told(gc, &err);
	}
	kg_images_list_release(&images);
	kg_timer_set(gc->timer, gc->opts.look_ms);
}

struct kg_image_gc *kg_image_gc_new(struct kg_pods *pods, const struct kg_image_gc_options *o)
{
	struct kg_image_gc *gc = kg_alloc(sizeof(*gc));

	*gc = (struct kg_image_gc){.pods = pods, .opts = *o};
	if (!gc->opts.high) {
		gc->opts.high = 85;
		gc->opts.low = 80;
		gc->opts.min_age_ms = 2 * 60 * 1000;
	}
	if (!gc->opts.look_ms)
		gc->opts.look_ms = LOOK_MS;
	gc->timer = kg_timer_new(pods->loop, on_timer, gc);
	kg_timer_set(gc->timer, 0);
	return gc;
}

void kg_image_gc_free(struct kg_image_gc *gc)
{
	struct kg_map_entry *e;

	if (!gc)
		return;
	kg_timer_free(gc->timer);
	for (size_t i = 0; (e = kg_map_next(&gc->records, &i));)
		free(e->value);
	kg_map_release(&gc->records);
	free(gc);
}
