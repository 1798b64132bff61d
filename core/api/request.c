/* One request: its life, its query, and waiting for a revision ahead of now. */
#include "api/request.h"

#include "api/handlers.h"
#include "api/internal.h"
#include "api/reply.h"
#include "api/selector.h"
#include "api/watch.h"
#include "api/worker.h"

#include <errno.h>

enum { WAIT_MS = 3000 };

struct request *kg_api_request_ref(struct request *r)
{
	atomic_fetch_add_explicit(&r->refs, 1, memory_order_relaxed);
	return r;
}

void kg_api_request_unref(struct request *r)
{
	if (!r || atomic_fetch_sub_explicit(&r->refs, 1, memory_order_acq_rel) != 1)
		return;
	if (r->state_free)
		r->state_free(r->state);
	pthread_mutex_destroy(&r->lock);
	kg_arena_release(&r->arena);
	free(r);
}

bool kg_api_request_enter(struct request *r)
{
	pthread_mutex_lock(&r->lock);
	if (!r->dead)
		return true;
	pthread_mutex_unlock(&r->lock);
	return false;
}

void kg_api_request_leave(struct request *r)
{
	pthread_mutex_unlock(&r->lock);
}

void kg_api_request_defer(struct request *r)
{
	if (!r->deferred)
		kg_http_defer(r->http);
	r->deferred = true;
}

void kg_api_request_abandon(struct request *r)
{
	struct kg_buf none = KG_BUF_INIT;

	if (r->deferred)
		kg_http_reply(r->http, 503, "text/plain", &none);
}

/* ---- Accept ---- */

/* The value of a media type's parameter ("as" of ";as=Table;v=v1;g=meta.k8s.io"), "" where it has
 * none; *len is its length. */
static const char *param(const char *type, size_t n, const char *name, size_t *len)
{
	size_t name_len = strlen(name);

	for (const char *p = type; (p = memchr(p, ';', n - (size_t)(p - type)));) {
		p++;
		while (*p == ' ')
			p++;
		if ((size_t)(type + n - p) > name_len && !strncasecmp(p, name, name_len) &&
			p[name_len] == '=') {
			p += name_len + 1;
			*len = strcspn(p, ";, ");
			return p;
		}
	}
	*len = 0;
	return "";
}

static bool param_is(const char *type, size_t n, const char *name, const char *value)
{
	size_t len;
	const char *p = param(type, n, name, &len);

	return len == strlen(value) && !strncasecmp(p, value, len);
}

static bool bare_is(const char *type, size_t n, const char *what)
{
	size_t bare = strcspn(type, ";, ");

	return bare <= n && bare == strlen(what) && !strncasecmp(type, what, bare);
}

static bool is_json(const char *type, size_t n)
{
	static const char *const plain[] = {"application/json", "application/*", "*/*"};

	for (size_t i = 0; i < KG_ARRAY_LEN(plain); i++)
		if (bare_is(type, n, plain[i]))
			return true;
	return false;
}

/* Discovery's aggregated document; else a plain one. */
static bool accept_discovery(const char *type, size_t n, struct accepted *out)
{
	if (!is_json(type, n) || !param_is(type, n, "g", "apidiscovery.k8s.io") ||
		!param_is(type, n, "as", "APIGroupDiscoveryList"))
		return false;
	out->version = param_is(type, n, "v", "v2")        ? "v2"
		       : param_is(type, n, "v", "v2beta1") ? "v2beta1"
							   : NULL;
	return out->version;
}

/* One media range: does it want a form that we have? */
static bool accept_one(const char *type, size_t n, struct accepted *out)
{
	out->yaml = bare_is(type, n, "application/yaml");
	if (!is_json(type, n) && !out->yaml)
		return false;
	out->version = param_is(type, n, "v", "v1beta1") ? "v1beta1" : "v1";
	out->form = FORM_OBJECT;
	if (param_is(type, n, "as", ""))
		return true;
	/* Forms of meta.k8s.io alone, of a version that there is. */
	if (!param_is(type, n, "g", "meta.k8s.io") || !param_is(type, n, "v", out->version))
		return false;
	if (param_is(type, n, "as", "Table"))
		out->form = FORM_TABLE;
	else if (param_is(type, n, "as", "PartialObjectMetadata") ||
		 param_is(type, n, "as", "PartialObjectMetadataList"))
		out->form = FORM_PARTIAL;
	else
		return false;
	return true;
}

