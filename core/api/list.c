/*
 * LIST: selectors, pages that are all of one revision, resourceVersion semantics. A short list is
 * one reply; a long one is encoded piece by piece as the connection takes it, so that ten
 * thousand pods neither hold up an HTTP thread nor lie in memory as text. The list's metadata
 * comes after its items, since `continue` is known only then.
 */
#include "api/endpoints.h"
#include "api/handlers.h"
#include "api/internal.h"
#include "api/reader.h"
#include "api/reply.h"
#include "api/request.h"
#include "api/selector.h"
#include "api/table.h"
#include "api/worker.h"
#include "base/hash.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

enum { WHOLE_BYTES = 256 << 10, PIECE_BYTES = 64 << 10, PACKED_BYTES = 256 << 10 };

struct list {
	struct request *r; /* owns this */
	struct reader rd;
	struct kg_arena scratch;
	uint64_t revision, limit, written, before; /* before: on earlier pages */
	int64_t total;                             /* -1: unknown */
	bool ended;
	int64_t until;            /* monotonic ms; what is not taken by then is broken off */
	struct list *prev, *next; /* the api's, of those that are being sent */
	bool listed;
	struct kg_buf out;
	size_t sent;
	struct gzip *gzip;   /* NULL: it is sent as it is */
	struct kg_buf plain; /* with gzip: what goes into `out` packed */
};

static void list_free(void *state);

/* ---- those that are being sent: each holds a snapshot for as long as its reader likes ---- */

/* False where there are too many, of all or of this user. */
static bool list_add(struct list *l)
{
	struct kg_api *api = l->r->api;
	struct list_table *t = &api->lists;
	size_t own = 0, max = api->opt.max_lists;

	pthread_mutex_lock(&t->lock);
	for (struct list *i = t->first; i; i = i->next)
		own += !strcmp(i->r->user->name, l->r->user->name);
	l->listed = t->len < max && own < (max + 1) / 2;
	if (l->listed) {
		l->next = t->first;
		if (l->next)
			l->next->prev = l;
		t->first = l;
		t->len++;
	} else {
		t->refused++;
	}
	pthread_mutex_unlock(&t->lock);
	return l->listed;
}

static void list_remove(struct list *l)
{
	struct list_table *t = &l->r->api->lists;

	pthread_mutex_lock(&t->lock);
	if (l->listed) {
		*(l->prev ? &l->prev->next : &t->first) = l->next;
		if (l->next)
			l->next->prev = l->prev;
		l->listed = false;
		t->len--;
	}
	pthread_mutex_unlock(&t->lock);
}

void kg_api_list_done(struct request *r)
{
	if (r->state_free == list_free)
		list_remove(r->state);
}

static bool is_late(struct list *l)
{
	struct list_table *t = &l->r->api->lists;

	if (kg_api_now_ms() < l->until)
		return false;
	pthread_mutex_lock(&t->lock);
	t->broken++;
	pthread_mutex_unlock(&t->lock);
	return true;
}

static void list_free(void *state)
{
	struct list *l = state;

	kg_api_reader_release(&l->rd);
	kg_arena_release(&l->scratch);
	kg_buf_release(&l->out);
	kg_buf_release(&l->plain);
	kg_api_gzip_free(l->gzip);
	free(l);
}

/* ---- continue tokens: base64url of "kg1\nREVISION\nWRITTEN\nKEY" ---- */

static char *token_make(uint64_t revision, uint64_t written, const char *key)
{
	KG_AUTOFREE char *plain =
		kg_asprintf("kg1\n%" PRIu64 "\n%" PRIu64 "\n%s", revision, written, key);

	return kg_base64url_encode(plain, strlen(plain));
}

/* key: arena. */
static int token_parse(struct request *r, const char *token, uint64_t *revision, uint64_t *written,
	const char **key, struct kg_error *err)
{
	size_t n;
	int at = 0;
	KG_AUTOFREE unsigned char *plain = kg_base64url_decode(token, strlen(token), &n);

	if (!plain || strlen((char *)plain) != n ||
		sscanf((char *)plain, "kg1\n%" SCNu64 "\n%" SCNu64 "%n", revision, written, &at) !=
			2 ||
		plain[at] != '\n')
		return kg_fail(err, KG_E_BAD_REQUEST, "continue key is not valid");
	*key = kg_arena_strdup(&r->arena, (char *)plain + at + 1);
	return 0;
}

/* ---- encoding ---- */

static void write_open(struct kg_buf *out, const struct request *r)
{
	switch (r->form) {
	case FORM_TABLE:
		kg_api_table_open(out, r, true);
		break;
	case FORM_PARTIAL:
		kg_buf_addf(out,
			"{\"kind\":\"PartialObjectMetadataList\",\"apiVersion\":\"meta.k8s.io/%s\","
			"\"items\":[",
			r->form_version);
		break;
	case FORM_OBJECT:
		kg_buf_addf(out, "{\"kind\":\"%s\",\"apiVersion\":\"%s\",\"items\":[",
			r->kind->list_kind, kg_kind_api_version(r->kind));
	}
}

