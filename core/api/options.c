/* Which parameters of a list or watch go together: as k8s.io/apimachinery's ValidateListOptions
 * judges, all that is wrong at once and in its words. */
#include "api/request.h"

struct wrong {
	struct kg_buf text;
	size_t n;
};

static void say(struct wrong *w, const char *what)
{
	kg_buf_adds(&w->text, w->n++ ? ", " : "");
	kg_buf_adds(&w->text, what);
}

#define FORBIDDEN(field, why) field ": Forbidden: " why

static void check_known(struct wrong *w, const char *match, const char *others)
{
	kg_buf_addf(&w->text,
		"%sresourceVersionMatch: Unsupported value: \"%.100s\": supported values: %s",
		w->n++ ? ", " : "", match, others);
}

static void check_list(struct wrong *w, const struct request *r, const char *match, bool continues)
{
	if (*match && !r->has_revision)
		say(w, FORBIDDEN("resourceVersionMatch",
			       "resourceVersionMatch is forbidden unless resourceVersion is "
			       "provided"));
	if (*match && continues)
		say(w, FORBIDDEN("resourceVersionMatch",
			       "resourceVersionMatch is forbidden when continue is provided"));
	if (*match && !r->exact && strcmp(match, "NotOlderThan") != 0)
		check_known(w, match, "\"Exact\", \"NotOlderThan\", \"\"");
	if (r->exact && r->has_revision && !r->revision)
		say(w, FORBIDDEN("resourceVersionMatch",
			       "resourceVersionMatch \"exact\" is forbidden for resourceVersion "
			       "\"0\""));
	if (r->initial >= 0)
		say(w, FORBIDDEN("sendInitialEvents", "sendInitialEvents is forbidden for list"));
}

static void check_watch(struct wrong *w, const struct request *r, const char *match, bool continues)
{
	bool fresh = !strcmp(match, "NotOlderThan");

	if (r->initial >= 0 && !fresh)
		say(w, FORBIDDEN("resourceVersionMatch",
			       "sendInitialEvents requires setting resourceVersionMatch to "
			       "NotOlderThan"));
	if (*match && r->initial < 0)
		say(w, FORBIDDEN("resourceVersionMatch",
			       "resourceVersionMatch is forbidden for watch unless "
			       "sendInitialEvents is provided"));
	if (*match && !fresh)
		check_known(w, match, "\"NotOlderThan\"");
	if (*match && continues)
		say(w, FORBIDDEN("resourceVersionMatch",
			       "resourceVersionMatch is forbidden when continue is provided"));
}

int kg_api_options_parse(struct request *r, struct kg_error *err)
{
	const char *match = kg_http_query(r->http, "resourceVersionMatch");
	const char *more = kg_http_query(r->http, "continue");
	bool continues = more && *more;
	struct wrong w = {0};
	int rc = 0;

	match = match ? match : "";
	if (r->name && !r->watch) { /* what it does not know, a get passes over, as any parameter */
		r->exact = !strcmp(match, "Exact");
		return r->exact && !r->revision
			       ? kg_fail(err, KG_E_INVALID,
					 "resourceVersionMatch \"Exact\" wants the "
					 "resourceVersion that is to be read")
			       : 0;
	}
	r->has_match = *match;
	r->exact = !strcmp(match, "Exact");
	r->initial = !kg_http_query(r->http, "sendInitialEvents")
			     ? -1
			     : kg_http_query_bool(r->http, "sendInitialEvents");
	(r->watch ? check_watch : check_list)(&w, r, match, continues);
	if (w.n)
		rc = kg_fail(err, KG_E_INVALID, "ListOptions.meta.k8s.io \"\" is invalid: %s%s%s",
			w.n > 1 ? "[" : "", kg_buf_str(&w.text), w.n > 1 ? "]" : "");
	kg_buf_release(&w.text);
	return rc;
}