/* How much it is wanted (RFC 9110, 12.4.2), in thousandths. */
static int weight_of(const char *type, size_t n)
{
	size_t len;
	const char *q = param(type, n, "q", &len);
	char text[8] = "", *end;

	if (!len || len >= sizeof(text))
		return 1000;
	memcpy(text, q, len);
	double w = strtod(text, &end);
	return *end || !(w >= 0 && w <= 1) ? 1000 : (int)(w * 1000);
}

/* The media range that is liked best of those that `take` takes; -1: none. */
static int accept_best(const char *accept, struct accepted *out,
	bool (*take)(const char *type, size_t n, struct accepted *out))
{
	int best = 0; /* with a weight of 0 it is not wanted */

	for (const char *p = accept; *p;) {
		struct accepted one;
		size_t n;

		p += strspn(p, ", ");
		n = strcspn(p, ",");
		int weight = n ? weight_of(p, n) : 0;
		if (weight > best && take(p, n, &one)) {
			*out = one;
			best = weight;
		}
		p += n;
	}
	return best ? 0 : -1;
}

static int accept_of(struct accepted *out, const struct request *r)
{
	const char *accept = kg_http_header(r->http, "Accept");

	*out = (struct accepted){.version = "v1"};
	return accept && *accept ? accept_best(accept, out, accept_one) : 0;
}

const char *kg_api_accepts_aggregated(const struct request *r)
{
	const char *accept = kg_http_header(r->http, "Accept");
	struct accepted a;

	return accept && !accept_best(accept, &a, accept_discovery) ? a.version : NULL;
}

bool kg_api_accepts_yaml(const struct request *r)
{
	struct accepted a;

	return !accept_of(&a, r) && a.yaml;
}

int kg_api_request_accept(struct accepted *out, const struct request *r, struct kg_error *err)
{
	if (accept_of(out, r) || (r->watch && out->yaml)) /* events have no end in YAML */
		return kg_fail(err, KG_E_UNSUPPORTED,
			"only the following media types are accepted: %s",
			r->watch ? "application/json;stream=watch"
				 : "application/json, application/yaml");
	return 0;
}

/* ---- the query ---- */

static int parse_revision(uint64_t *out, const char *text, struct kg_error *err)
{
	char *end;

	errno = 0;
	*out = strtoull(text, &end, 10);
	if (*end || errno || *text == '-' || *text == '+' || *text == ' ')
		return kg_fail(err, KG_E_BAD_REQUEST,
			"resourceVersion: Invalid value: \"%.100s\": must be a decimal number",
			text);
	return 0;
}

static int parse_selectors(struct request *r, struct kg_error *err)
{
	const char *labels = kg_http_query(r->http, "labelSelector");
	const char *fields = kg_http_query(r->http, "fieldSelector");
	int rc = 0;

	if (labels)
		rc = kg_api_label_selector_parse(&r->sel, &r->arena, labels, err);
	if (!rc && fields)
		rc = kg_api_field_selector_parse(&r->sel, &r->arena, r->kind, fields, err);
	return rc;
}

/* What comes with the rows of a Table. */
static int parse_include(struct request *r, struct kg_error *err)
{
	const char *include = kg_http_query(r->http, "includeObject");

	r->include = 'M';
	if (!include || !*include || r->form != FORM_TABLE)
		return 0;
	if (strcmp(include, "None") != 0 && strcmp(include, "Metadata") != 0 &&
		strcmp(include, "Object") != 0)
		return kg_fail(err, KG_E_BAD_REQUEST,
			"unrecognized includeObject value: \"%.100s\"", include);
	r->include = *include;
	return 0;
}

int kg_api_request_parse(struct request *r, struct kg_error *err)
{
	const char *rv = kg_http_query(r->http, "resourceVersion");
	struct accepted accepted;
	int rc;

	rc = kg_api_request_accept(&accepted, r, err);
	if (rc)
		return rc;
	r->form = accepted.form;
	r->form_version = accepted.version;
	r->yaml = accepted.yaml;
	r->columns = r->kind->columns;
	rc = parse_include(r, err);
	if (rc)
		return rc;
	if (rv && *rv) {
		r->has_revision = true;
		rc = parse_revision(&r->revision, rv, err);
		if (rc)
			return rc;
	}
	rc = kg_api_options_parse(r, err);
	return rc ? rc : parse_selectors(r, err);
}

