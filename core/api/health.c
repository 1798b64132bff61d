/* /version, and is the server alive and ready. */
#include "api/internal.h"

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
	kg_api_reply_json(r, 200, &out);
}

static bool is_health(const char *path)
{
	static const char *const paths[] = {"/healthz", "/livez", "/readyz"};

	for (size_t i = 0; i < KG_ARRAY_LEN(paths); i++) {
		size_t n = strlen(paths[i]);

		if (!strncmp(path, paths[i], n) &&
			(!path[n] || !strcmp(path + n, "/") || !strcmp(path + n, "/ping")))
			return true;
	}
	return false;
}

void kg_api_handle_health(struct request *r, const char *path)
{
	KG_AUTOBUF struct kg_buf why = KG_BUF_INIT;
	struct kg_api *api = r->api;

	if (!strcmp(path, "/version") || !strcmp(path, "/version/")) {
		handle_version(r);
	} else if (!is_health(path)) {
		kg_api_reply_unknown_path(r);
	} else if (!strncmp(path, "/livez", 6) || !api->opt.ready ||
		   api->opt.ready(api->opt.ctx, &why)) {
		kg_http_reply_text(r->http, 200, "ok");
	} else {
		kg_http_reply_text(r->http, 500, why.len ? why.data : "not ready");
	}
}
