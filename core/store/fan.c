#include "store/fan_private.h"

#include "base/hash.h"
#include "base/mem.h"
#include "base/slab.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

struct kg_fan *kg_fan_node(unsigned level)
{
	struct kg_fan *f = kg_slab_alloc(KG_SLAB_TREES, sizeof(*f));

	*f = (struct kg_fan){.level = (uint8_t)level, .dirty = true};
	return f;
}

struct kg_fan *kg_fan_new_root(bool flat, const unsigned char id[20])
{
	struct kg_fan_root *r = kg_slab_alloc(KG_SLAB_TREES, sizeof(*r));

	*r = (struct kg_fan_root){.fan = {.flat = flat, .dirty = true, .root = true}};
	memcpy(r->id, id, 20);
	return &r->fan;
}

struct kg_fan *kg_fan_new(bool flat)
{
	static const unsigned char none[20];

	return kg_fan_new_root(flat, none);
}

/* What a node holds, apart from it. */
struct content {
	char *raw;
	struct kg_fan **dirs;
	uint32_t raw_len, n;
};

static struct content take_content(struct kg_fan *f)
{
	struct content c = {f->raw, f->dirs, f->raw_len, f->n};

	f->raw = NULL;
	f->dirs = NULL;
	f->raw_len = 0;
	f->n = 0;
	f->dirty = true;
	return c;
}

/* The directories are somebody else's by now. */
static void content_free(struct content *c)
{
	kg_slab_free(c->dirs, c->n * KG_FAN_DIR_SIZE);
	kg_slab_free(c->raw, c->raw_len);
}

void kg_fan_free(struct kg_fan *f)
{
	if (!f)
		return;
	for (unsigned i = 0; f->dirs && i < f->n; i++)
		kg_fan_free(f->dirs[i]);
	struct content c = take_content(f);
	content_free(&c);
	kg_slab_free(f, f->root ? sizeof(struct kg_fan_root) : sizeof(*f));
}

static unsigned digit_of(const unsigned char sum[20], unsigned level)
{
	assert(level < 40);
	return level % 2 ? sum[level / 2] & 15u : (unsigned)sum[level / 2] >> 4;
}

char kg_fan_digit(const char *name, unsigned level)
{
	unsigned char sum[20];

	kg_sha1(sum, name, strlen(name));
	return "0123456789abcdef"[digit_of(sum, level)];
}

bool kg_fan_is_split_name(const char *name)
{
	return name[0] == '_' && name[1] && strchr("0123456789abcdef", name[1]) && !name[2];
}

size_t kg_fan_count(const struct kg_fan *f)
{
	return f->count;
}

size_t kg_fan_memory(const struct kg_fan *f)
{
	size_t sum = sizeof(*f) + f->raw_len + 8;

	if (!f->dirs)
		return sum;
	sum += f->n * KG_FAN_DIR_SIZE + 4;
	for (unsigned i = 0; i < f->n; i++)
		sum += f->dirs[i] ? kg_fan_memory(f->dirs[i]) : 0;
	return sum;
}

const unsigned char *kg_fan_id(const struct kg_fan *f)
{
	assert(f->root);
	return ((const struct kg_fan_root *)f)->id;
}

/* ---- one node's raw tree ---- */

struct spot {
	unsigned index; /* of the entry */
	uint32_t at;    /* its first byte */
	uint32_t end;   /* the byte behind it; == at where there is none and it belongs here */
};

/* The entry of that name, by what is the least work: most often it is there. */
static bool find_same(const struct kg_fan *f, const char *name, bool dir, struct spot *s)
{
	size_t n = strlen(name) + 1;

	s->index = 0;
	for (uint32_t at = 0, end; at < f->raw_len; at = end, s->index++) {
		/* "40000 " or "100644 ", as fan_load saw to */
		const char *raw = f->raw + at;
		uint32_t from = at + (raw[5] == ' ' ? 6 : 7);
		bool same = (raw[0] != '1') == dir && f->raw_len - from >= n + 20 &&
			    memcmp(f->raw + from, name, n) == 0;

		end = from + (uint32_t)(same ? n : strlen(f->raw + from) + 1) + 20;
		if (same) {
			s->at = at;
			s->end = end;
			return true;
		}
	}
	return false;
}

