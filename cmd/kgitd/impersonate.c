#include "kgitd/impersonate.h"

#include "auth/impersonate.h"
#include "base/hash.h"
#include "kgitd/audit.h"

#include <ctype.h>
#include <string.h>

#define EXTRA "Impersonate-Extra-"

struct headers {
	struct kg_impersonation said;
	struct kg_arena a;
	bool too_many;
};

/* In lower case; what is no percent-encoding is taken as it is. */
static const char *extra_key(struct kg_arena *a, const char *text)
{
	char *key = kg_arena_strdup(a, text), *to = key;

	for (const char *p = text; *p; p++) {
		int hi = *p == '%' ? kg_hex_digit(p[1]) : -1;
		int lo = hi >= 0 ? kg_hex_digit(p[2]) : -1;

		*to++ = lo >= 0 && (hi || lo) ? (char)(hi << 4 | lo)
					      : (char)tolower((unsigned char)*p);
		p += lo >= 0 && (hi || lo) ? 2 : 0;
	}
	*to = '\0';
	return key;
}

static void add_extra(struct headers *h, const char *key, const char *value)
{
	struct kg_impersonation *said = &h->said;

	if (said->nextras == KG_ARRAY_LEN(said->extras))
		h->too_many = true;
	else
		said->extras[said->nextras++] =
			(struct kg_impersonation_extra){extra_key(&h->a, key), value};
}

static bool read_header(const char *name, const char *value, void *ctx)
{
	struct headers *h = ctx;
	struct kg_impersonation *said = &h->said;

	if (strncasecmp(name, "Impersonate-", 12) != 0)
		return true;
	if (strcasecmp(name, "Impersonate-User") == 0)
		said->user = said->user ? said->user : value;
	else if (strcasecmp(name, "Impersonate-Uid") == 0)
		said->uid = said->uid ? said->uid : value;
	else if (strncasecmp(name, EXTRA, sizeof(EXTRA) - 1) == 0)
		add_extra(h, name + sizeof(EXTRA) - 1, value);
	else if (strcasecmp(name, "Impersonate-Group") != 0)
		return true;
	else if (said->ngroups == KG_ARRAY_LEN(said->groups))
		h->too_many = true;
	else
		said->groups[said->ngroups++] = value;
	return !h->too_many;
}

static int become(struct kgd_exchange *x, const struct headers *h, struct kg_error *err)
{
	const struct kg_impersonation *said = &h->said;
	struct kg_user *by;

	if (h->too_many)
		return kg_fail(err, KG_E_BAD_REQUEST,
			"at most %zu Impersonate-Group headers, and %zu " EXTRA "*",
			KG_ARRAY_LEN(said->groups), KG_ARRAY_LEN(said->extras));
	by = kg_alloc(sizeof(*by));
	*by = x->user;
	int rc = kg_auth_impersonate(x->master->auth, &x->user, by, said, err);
	if (rc < 0)
		free(by);
	else
		x->by = by;
	return rc;
}

int kgd_impersonate(struct kgd_exchange *x, struct kg_http_req *req, struct kg_error *err)
{
	struct headers h = {.a = KG_ARENA_INIT};
	int rc = 0;

	kg_http_headers(req, read_header, &h);
	if (h.too_many || kg_impersonation_any(&h.said)) {
		struct kg_attributes what = {.verb = "impersonate",
			.resource = "users",
			.name = h.said.user ? h.said.user : ""};

		rc = become(x, &h, err);
		if (rc < 0)
			kgd_audit_request(x->master->audit, req, &x->user, &what, err);
	}
	kg_arena_release(&h.a);
	return rc;
}
