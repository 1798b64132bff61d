/*
 * Versions of one small file or tree differ in few places: what both begin and end with is taken
 * first, and only what lies between is searched for, by the hash of every WINDOW bytes there.
 * Nothing is too short to be tried: of a tree of 200 bytes git itself makes no delta.
 */
#include "store/delta.h"

#include "base/mem.h"

#include <string.h>

#define WINDOW    6      /* bytes; a copy of fewer saves next to nothing */
#define POSITIONS 65536  /* of a base, that are looked at */
#define TRIES     24     /* positions of one hash */
#define COPY_MAX  0xffff /* of one instruction: what every git takes */
#define ADD_MAX   127

void kg_delta_release(struct kg_delta *d)
{
	free(d->heads);
	free(d->next);
	*d = (struct kg_delta){0};
}

/* ---- instructions ---- */

static void add_length(struct kg_buf *out, size_t n)
{
	for (; n >= 0x80; n >>= 7)
		kg_buf_addc(out, (char)(n | 0x80));
	kg_buf_addc(out, (char)n);
}

static void add_literal(struct kg_buf *out, const unsigned char *p, size_t n)
{
	while (n) {
		size_t k = n < ADD_MAX ? n : ADD_MAX;

		kg_buf_addc(out, (char)k);
		kg_buf_add(out, p, k);
		p += k;
		n -= k;
	}
}

static void add_copy(struct kg_buf *out, size_t from, size_t n)
{
	while (n) {
		size_t k = n < COPY_MAX ? n : COPY_MAX;
		unsigned char op[8] = {0x80};
		size_t len = 1;

		for (unsigned i = 0; i < 4; i++)
			if (from >> 8 * i & 0xff) {
				op[0] |= (unsigned char)(1u << i);
				op[len++] = (unsigned char)(from >> 8 * i);
			}
		for (unsigned i = 0; i < 2; i++)
			if (k >> 8 * i & 0xff) {
				op[0] |= (unsigned char)(0x10u << i);
				op[len++] = (unsigned char)(k >> 8 * i);
			}
		kg_buf_add(out, op, len);
		from += k;
		n -= k;
	}
}

/* ---- making ---- */

struct span {
	const unsigned char *p;
	size_t len;
};

static size_t hash_at(const struct kg_delta *d, const unsigned char *p)
{
	uint64_t v = 0;

	memcpy(&v, p, WINDOW);
	return (size_t)(v * 0x9E3779B97F4A7C15u >> 40) & (d->nheads - 1);
}

/* Of a large base only so many positions: a match that begins between them is found by its rest. */
static void index_base(struct kg_delta *d, const struct span *base)
{
	size_t n = base->len < WINDOW ? 0 : base->len - WINDOW + 1;
	size_t step = n / POSITIONS + 1, heads = 64;

	while (heads < n / step)
		heads *= 2;
	if (heads > d->nheads) {
		free(d->heads);
		d->heads = kg_alloc(heads * sizeof(*d->heads));
	} else {
		memset(d->heads, 0, heads * sizeof(*d->heads));
	}
	d->nheads = heads;
	KG_GROW(d->next, d->nnext, n + 1);
	/* From the end on, so that the first of equals is found first. */
	for (size_t i = n ? (n - 1) / step * step + 1 : 0; i; i = i > step ? i - step : 0) {
		size_t h = hash_at(d, base->p + i - 1);

		d->next[i] = d->heads[h];
		d->heads[h] = (uint32_t)i;
	}
}

static size_t common(const unsigned char *a, const unsigned char *b, size_t most)
{
	size_t n = 0;

	while (n < most && a[n] == b[n])
		n++;
	return n;
}

static size_t common_end(const unsigned char *a, const unsigned char *b, size_t most)
{
	size_t n = 0;

	while (n < most && *--a == *--b)
		n++;
	return n;
}

/* The longest piece of the base that the target goes on with at `at`. */
static size_t longest(size_t *from, const struct kg_delta *d, const struct span *base,
	const struct span *target, size_t at)
{
	size_t best = 0, tries = 0;

	for (uint32_t i = d->heads[hash_at(d, target->p + at)]; i && tries < TRIES;
		i = d->next[i], tries++) {
		size_t left = base->len - (i - 1), most = target->len - at;
		size_t n = common(base->p + i - 1, target->p + at, left < most ? left : most);

		if (n > best) {
			best = n;
			*from = i - 1;
		}
	}
	return best;
}

