/* What the files of this room share among themselves. Other rooms do not include it. */
#ifndef KG_VALUE_INTERNAL_H
#define KG_VALUE_INTERNAL_H

#include "value/value.h"

#include <string.h>

/* Quick, of this process and machine only. */
uint64_t kg_text_hash(const char *s, size_t n);

/* Where registered strings lie, by address. */
struct kg_keys {
	const char **at;  /* open addressing; NULL: free */
	uint64_t *hashes; /* of each its kg_text_hash */
	size_t mask;
};
extern struct kg_keys kg_keys;
static inline size_t kg_keys_home(const char *s)
{
	return (size_t)(((uintptr_t)s * UINT64_C(0x9E3779B97F4A7C15)) >> 32) & kg_keys.mask;
}
/* Is s a registered string itself? */
static inline bool kg_key_is(const char *s)
{
	if (!kg_keys.at)
		return false;
	for (size_t i = kg_keys_home(s); kg_keys.at[i]; i = (i + 1) & kg_keys.mask) {
		if (kg_keys.at[i] == s)
			return true;
	}
	return false;
}

/* As kg_text_hash of all of s. */
static inline uint64_t kg_key_hash(const char *s)
{
	if (kg_keys.at)
		for (size_t i = kg_keys_home(s); kg_keys.at[i]; i = (i + 1) & kg_keys.mask) {
			if (kg_keys.at[i] == s)
				return kg_keys.hashes[i];
		}
	return kg_text_hash(s, strlen(s));
}

/* The registered string equal to the n bytes at key, or NULL. */
const char *kg_key_find(const char *key, size_t n);
/* The registered string, else a copy in the arena. */
const char *kg_key_intern(struct kg_arena *a, const char *key, size_t n);

/* As kg_v_object, in place: members lies in the arena and becomes the value's. */
struct kg_value kg_object_from(struct kg_member *members, size_t n, bool keep_nulls);

/* The member's place, or where it would be inserted; *found says which. */
uint32_t kg_member_search(const struct kg_value *object, const char *key, size_t n, bool *found);

/* The shortest text that gives f back, always with a point, exponents signed: a float to JSON,
 * YAML 1.1 and YAML 1.2 alike. Returns its length. */
size_t kg_float_text(char out[40], double f);

/* Whether YAML is written with the character as it is: no control, no line end of Unicode's, no
 * byte order mark, no non-character. */
bool kg_is_printable(uint32_t cp);

/* Names mostly differ in their first byte. */
static inline int kg_key_cmp(const char *a, const char *b)
{
	int d = (int)(unsigned char)*a - (int)(unsigned char)*b;

	return d ? d : strcmp(a, b);
}

#endif