/* The entry of that name, or where it belongs. */
static bool find(const struct kg_fan *f, const char *name, bool dir, struct spot *s)
{
	struct kg_tree_entry e;
	size_t pos = 0, at = 0;

	if (find_same(f, name, dir, s))
		return true;
	s->index = 0;
	while (kg_tree_next(&e, f->raw, f->raw_len, &pos, NULL) > 0) {
		int c = kg_tree_name_cmp(name, dir, e.name, e.is_dir);

		if (c < 0)
			break;
		s->index++;
		at = pos;
	}
	s->at = s->end = (uint32_t)at;
	return false;
}

struct kg_fan **kg_fan_new_dirs(unsigned n)
{
	struct kg_fan **dirs = kg_slab_alloc(KG_SLAB_TREES, n * KG_FAN_DIR_SIZE);

	memset(dirs, 0, n * KG_FAN_DIR_SIZE);
	return dirs;
}

static void insert_dir(struct kg_fan *f, unsigned at, struct kg_fan *dir)
{
	size_t size = f->n * KG_FAN_DIR_SIZE;

	if (f->dirs)
		f->dirs = kg_slab_resize(KG_SLAB_TREES, f->dirs, size, size + KG_FAN_DIR_SIZE);
	else
		f->dirs = kg_fan_new_dirs(f->n + 1u);
	memmove(f->dirs + at + 1, f->dirs + at, (f->n - at) * KG_FAN_DIR_SIZE);
	f->dirs[at] = dir;
}

/* id: of a directory that is new it is not known yet, and NULL. */
static void insert(struct kg_fan *f, const struct spot *s, const char *name,
	const unsigned char id[20], struct kg_fan *dir)
{
	static const unsigned char zero[20];
	const char *mode = dir ? "40000 " : "100644 ";
	size_t mode_len = strlen(mode), name_len = strlen(name) + 1;
	uint32_t grow = (uint32_t)(mode_len + name_len + 20);

	f->raw = kg_slab_resize(KG_SLAB_TREES, f->raw, f->raw_len, f->raw_len + grow);
	char *p = f->raw + s->at;
	memmove(p + grow, p, f->raw_len - s->at);
	memcpy(p, mode, mode_len); /* NOLINT(bugprone-not-null-terminated-result) */
	memcpy(p + mode_len, name, name_len);
	memcpy(p + mode_len + name_len, id ? id : zero, 20);
	f->raw_len += grow;
	if (dir || f->dirs)
		insert_dir(f, s->index, dir);
	f->n++;
	f->dirty = true;
}

static void *shrink(void *p, size_t old, size_t size)
{
	if (size)
		return kg_slab_resize(KG_SLAB_TREES, p, old, size);
	kg_slab_free(p, old);
	return NULL;
}

/* Takes the entry out; a directory is handed to nobody: the caller has it. */
static void erase(struct kg_fan *f, const struct spot *s)
{
	uint32_t len = f->raw_len - (s->end - s->at);
	unsigned n = f->n - 1u;

	memmove(f->raw + s->at, f->raw + s->end, f->raw_len - s->end);
	f->raw = shrink(f->raw, f->raw_len, len);
	f->raw_len = len;
	if (f->dirs) {
		memmove(f->dirs + s->index, f->dirs + s->index + 1,
			((size_t)n - s->index) * KG_FAN_DIR_SIZE);
		f->dirs = shrink(f->dirs, f->n * KG_FAN_DIR_SIZE, n * KG_FAN_DIR_SIZE);
	}
	f->n = (uint16_t)n;
	f->dirty = true;
}

/* The directory of an entry that is one. */
static struct kg_fan *dir_at(const struct kg_fan *f, unsigned index)
{
	assert(f->dirs && f->dirs[index]);
	return f->dirs[index];
}

static void split_name(char out[3], const char *name, unsigned level)
{
	out[0] = '_';
	out[1] = kg_fan_digit(name, level);
	out[2] = '\0';
}

/* ---- entries of the logical directory: split and merged as their number says ---- */

static void add_entry(
	struct kg_fan *f, const char *name, const unsigned char id[20], struct kg_fan *dir);

/* The part that a name falls into, made where absent and wanted. */
static struct kg_fan *part_of(struct kg_fan *f, const char *name, bool make)
{
	char digit[3];
	struct spot s;