/* In YAML the items come last but for the metadata, too; so what comes before them is complete. */
static void list_open(struct list *l)
{
	const struct request *r = l->r;
	KG_AUTOBUF struct kg_buf json = KG_BUF_INIT;
	const char *items = r->form == FORM_TABLE ? ",\"rows\":[" : ",\"items\":[";

	if (!r->yaml) {
		write_open(&l->out, r);
		return;
	}
	write_open(&json, r);
	kg_buf_remove(&json, json.len - strlen(items), strlen(items));
	kg_buf_addc(&json, '}');
	kg_api_yaml(&l->out, &json);
	kg_buf_adds(&l->out, r->form == FORM_TABLE ? "rows:" : "items:");
}

/* `"metadata":{...}` */
static void write_metadata(struct list *l, struct kg_buf *out, const char *last)
{
	kg_buf_addf(out, "\"metadata\":{\"resourceVersion\":\"%" PRIu64 "\"", l->revision);
	if (last) {
		uint64_t so_far = l->before + l->written;
		KG_AUTOFREE char *token = token_make(l->revision, so_far, last);

		kg_api_write_member(out, "continue", token);
		if (l->total > (int64_t)so_far)
			kg_buf_addf(out, ",\"remainingItemCount\":%" PRIu64,
				(uint64_t)l->total - so_far);
	}
	kg_buf_addc(out, '}');
}

static void list_close(struct list *l, const char *last)
{
	struct request *r = l->r;
	KG_AUTOBUF struct kg_buf json = KG_BUF_INIT;

	if (r->yaml) {
		kg_buf_addc(&json, '{');
		write_metadata(l, &json, last);
		kg_buf_addc(&json, '}');
		kg_buf_adds(&l->out, l->written ? "" : " []\n");
		kg_api_yaml(&l->out, &json);
	} else {
		kg_buf_adds(&l->out, "],");
		write_metadata(l, &l->out, last);
		kg_buf_adds(&l->out, "}\n");
	}
	if (!last)
		kg_api_resume_listed(r, l->revision);
	else if (kg_api_has_versions(r->kind->id))
		kg_api_versions_keep(
			kg_api_versions(r->api, r->kind->id), &l->rd.src.objects, l->revision);
	l->ended = true;
}

static void list_object(struct list *l, struct kg_buf *out, const struct kg_object *obj)
{
	if (l->rd.fresh || kg_api_is_made(obj->kind)) { /* made for this list */
		kg_api_write_object(out, obj, obj->revision);
		return;
	}
	struct blob *b = kg_api_encode_shared(l->r->api, obj, obj->revision, false);

	kg_buf_add(out, b->data, b->len);
	kg_api_blob_unref(b);
}

static void write_item(struct list *l, struct kg_buf *out, const struct kg_object *obj)
{
	switch (l->r->form) {
	case FORM_OBJECT:
		list_object(l, out, obj);
		break;
	case FORM_PARTIAL:
		kg_api_write_partial(out, obj, obj->revision, l->r->form_version);
		break;
	case FORM_TABLE:
		kg_api_table_row(out, l->r, obj, obj->revision, &l->scratch);
	}
}

static void list_item(struct list *l, const struct kg_object *obj)
{
	bool first = !l->written++;

	if (l->r->yaml) {
		KG_AUTOBUF struct kg_buf json = KG_BUF_INIT;

		write_item(l, &json, obj);
		kg_buf_adds(&l->out, first ? "\n" : "");
		kg_api_yaml_item(&l->out, &json);
		return;
	}
	kg_buf_adds(&l->out, first ? "" : ",");
	write_item(l, &l->out, obj);
}

/* Encodes until at least `bytes` wait to be sent, or the list has ended. */
static void list_fill(struct list *l, size_t bytes)
{
	const struct kg_object *obj;
	const char *key;
	KG_AUTOFREE char *last = NULL;

	while (!l->ended && l->out.len < bytes) {
		obj = kg_api_reader_next(&l->rd, &key);
		if (!obj) {
			list_close(l, NULL);
			break;
		}
		if (!kg_api_selector_matches(&l->r->sel, obj))
			continue;
		list_item(l, obj);
		if (l->limit && l->written == l->limit) {
			/* One more object, and there is another page. */
			last = kg_strdup(key);
			while ((obj = kg_api_reader_next(&l->rd, &key)) &&
				!kg_api_selector_matches(&l->r->sel, obj))
				;
			list_close(l, obj ? last : NULL);
		}
	}
	kg_arena_release(&l->scratch);
}