/* `shift`: where the base's span begins in the base itself. False: more than `most` bytes. */
static bool add_between(struct kg_buf *out, struct kg_delta *d, const struct span *base,
	size_t shift, const struct span *target, size_t most)
{
	size_t at = 0, literal = 0; /* what begins there is not written yet */

	if (base->len >= WINDOW && target->len >= WINDOW)
		index_base(d, base);
	while (base->len >= WINDOW && at + WINDOW <= target->len) {
		size_t from = 0, n = longest(&from, d, base, target, at);

		if (n < WINDOW) {
			at++;
			continue;
		}
		size_t room = at - literal < from ? at - literal : from;
		size_t back = common_end(base->p + from, target->p + at, room);
		add_literal(out, target->p + literal, at - back - literal);
		add_copy(out, shift + from - back, n + back);
		literal = at = at + n;
		if (out->len > most)
			return false;
	}
	add_literal(out, target->p + literal, target->len - literal);
	return true;
}

bool kg_delta_make(struct kg_buf *out, struct kg_delta *d, const void *base, size_t base_len,
	const void *target, size_t target_len, size_t most)
{
	const unsigned char *b = base, *t = target;
	size_t less = base_len < target_len ? base_len : target_len;
	size_t head = common(b, t, less), tail;

	head = head < 4 ? 0 : head;
	tail = common_end(b + base_len, t + target_len, less - head);
	tail = tail < 4 ? 0 : tail;
	most += out->len;
	add_length(out, base_len);
	add_length(out, target_len);
	add_copy(out, 0, head);
	struct span from = {b + head, base_len - head - tail};
	struct span to = {t + head, target_len - head - tail};
	if (!add_between(out, d, &from, head, &to, most))
		return false;
	add_copy(out, base_len - tail, tail);
	return out->len <= most;
}

/* ---- seeing that it is right ---- */

static bool take_length(size_t *n, const unsigned char **p, const unsigned char *end)
{
	unsigned shift = 0;

	for (*n = 0; *p < end && shift < 50; shift += 7) {
		unsigned char c = *(*p)++;

		*n |= (size_t)(c & 0x7f) << shift;
		if (!(c & 0x80))
			return true;
	}
	return false;
}

static bool take_bytes(
	size_t *v, const unsigned char **p, const unsigned char *end, unsigned char which, int n)
{
	*v = 0;
	for (int i = 0; i < n; i++) {
		if (!(which >> i & 1))
			continue;
		if (*p == end)
			return false;
		*v |= (size_t) * (*p)++ << 8 * i;
	}
	return true;
}

/* One instruction's piece of what is made. */
static bool take_piece(struct span *piece, const unsigned char **p, const unsigned char *end,
	const struct span *base)
{
	unsigned char op = *(*p)++;
	size_t from, n;

	if (!(op & 0x80)) {
		*piece = (struct span){*p, op};
		if (!op || end - *p < op)
			return false;
		*p += op;
		return true;
	}
	if (!take_bytes(&from, p, end, op & 0xf, 4) || !take_bytes(&n, p, end, op >> 4 & 7, 3))
		return false;
	n = n ? n : 0x10000;
	if (from > base->len || n > base->len - from)
		return false;
	*piece = (struct span){base->p + from, n};
	return true;
}

bool kg_delta_is(const void *delta, size_t delta_len, const void *base, size_t base_len,
	const void *target, size_t target_len)
{
	const unsigned char *p = delta, *end = p + delta_len, *t = target;
	struct span from = {base, base_len}, piece;
	size_t n, at = 0;

	if (!take_length(&n, &p, end) || n != base_len || !take_length(&n, &p, end) ||
		n != target_len)
		return false;
	while (p < end) {
		if (!take_piece(&piece, &p, end, &from) || piece.len > target_len - at ||
			memcmp(piece.p, t + at, piece.len) != 0)
			return false;
		at += piece.len;
	}
	return at == target_len;
}
