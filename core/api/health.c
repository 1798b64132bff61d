/* /version, and is the server alive and ready. */
#include "api/handlers.h"
#include "api/internal.h"
#include "api/reply.h"
#include "api/request.h"

#include <sys/utsname.h>

/* The Kubernetes version whose API is served: clients compare it with their own. */
#define SERVED_MAJOR "1"
#define SERVED_MINOR "32"

static void handle_version(struct request *r)
{
	struct kg_buf out = KG_BUF_INIT;
	struct utsname un = {0};
	const char *arch;

	uname(&un);
	arch = !strcmp(un.machine, "x86_64")    ? "amd64"
	       : !strcmp(un.machine, "aarch64") ? "arm64"
						: un.machine;
	kg_buf_addf(&out,
		"{\n  \"major\": \"" SERVED_MAJOR "\",\n  \"minor\": \"" SERVED_MINOR "\",\n"
		"  \"gitVersion\": \"v" SERVED_MAJOR "." SERVED_MINOR ".0+kgit." KGIT_VERSION
		"\",\n"
		"  \"gitCommit\": \"\",\n  \"gitTreeState\": \"clean\",\n"
		"  \"buildDate\": \"1970-01-01T00:00:00Z\",\n  \"goVersion\": \"none\",\n"
		"  \"compiler\": \"cc\",\n  \"platform\": \"linux/%s\"\n}\n",
		arch);
	kg_http_reply(r->http, 200, "application/json", &out);
}

/* ---- health: as Kubernetes' API server answers ---- */

/* "/readyz/store": the endpoint "readyz" and the check "store", "" for all of them. */
struct health_path {
	char endpoint[8];
	const char *check;
};

static bool parse_health(struct health_path *out, const char *path)
{
	static const char *const endpoints[] = {"healthz", "livez", "readyz"};

	for (size_t i = 0; i < KG_ARRAY_LEN(endpoints); i++) {
		size_t n = strlen(endpoints[i]);

		if (strncmp(path + 1, endpoints[i], n) != 0 || (path[n + 1] && path[n + 1] != '/'))
			continue;
		memcpy(out->endpoint, endpoints[i], n + 1);
		out->check = path[n + 1] ? path + n + 2 : "";
		return true;
	}
	return false;
}

static bool ping(void *ctx, struct kg_buf *why)
{
	(void)ctx;
	(void)why;
	return true;
}
static const struct kg_api_check ping_check = {.name = "ping", .ok = ping};

/* The i-th check of an endpoint, or NULL at the end. */
static const struct kg_api_check *check_at(const struct kg_api *api, const char *endpoint, size_t i)
{
	if (i == 0)
		return &ping_check;
	for (size_t k = 0; k < api->opt.nchecks; k++)
		if ((!api->opt.checks[k].ready_only || *endpoint == 'r') && --i == 0)
			return &api->opt.checks[k];
	return NULL;
}

/* Is name among the values of `exclude`? */
static bool is_excluded(struct request *r, const char *name)
{
	const char *p;

	for (size_t i = 0; (p = kg_http_query_at(r->http, "exclude", i)); i++)
		if (!strcmp(p, name))
			return true;
	return false;
}

static bool run_check(struct request *r, const struct kg_api_check *c, struct kg_buf *out)
{
	KG_AUTOBUF struct kg_buf why = KG_BUF_INIT;

	if (is_excluded(r, c->name)) {
		kg_buf_addf(out, "[+]%s excluded: ok\n", c->name);
		return true;
	}
	if (c->ok(r->api->opt.ctx, &why)) {
		kg_buf_addf(out, "[+]%s ok\n", c->name);
		return true;
	}
	kg_buf_addf(out, "[-]%s failed: %s\n", c->name, why.len ? why.data : "not ready");
	return false;
}

/* What was to be left out and is no check. */
static void warn_excluded(struct request *r, const char *endpoint, struct kg_buf *out)
{
	const struct kg_api_check *c;
	const char *p;

	for (size_t i = 0; (p = kg_http_query_at(r->http, "exclude", i)); i++) {
		size_t k = 0;

		while ((c = check_at(r->api, endpoint, k)) && strcmp(c->name, p) != 0)
			k++;
		if (!c)
			kg_buf_addf(out,
				"warn: some health checks cannot be excluded: no matches for "
				"\"%.100s\"\n",
				p);
	}
}

static void reply_all(struct request *r, const char *endpoint)
{
	struct kg_buf out = KG_BUF_INIT;
	const struct kg_api_check *c;
	bool ok = true;

	for (size_t i = 0; (c = check_at(r->api, endpoint, i)); i++)
		ok &= run_check(r, c, &out);
	warn_excluded(r, endpoint, &out);
	kg_buf_addf(&out, "%s check %s\n", endpoint, ok ? "passed" : "failed");
	if (ok && !kg_http_query(r->http, "verbose")) {
		kg_buf_clear(&out);
		kg_buf_adds(&out, "ok");
	}
	kg_http_reply(r->http, ok ? 200 : 500, "text/plain; charset=utf-8", &out);
}

static void reply_one(struct request *r, const struct health_path *p)
{
	KG_AUTOBUF struct kg_buf why = KG_BUF_INIT;
	const struct kg_api_check *c;
	size_t i = 0;

	while ((c = check_at(r->api, p->endpoint, i)) && strcmp(c->name, p->check) != 0)
		i++;
	if (!c) {
		kg_api_reply_unknown_path(r);
	} else if (c->ok(r->api->opt.ctx, &why)) {
		kg_http_reply_text(r->http, 200, "ok");
	} else {
		kg_buf_adds(&why, why.len ? "\n" : "not ready\n");
		kg_http_reply_text(r->http, 500, why.data);
	}
}

void kg_api_handle_health(struct request *r, const char *path)
{
	struct health_path p;

	if (!strcmp(path, "/version") || !strcmp(path, "/version/"))
		handle_version(r);
	else if (!parse_health(&p, path))
		kg_api_reply_unknown_path(r);
	else if (*p.check)
		reply_one(r, &p);
	else
		reply_all(r, p.endpoint);
}
