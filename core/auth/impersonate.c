/* As k8s.io/apiserver's WithImpersonation decides it. */
#include "impersonate.h"

#include <stdio.h>
#include <string.h>

#define AUTHN "authentication.k8s.io"

static bool is_said(const char *text)
{
	return text && *text;
}

bool kg_impersonation_any(const struct kg_impersonation *i)
{
	return is_said(i->user) || is_said(i->uid) || i->ngroups || i->nextras;
}

/* "system:serviceaccount:NAMESPACE:NAME" in its parts. */
struct account {
	char ns[254], name[254];
};
static bool split_account(struct account *out, const char *user)
{
	static const char prefix[] = "system:serviceaccount:";
	const char *rest = user + sizeof(prefix) - 1, *colon;

	if (strncmp(user, prefix, sizeof(prefix) - 1) != 0 || !(colon = strchr(rest, ':')))
		return false;
	size_t n = (size_t)(colon - rest), m = strlen(colon + 1);
	if (!n || !m || n >= sizeof(out->ns) || m >= sizeof(out->name) || strchr(colon + 1, ':'))
		return false;
	snprintf(out->ns, sizeof(out->ns), "%.*s", (int)n, rest);
	snprintf(out->name, sizeof(out->name), "%s", colon + 1);
	return true;
}

struct asking {
	struct kg_auth *auth;
	const struct kg_user *by;
	struct kg_error *err;
};

static int may(const struct asking *q, const char *group, const char *resource, const char *sub,
	const char *ns, const char *name)
{
	struct kg_attributes a = {.verb = "impersonate",
		.group = group,
		.resource = resource,
		.subresource = sub,
		.ns = ns,
		.name = name};

	return kg_auth_authorize(q->auth, q->by, &a, q->err);
}

static int may_all(
	const struct asking *q, const struct kg_impersonation *i, const struct account *account)
{
	int rc = account ? may(q, "", "serviceaccounts", "", account->ns, account->name)
			 : may(q, "", "users", "", "", i->user);

	for (size_t k = 0; !rc && k < i->ngroups; k++)
		rc = may(q, "", "groups", "", "", i->groups[k]);
	for (size_t k = 0; !rc && k < i->nextras; k++)
		rc = may(q, AUTHN, "userextras", i->extras[k].key, "", i->extras[k].value);
	if (!rc && is_said(i->uid))
		rc = may(q, AUTHN, "uids", "", "", i->uid);
	return rc;
}

static int add_groups(struct kg_user *u, const struct kg_impersonation *i,
	const struct account *account, struct kg_error *err)
{
	char group[300];
	int rc = 0;

	for (size_t k = 0; !rc && k < i->ngroups; k++)
		rc = kg_user_add_group(u, i->groups[k], err);
	if (rc || !account || i->ngroups)
		return rc;
	snprintf(group, sizeof(group), "system:serviceaccounts:%s", account->ns);
	rc = kg_user_add_group(u, "system:serviceaccounts", err);
	return rc ? rc : kg_user_add_group(u, group, err);
}

/* Everybody is in one of the two. */
static int add_everybody(struct kg_user *u, struct kg_error *err)
{
	bool unknown = kg_user_in_group(u, "system:unauthenticated");

	if (strcmp(u->name, "system:anonymous") == 0)
		return unknown ? 0 : kg_user_add_group(u, "system:unauthenticated", err);
	return unknown || kg_user_in_group(u, "system:authenticated")
		       ? 0
		       : kg_user_add_group(u, "system:authenticated", err);
}

int kg_auth_impersonate(struct kg_auth *auth, struct kg_user *out, const struct kg_user *by,
	const struct kg_impersonation *i, struct kg_error *err)
{
	struct asking q = {auth, by, err};
	struct account account;
	struct kg_user u;

	if (!is_said(i->user))
		return kg_fail(err, KG_E_BAD_REQUEST,
			"requested groups, extras or a uid without impersonating a user: "
			"Impersonate-User says whom");
	bool is_account = split_account(&account, i->user);
	int rc = may_all(&q, i, is_account ? &account : NULL);
	if (!rc)
		rc = kg_user_set(&u, i->user, err);
	if (!rc)
		rc = add_groups(&u, i, is_account ? &account : NULL, err);
	if (!rc)
		rc = add_everybody(&u, err);
	if (rc)
		return rc;
	if (is_said(i->uid))
		kg_user_set_uid(&u, i->uid);
	for (size_t k = 0; k < i->nextras; k++)
		kg_user_add_extra(&u, i->extras[k].key, i->extras[k].value);
	*out = u;
	return 0;
}