/* The next piece, into `out`, which is empty. */
static void list_piece(struct list *l)
{
	if (!l->gzip) {
		list_fill(l, PIECE_BYTES);
		return;
	}
	struct kg_buf packed = l->out;

	l->out = l->plain;
	kg_buf_clear(&l->out);
	list_fill(l, PACKED_BYTES);
	kg_api_gzip_add(l->gzip, &packed, kg_buf_str(&l->out), l->out.len, l->ended);
	l->plain = l->out;
	l->out = packed;
}

static ssize_t list_read(struct kg_http_req *http, char *buf, size_t max, void *ctx)
{
	struct list *l = ctx;
	(void)http;

	if (l->sent == l->out.len) {
		if (l->ended)
			return -1;
		if (is_late(l))
			return -2;
		kg_buf_clear(&l->out);
		l->sent = 0;
		list_piece(l);
	}
	size_t n = l->out.len - l->sent;

	if (n > max)
		n = max;
	memcpy(buf, l->out.data + l->sent, n);
	l->sent += n;
	return (ssize_t)n;
}

/* ---- which revision ---- */

struct page {
	uint64_t limit, before, revision; /* revision 0: the newest */
	const char *from;                 /* first key, or NULL */
};

/* Where that is wanted; what there is of it already, too. */
static void list_pack(struct list *l)
{
	if (!kg_api_gzip_wanted(l->r))
		return;
	l->gzip = kg_api_gzip_new();
	l->plain = l->out;
	l->out = (struct kg_buf)KG_BUF_INIT;
	kg_api_gzip_add(l->gzip, &l->out, l->plain.data, l->plain.len, false);
	kg_api_gzip_headers(l->r);
}

static void list_reply(struct request *r, const struct page *p, struct source *src)
{
	struct list *l = kg_alloc(sizeof(*l));
	const char *type = r->yaml ? "application/yaml" : "application/json";
	bool filtered = r->sel.nfields || r->sel.nlabels || r->ns;

	l->r = r;
	l->limit = p->limit;
	l->before = p->before;
	l->revision = src->revision;
	l->total = filtered || !p->limit ? -1 : kg_api_source_count(r->api, src, r->kind);
	kg_api_reader_init(&l->rd, r, src, p->from);
	r->state = l;
	r->state_free = list_free;
	list_open(l);
	list_fill(l, WHOLE_BYTES);
	l->until = kg_api_now_ms() + r->api->opt.list_ms;
	if (l->ended && !r->yaml)
		kg_api_pretty(r, &l->out); /* a long one is for programs */
	if (l->ended) {
		kg_api_gzip_body(r, &l->out, GZIP_LEAST);
		kg_http_reply(r->http, 200, type, &l->out);
	} else if (!list_add(l)) {
		kg_api_reply_too_many(r, "long lists are being sent");
	} else {
		list_pack(l);
		kg_http_stream(r->http, 200, type, list_read, l);
	}
}

static void list_then(struct request *r, struct source *src)
{
	list_reply(r, r->state, src);
}

static void list_now(struct request *r)
{
	struct page *p = r->state;
	struct source src;

	if (p->revision) {
		kg_api_read_at(r, p->revision, list_then);
		return;
	}
	kg_api_source_now(&src, r->api, r->kind);
	list_reply(r, p, &src);
}

static int parse_limit(struct request *r, struct page *p, struct kg_error *err)
{
	const char *limit = kg_http_query(r->http, "limit");
	char *end;

	if (!limit || !*limit)
		return 0;
	errno = 0;
	long long n = strtoll(limit, &end, 10);
	p->limit = n > 0 ? (uint64_t)n : 0; /* less than one is none, as in Kubernetes */
	if (*end || errno)
		return kg_fail(err, KG_E_BAD_REQUEST,
			"limit: Invalid value: \"%.100s\": must be a whole number", limit);
	return 0;
}

static int parse_page(struct request *r, struct page *p, struct kg_error *err)
{
	const char *token = kg_http_query(r->http, "continue"), *key = "";
	int rc = parse_limit(r, p, err);

	if (rc)
		return rc;
	if (token && *token) {
		if (r->revision)
			return kg_fail(err, KG_E_BAD_REQUEST,
				"specifying resource version is not allowed when using continue");
		rc = token_parse(r, token, &p->revision, &p->before, &key, err);
		if (!rc) /* the first key after it */
			p->from = kg_arena_printf(&r->arena, "%s\x01", key);
		return rc;
	}
	/* With a limit and without a match, N has always meant exactly N. */
	if (r->exact || (r->revision && p->limit && !r->has_match))
		p->revision = r->revision;
	return 0;
}

void kg_api_handle_list(struct request *r)
{
	struct page *p = kg_arena_alloc(&r->arena, sizeof(*p));
	struct kg_error err;

	if (kg_api_request_parse(r, &err) || parse_page(r, p, &err)) {
		kg_api_reply_error(r, &err);
		return;
	}
	r->state = p; /* the arena's: there is no state_free yet */
	kg_api_request_at(r, p->revision > r->revision ? p->revision : r->revision, list_now);
}