	split_name(digit, name, f->level);
	if (find(f, digit, true, &s))
		return dir_at(f, s.index);
	if (!make)
		return NULL;
	struct kg_fan *part = kg_fan_node(f->level + 1u);
	insert(f, &s, digit, NULL, part);
	return part;
}

static void split(struct kg_fan *f)
{
	struct content was KG_CLEANUP(content_free) = take_content(f);
	struct kg_tree_entry e;
	size_t pos = 0;

	f->split = true;
	for (unsigned i = 0; kg_tree_next(&e, was.raw, was.raw_len, &pos, NULL) > 0; i++)
		add_entry(part_of(f, e.name, true), e.name, e.id, was.dirs ? was.dirs[i] : NULL);
}

/* The name must not be there. */
static void add_entry(
	struct kg_fan *f, const char *name, const unsigned char id[20], struct kg_fan *dir)
{
	f->count++;
	f->dirty = true;
	if (f->split) {
		add_entry(part_of(f, name, true), name, id, dir);
		return;
	}
	struct spot s;
	bool there = find(f, name, dir != NULL, &s);
	assert(!there);
	(void)there;
	insert(f, &s, name, id, dir);
	if (f->n > KG_FAN_MAX && !f->flat)
		split(f);
}

/* Moves every entry of a part, which is freed, into f, which is not split any more. */
static void swallow(struct kg_fan *f, struct kg_fan *part)
{
	struct kg_tree_entry e;
	size_t pos = 0;

	for (unsigned i = 0; kg_tree_next(&e, part->raw, part->raw_len, &pos, NULL) > 0; i++) {
		struct kg_fan *dir = part->dirs ? part->dirs[i] : NULL;
		struct spot s;

		if (part->split) {
			swallow(f, dir);
			continue;
		}
		find(f, e.name, e.is_dir, &s);
		insert(f, &s, e.name, e.id, dir);
	}
	struct content was = take_content(part);
	content_free(&was);
	kg_fan_free(part);
}

static void merge(struct kg_fan *f)
{
	struct content was KG_CLEANUP(content_free) = take_content(f);

	f->split = false;
	for (unsigned i = 0; i < was.n; i++)
		swallow(f, was.dirs[i]);
}

static bool remove_entry(struct kg_fan *f, const char *name, bool dir)
{
	struct spot s;

	if (!f->split) {
		if (!find(f, name, dir, &s))
			return false;
		erase(f, &s);
		f->count--;
		return true;
	}
	struct kg_fan *part = part_of(f, name, false);
	if (!part || !remove_entry(part, name, dir))
		return false;
	f->count--;
	f->dirty = true;
	if (!part->count) {
		char digit[3];

		split_name(digit, name, f->level);
		find(f, digit, true, &s);
		erase(f, &s);
		kg_fan_free(part);
	}
	if (f->count <= KG_FAN_MAX)
		merge(f);
	return true;
}

/* The part for a digit, or NULL. */
static struct kg_fan *part_at(struct kg_fan *f, unsigned digit)
{
	char name[3] = {'_', "0123456789abcdef"[digit], '\0'};
	struct spot s;

	/* Most often all sixteen are there. */
	if (f->n == 16)
		return dir_at(f, digit);
	return find(f, name, true, &s) ? dir_at(f, s.index) : NULL;
}

/* What a name's digits are taken of; only where the directory is split. */
struct digits {
	unsigned char sum[20];
};

static struct digits digits_of(const struct kg_fan *f, const char *name)
{
	struct digits d = {{0}};

	if (f->split)
		kg_sha1(d.sum, name, strlen(name));
	return d;
}

/* The node whose raw tree holds (or would hold) the name; `touch` marks the way. NULL: none. */
static struct kg_fan *leaf_at(struct kg_fan *f, const struct digits *d, bool touch)
{
	while (f && f->split) {
		if (touch)
			f->dirty = true;
		f = part_at(f, digit_of(d->sum, f->level));
	}
	if (f && touch)
		f->dirty = true;
	return f;
}

static struct kg_fan *leaf_of(struct kg_fan *f, const char *name)
{
	struct digits d = digits_of(f, name);

	return leaf_at(f, &d, false);
}

static struct kg_fan *sub_dir(struct kg_fan *f, const char *name, bool touch)
{
	struct digits d = digits_of(f, name);
	struct kg_fan *leaf = leaf_at(f, &d, false);
	struct spot s;

