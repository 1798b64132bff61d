/*
 * An object is made a delta of the one before it where both are versions of one thing: so the
 * newest version is whole, and each is a step from the next newer. Every CHAIN steps one is whole
 * again, since who reads an old version goes through all steps.
 *
 * The first version of a thing may be a delta of another thing of its kind: of the last one that
 * began a family, or of the model that it ends most like (records end with what they were made
 * from). Models are in few steps themselves, so a state of very many records is not read through
 * long chains.
 */
#include "store/deltify.h"

#include "base/mem.h"
#include "store/delta.h"
#include "store/livepacks.h"

#include <string.h>

#define CHAIN  100
#define MODELS 32
#define DEEP   4  /* a model lies in fewer steps */
#define ALIKE  32 /* bytes that an object ends with as a model does: it needs no other */

/* An object that others may be deltas of. */
struct base {
	struct kg_buf data;
	uint64_t at;
	int type;
	unsigned depth;
};
struct kg_deltify {
	struct kg_packfile *out;
	struct kg_delta delta;
	bool any; /* there was one before */
	uint64_t group;
	struct base before;
	struct base models[MODELS]; /* of the kind */
	size_t nmodels, next_model;
	const struct base *first; /* the model that began the family, or one before */
	struct kg_buf best, try;
};

struct kg_deltify *kg_deltify_new(struct kg_packfile *out)
{
	struct kg_deltify *d = kg_alloc(sizeof(*d));

	d->out = out;
	return d;
}

void kg_deltify_free(struct kg_deltify *d)
{
	if (!d)
		return;
	kg_delta_release(&d->delta);
	kg_buf_release(&d->before.data);
	for (size_t i = 0; i < MODELS; i++)
		kg_buf_release(&d->models[i].data);
	kg_buf_release(&d->best);
	kg_buf_release(&d->try);
	free(d);
}

struct object {
	const unsigned char *id;
	int type;
	const void *data;
	size_t len;
};

static void set_base(struct base *b, const struct object *o, uint64_t at, unsigned depth)
{
	kg_buf_clear(&b->data);
	kg_buf_add(&b->data, o->data, o->len);
	b->at = at;
	b->type = o->type;
	b->depth = depth;
}

/* The base becomes *best where its delta is the smallest so far. */
static void try_base(struct kg_deltify *d, const struct base **best, const struct base *b,
	const struct object *o)
{
	/* What is more than half of the object is as small deflated. */
	size_t most = *best ? d->best.len : o->len / 2;

	if (b->type != o->type || b->depth >= CHAIN || b->data.len > KG_DELTA_MAX)
		return;
	kg_buf_clear(&d->try);
	if (!kg_delta_make(
		    &d->try, &d->delta, kg_buf_str(&b->data), b->data.len, o->data, o->len, most))
		return;
	struct kg_buf was = d->best;
	d->best = d->try;
	d->try = was;
	*best = b;
}

static size_t common_end(const struct base *b, const struct object *o)
{
	const char *x = b->data.data + b->data.len, *y = (const char *)o->data + o->len;
	size_t n = 0, most = b->data.len < o->len ? b->data.len : o->len;

	while (n < most && *--x == *--y)
		n++;
	return n;
}

/* The model that the object ends most like; NULL: there is none. */
static const struct base *find_model(
	size_t *alike, const struct kg_deltify *d, const struct object *o)
{
	const struct base *found = NULL;

	*alike = 0;
	for (size_t i = 0; i < d->nmodels; i++) {
		size_t n = d->models[i].type == o->type ? common_end(&d->models[i], o) : 0;

		if (n > *alike) {
			*alike = n;
			found = &d->models[i];
		}
	}
	return found;
}

/* What the object is made a delta of; NULL: nothing. */
static const struct base *choose(
	struct kg_deltify *d, bool same_thing, const struct base *model, const struct object *o)
{
	const struct base *best = NULL;

	if (o->len > KG_DELTA_MAX)
		return NULL;
	if (same_thing)
		try_base(d, &best, &d->before, o);
	if (!best && model)
		try_base(d, &best, model, o);
	if (!same_thing && d->first && d->first != model)
		try_base(d, &best, d->first, o);
	/* Before long there is no other copy. */
	if (best && !kg_delta_is(d->best.data, d->best.len, kg_buf_str(&best->data), best->data.len,
			    o->data, o->len))
		return NULL;
	return best;
}

static const struct base *add_model(
	struct kg_deltify *d, const struct object *o, uint64_t at, unsigned depth)
{
	struct base *model = &d->models[d->next_model];

	set_base(model, o, at, depth);
	d->next_model = (d->next_model + 1) % MODELS;
	if (d->nmodels < MODELS)
		d->nmodels++;
	return model;
}

static void begin_kind(struct kg_deltify *d)
{
	d->nmodels = d->next_model = 0;
	d->first = NULL;
}

int kg_deltify_add(struct kg_deltify *d, uint64_t group, const unsigned char id[20], int type,
	const void *data, size_t len, struct kg_error *err)
{
	struct object o = {.id = id, .type = type, .data = data, .len = len};
	bool same_thing = d->any && group == d->group;
	bool same_family = d->any && KG_GROUP_FAMILY(group) == KG_GROUP_FAMILY(d->group);
	uint64_t at = kg_packfile_at(d->out);
	size_t alike = 0;

	if (!d->any || KG_GROUP_KIND(group) != KG_GROUP_KIND(d->group))
		begin_kind(d);
	const struct base *model = same_thing ? NULL : find_model(&alike, d, &o);
	const struct base *base = choose(d, same_thing, model, &o);
	unsigned depth = base ? base->depth + 1 : 0;
	int rc = base ? kg_packfile_add_delta(d->out, id, base->at, d->best.data, d->best.len, err)
		      : kg_packfile_add(d->out, id, type, data, len, err);
	if (len > KG_DELTA_MAX)
		return rc;
	set_base(&d->before, &o, at, depth);
	if (!same_thing && depth < DEEP && (!same_family || alike < ALIKE)) {
		model = add_model(d, &o, at, depth);
		if (!same_family)
			d->first = model;
	}
	d->group = group;
	d->any = true;
	return rc;
}