/* ---- waiting ---- */

static void run_resume(void *arg)
{
	struct request *r = arg;

	if (kg_api_request_enter(r)) {
		r->resume(r);
		kg_api_request_leave(r);
	} else {
		kg_api_request_abandon(r);
	}
	kg_api_request_unref(r);
}

static void run_timeout(void *arg)
{
	struct request *r = arg;

	if (kg_api_request_enter(r)) {
		kg_api_too_large_revision(r, kg_hub_revision(r->api->opt.hub));
		kg_api_request_leave(r);
	} else {
		kg_api_request_abandon(r);
	}
	kg_api_request_unref(r);
}

static void wait_remove(struct request *r)
{
	if (r->wait_prev)
		r->wait_prev->wait_next = r->wait_next;
	else
		r->api->waiting = r->wait_next;
	if (r->wait_next)
		r->wait_next->wait_prev = r->wait_prev;
	r->waiting = false;
	r->api->nwaiting--;
}

/* Takes over a reference for the list. False where the revision is there after all. */
static bool wait_add(struct request *r)
{
	struct kg_api *api = r->api;
	bool wait;

	pthread_mutex_lock(&api->wait_lock);
	wait = kg_hub_revision(api->opt.hub) < r->wait_revision;
	if (wait) {
		r->wait_prev = NULL;
		r->wait_next = api->waiting;
		if (r->wait_next)
			r->wait_next->wait_prev = r;
		api->waiting = kg_api_request_ref(r);
		api->nwaiting++;
		r->waiting = true;
	}
	pthread_mutex_unlock(&api->wait_lock);
	return wait;
}

void kg_api_request_at(struct request *r, uint64_t revision, void (*resume)(struct request *r))
{
	struct kg_api *api = r->api;

	if (kg_api_has_versions(r->kind->id) || kg_hub_revision(api->opt.hub) >= revision) {
		resume(r);
		return;
	}
	r->resume = resume;
	r->wait_revision = revision;
	r->wait_until = kg_api_now_ms() + (api->opt.wait_ms ? api->opt.wait_ms : WAIT_MS);
	kg_api_request_defer(r);
	if (wait_add(r))
		kg_api_clock_kick(api, r->wait_until);
	else
		kg_api_worker_add(api, run_resume, kg_api_request_ref(r));
}

void kg_api_request_done(struct request *r)
{
	struct kg_api *api = r->api;
	bool waited;

	kg_api_watch_done(r);
	kg_api_list_done(r);
	kg_api_metrics_request(r);
	pthread_mutex_lock(&r->lock);
	r->dead = true;
	pthread_mutex_unlock(&r->lock);
	pthread_mutex_lock(&api->wait_lock);
	waited = r->waiting;
	if (waited)
		wait_remove(r);
	pthread_mutex_unlock(&api->wait_lock);
	if (waited) {
		kg_api_request_abandon(r);
		kg_api_request_unref(r);
	}
	kg_api_request_unref(r);
}

void kg_api_request_published(struct kg_api *api)
{
	uint64_t revision = kg_hub_revision(api->opt.hub);
	struct request *next;

	pthread_mutex_lock(&api->wait_lock);
	for (struct request *r = api->waiting; r; r = next) {
		next = r->wait_next;
		if (r->wait_revision > revision)
			continue;
		wait_remove(r);
		kg_api_worker_add(api, run_resume, r);
	}
	pthread_mutex_unlock(&api->wait_lock);
}

int64_t kg_api_request_expire(struct kg_api *api, int64_t now)
{
	int64_t due = INT64_MAX;
	struct request *next;

	pthread_mutex_lock(&api->wait_lock);
	for (struct request *r = api->waiting; r; r = next) {
		next = r->wait_next;
		if (r->wait_until <= now) {
			wait_remove(r);
			kg_api_worker_add(api, run_timeout, r);
		} else if (r->wait_until < due) {
			due = r->wait_until;
		}
	}
	pthread_mutex_unlock(&api->wait_lock);
	return due;
}