	if (!leaf || !find(leaf, name, true, &s))
		return NULL;
	if (touch)
		leaf_at(f, &d, true);
	return leaf->dirs[s.index];
}

/* ---- paths ---- */

const unsigned char *kg_fan_get(const struct kg_fan *fan, const char *const *path, size_t n)
{
	struct kg_fan *f = (struct kg_fan *)(uintptr_t)fan; /* only read below */
	struct spot s;

	for (size_t i = 0; f && i + 1 < n; i++)
		f = sub_dir(f, path[i], false);
	f = f ? leaf_of(f, path[n - 1]) : NULL;
	if (!f || !find(f, path[n - 1], false, &s))
		return NULL;
	return (const unsigned char *)f->raw + s.end - 20;
}

/* Replaces the id of a file that is there, marking the way to it; *was is the former id. */
static bool replace_file(struct kg_fan *f, const char *const *path, size_t n,
	const unsigned char id[20], unsigned char was[20])
{
	struct digits d = digits_of(f, path[0]);
	struct kg_fan *leaf = leaf_at(f, &d, false), *dir;
	struct spot s;

	if (!leaf || !find(leaf, path[0], n > 1, &s))
		return false;
	if (n > 1) {
		dir = dir_at(leaf, s.index);
		bool there = replace_file(dir, path + 1, n - 1, id, was);
		if (dir->dirty)
			leaf_at(f, &d, true);
		return there;
	}
	unsigned char *at = (unsigned char *)leaf->raw + s.end - 20;
	memcpy(was, at, 20);
	if (memcmp(at, id, 20) != 0) {
		memcpy(at, id, 20);
		leaf_at(f, &d, true);
	}
	return true;
}

bool kg_fan_swap(struct kg_fan *f, const char *const *path, size_t n, const unsigned char id[20],
	unsigned char was[20])
{
	if (replace_file(f, path, n, id, was))
		return true;
	for (size_t i = 0; i + 1 < n; i++) {
		struct kg_fan *sub = sub_dir(f, path[i], true);

		if (!sub) {
			sub = kg_fan_node(0);
			add_entry(f, path[i], NULL, sub);
		}
		f = sub;
	}
	add_entry(f, path[n - 1], id, NULL);
	return false;
}

void kg_fan_put(struct kg_fan *f, const char *const *path, size_t n, const unsigned char id[20])
{
	unsigned char was[20];

	kg_fan_swap(f, path, n, id, was);
}

static bool remove_path(struct kg_fan *f, const char *const *path, size_t n)
{
	if (n == 1)
		return remove_entry(f, path[0], false);
	struct kg_fan *sub = sub_dir(f, path[0], true);
	if (!remove_path(sub, path + 1, n - 1))
		return false;
	if (!sub->count) {
		remove_entry(f, path[0], true);
		kg_fan_free(sub);
	}
	return true;
}

bool kg_fan_remove(struct kg_fan *f, const char *const *path, size_t n)
{
	return kg_fan_get(f, path, n) && remove_path(f, path, n);
}

int kg_fan_each(const struct kg_fan *f, kg_fan_fn *fn, void *ctx)
{
	struct kg_tree_entry e;
	size_t pos = 0;

	for (unsigned i = 0; kg_tree_next(&e, f->raw, f->raw_len, &pos, NULL) > 0; i++) {
		const struct kg_fan *dir = f->dirs ? f->dirs[i] : NULL;
		int rc;

		if (f->split)
			rc = kg_fan_each(dir_at(f, i), fn, ctx);
		else
			rc = fn(ctx, e.name, e.id, dir);
		if (rc)
			return rc;
	}
	return 0;
}

static void write_node(struct kg_fan *f, unsigned char id[20], kg_fan_sink *sink, void *ctx)
{
	struct kg_tree_entry e;
	size_t pos = 0;

	if (!f->dirty)
		return;
	for (unsigned i = 0; f->dirs && kg_tree_next(&e, f->raw, f->raw_len, &pos, NULL) > 0; i++)
		if (f->dirs[i])
			write_node(f->dirs[i], (unsigned char *)f->raw + pos - 20, sink, ctx);
	sink(ctx, f->raw, f->raw_len, id);
	f->dirty = false;
}

void kg_fan_write(struct kg_fan *f, kg_fan_sink *sink, void *ctx)
{
	assert(f->root);
	write_node(f, ((struct kg_fan_root *)f)->id, sink, ctx);
}
