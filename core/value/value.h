/*
 * Values: JSON's data model, immutable, 16 bytes a node. A value is passed by (const) pointer or
 * copied as a struct; what it points to (strings, items, members) belongs to an arena or a
 * struct kg_doc and never changes. Objects' members are sorted by key bytes, unique, and never
 * null: two equal values have equal canonical bytes.
 *
 * "Changing" a value builds a new one in an arena that shares all that stayed the same.
 */
#ifndef KG_VALUE_VALUE_H
#define KG_VALUE_VALUE_H

#include "base/buf.h"
#include "base/err.h"
#include "base/mem.h"

#include <stdbool.h>
#include <stdint.h>

enum kg_type { KG_NULL, KG_BOOL, KG_INT, KG_FLOAT, KG_STRING, KG_ARRAY, KG_OBJECT };

struct kg_member;
struct kg_value {
	uint8_t type;
	uint32_t len; /* bytes of a string (without its NUL), items, members */
	union {
		bool b;
		int64_t i;
		double f;
		const char *s; /* NUL-terminated */
		const struct kg_value *items;
		const struct kg_member *members;
	};
};
struct kg_member {
	const char *key;
	struct kg_value value;
};

extern const struct kg_value kg_null; /* what a look-up of something absent returns */

/* ---- reading; every v may be &kg_null, and then the result is "absent" ---- */
/* One member. Quick for registered names (kg_keys_register) that are written as literals. */
const struct kg_value *kg_get(const struct kg_value *v, const char *key);
/* A path of members, "spec.template.metadata"; a number indexes an array ("containers.0.name").
 * Keys that contain dots are reached with kg_get, and what is read at every change is, too. */
const struct kg_value *kg_at(const struct kg_value *v, const char *path);
static inline bool kg_is_null(const struct kg_value *v)
{
	return v->type == KG_NULL;
}
/* The scalar, or dflt where v is of another type. */
const char *kg_string(const struct kg_value *v, const char *dflt);
int64_t kg_int(const struct kg_value *v, int64_t dflt);
bool kg_bool(const struct kg_value *v, bool dflt);
/* v where it is an array, else &kg_null. What a peer says is of any type: before v->items. */
const struct kg_value *kg_array(const struct kg_value *v);
/* Items of an array and members of an object; 0 for every other type. */
uint32_t kg_len(const struct kg_value *v);
/* An array's first item whose member `key` is the string `name` (containers by name, ...). */
const struct kg_value *kg_find(const struct kg_value *array, const char *key, const char *name);
bool kg_equal(const struct kg_value *a, const struct kg_value *b); /* deep; pointer-equal is fast */
int kg_value_cmp(const struct kg_value *a, const struct kg_value *b); /* a total order */

/* ---- making; all memory comes from the arena; arguments are shared, not copied, except text
 * given to kg_v_str, which is copied ---- */
struct kg_value kg_v_null(void);
struct kg_value kg_v_bool(bool b);
struct kg_value kg_v_int(int64_t i);
struct kg_value kg_v_float(double f);
struct kg_value kg_v_str(struct kg_arena *a, const char *s); /* NULL gives null */
struct kg_value kg_v_strn(struct kg_arena *a, const char *s, size_t n);
struct kg_value kg_v_strf(struct kg_arena *a, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));
struct kg_value kg_v_lit(const char *literal); /* not copied: a string that outlives the value */
struct kg_value kg_v_array(struct kg_arena *a, const struct kg_value *items, size_t n);
/* Sorts and copies the members; null values are dropped; of equal keys the last wins. Keys are
 * not copied. */
struct kg_value kg_v_object(struct kg_arena *a, const struct kg_member *members, size_t n);
/* `kg_v_obj(a, "kind", kg_v_lit("Pod"), "metadata", md, (char *)NULL)`; keys outlive the value. */
struct kg_value kg_v_obj(struct kg_arena *a, ...) __attribute__((sentinel));

/* obj with the member at a dotted path set (a null value removes it); objects on the way are made
 * where absent. Array indices are not taken. The path's text is copied. */
struct kg_value kg_with(
	struct kg_arena *a, const struct kg_value *obj, const char *path, struct kg_value v);
/* As kg_with for one member whose key may contain dots. */
struct kg_value kg_with_key(
	struct kg_arena *a, const struct kg_value *obj, const char *key, struct kg_value v);
struct kg_value kg_with_item(struct kg_arena *a, const struct kg_value *array, struct kg_value v);

/*
 * RFC 7386 merge patches. kg_patch_make gives the patch that turns `from` into `to` (null where
 * they are equal; removed members become an explicit null, the one place where objects hold
 * nulls); kg_patch_apply applies one. Arrays are replaced whole.
 * kg_patch_apply(x, kg_patch_make(x, y)) equals y for every x, y that hold no nulls.
 */
struct kg_value kg_patch_make(
	struct kg_arena *a, const struct kg_value *from, const struct kg_value *to);
struct kg_value kg_patch_apply(
	struct kg_arena *a, const struct kg_value *base, const struct kg_value *patch);
struct kg_value kg_deep_copy(struct kg_arena *a, const struct kg_value *v);

/*
 * A doc owns one value for good: immutable, reference-counted (thread-safe), one block of memory.
 * Subtrees of `v` that lie in one of the `share` docs are not copied; the new doc keeps a
 * reference to those it uses; docs that a share doc itself holds count as shared, too. This is how
 * 100 pods share their template. What is held stays in memory whole: name as share what lives long.
 */
struct kg_doc;
struct kg_doc *kg_doc_new(const struct kg_value *v, struct kg_doc *const *share, size_t nshare);
/* As kg_doc_new, at most 8 shared. Parts of the value that other docs made so have, too, whatever
 * those are, lie in memory once: for what comes in great numbers. old: a doc that v is a change of
 * (what it has in common with others is found there), or NULL; nothing of its own is kept. */
#define KG_COMMON_SHARE 8
struct kg_doc *kg_doc_new_common(const struct kg_value *v, struct kg_doc *const *share,
	size_t nshare, const struct kg_doc *old);
struct kg_doc *kg_doc_ref(struct kg_doc *doc);
void kg_doc_unref(struct kg_doc *doc);                         /* NULL is fine */
const struct kg_value *kg_doc_value(const struct kg_doc *doc); /* borrowed */
size_t kg_doc_size(const struct kg_doc *doc); /* bytes of its own block, without shared docs */

/* Registers field names and common values (of at most 64 bytes) that docs then point to instead of
 * copying. Call before threads start; the strings must outlive the process. */
void kg_keys_register(const char *const *names, size_t n);

#endif
