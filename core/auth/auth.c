/* The chains. */
#include "base/log.h"
#include "base/mem.h"
#include "internal.h"
#include "rbac.h"

#include <stdio.h>
#include <string.h>

struct link {
	const struct kg_authenticator *authenticator;
	const struct kg_authorizer *authorizer;
	void *self;
};

struct kg_auth {
	struct link *authenticators, *authorizers;
	size_t nauthenticators, nauthorizers, cap_authenticators, cap_authorizers;
	struct kg_rbac *rbac; /* that of the authorizers' list */
};

bool kg_user_in_group(const struct kg_user *u, const char *group)
{
	for (unsigned i = 0; i < u->ngroups; i++)
		if (strcmp(u->groups[i], group) == 0)
			return true;
	return false;
}

int kg_user_set(struct kg_user *u, const char *name, struct kg_error *err)
{
	static const char node[] = "system:node:";
	size_t len = strlen(name);

	*u = (struct kg_user){0};
	if (len == 0 || len >= sizeof(u->name))
		return kg_fail(err, KG_E_UNAUTHORIZED, "a user's name has 1 to %zu characters",
			sizeof(u->name) - 1);
	memcpy(u->name, name, len + 1);
	if (strncmp(name, node, sizeof(node) - 1) == 0)
		memcpy(u->node, name + sizeof(node) - 1, len - (sizeof(node) - 1) + 1);
	return 0;
}

int kg_user_add_group(struct kg_user *u, const char *group, struct kg_error *err)
{
	size_t len = strlen(group);

	if (u->ngroups == KG_ARRAY_LEN(u->groups) || len >= sizeof(u->groups[0]))
		return kg_fail(err, KG_E_UNAUTHORIZED,
			"user \"%s\": at most %zu groups of up to %zu characters", u->name,
			KG_ARRAY_LEN(u->groups), sizeof(u->groups[0]) - 1);
	memcpy(u->groups[u->ngroups++], group, len + 1);
	return 0;
}

void kg_user_set_uid(struct kg_user *u, const char *uid)
{
	size_t len = strlen(uid);

	u->uid[0] = '\0';
	if (len < sizeof(u->uid))
		memcpy(u->uid, uid, len + 1);
	else
		kg_debug("user \"%s\": left out: a uid of %zu characters, above %zu", u->name, len,
			sizeof(u->uid) - 1);
}

void kg_user_add_extra(struct kg_user *u, const char *key, const char *value)
{
	size_t n = strlen(key) + 1, m = strlen(value) + 1;

	if (n + m > sizeof(u->extra) - u->extra_len) {
		kg_debug("user \"%s\": left out: an extra \"%.100s\": keys and values are longer "
			 "than %zu bytes",
			u->name, key, sizeof(u->extra));
		return;
	}
	memcpy(u->extra + u->extra_len, key, n);
	memcpy(u->extra + u->extra_len + n, value, m);
	u->extra_len += (unsigned)(n + m);
}

static struct kg_value extra_value(struct kg_arena *a, const struct kg_user *u)
{
	const char *end = u->extra + u->extra_len;
	struct kg_value out = kg_v_object(a, NULL, 0);

	for (const char *key = u->extra; key < end;) {
		const char *value = key + strlen(key) + 1;
		const struct kg_value *old = kg_get(&out, key);
		struct kg_value text = kg_v_str(a, value);
		struct kg_value all =
			kg_is_null(old) ? kg_v_array(a, &text, 1) : kg_with_item(a, old, text);

		out = kg_with_key(a, &out, kg_arena_strdup(a, key), all);
		key = value + strlen(value) + 1;
	}
	return out;
}

struct kg_value kg_user_value(struct kg_arena *a, const struct kg_user *u)
{
	struct kg_value groups[KG_ARRAY_LEN(u->groups)];

	for (unsigned i = 0; i < u->ngroups; i++)
		groups[i] = kg_v_str(a, u->groups[i]);
	return kg_v_obj(a, "username", kg_v_str(a, u->name), "uid",
		*u->uid ? kg_v_str(a, u->uid) : kg_v_null(), "groups",
		kg_v_array(a, groups, u->ngroups), "extra",
		u->extra_len ? extra_value(a, u) : kg_v_null(), (char *)NULL);
}

struct kg_auth *kg_auth_new(void)
{
	return kg_alloc(sizeof(struct kg_auth));
}

void kg_auth_free(struct kg_auth *auth)
{
	if (!auth)
		return;
	for (size_t i = 0; i < auth->nauthenticators; i++)
		if (auth->authenticators[i].authenticator->free)
			auth->authenticators[i].authenticator->free(auth->authenticators[i].self);
	for (size_t i = 0; i < auth->nauthorizers; i++)
		if (auth->authorizers[i].authorizer->free)
			auth->authorizers[i].authorizer->free(auth->authorizers[i].self);
	free(auth->authenticators);
	free(auth->authorizers);
	free(auth);
}

void kg_auth_add_authenticator(struct kg_auth *auth, const struct kg_authenticator *vt, void *self)
{
	KG_GROW(auth->authenticators, auth->cap_authenticators, auth->nauthenticators + 1);
	auth->authenticators[auth->nauthenticators++] =
		(struct link){.authenticator = vt, .self = self};
}

void kg_auth_add_authorizer(struct kg_auth *auth, const struct kg_authorizer *vt, void *self)
{
	KG_GROW(auth->authorizers, auth->cap_authorizers, auth->nauthorizers + 1);
	auth->authorizers[auth->nauthorizers++] = (struct link){.authorizer = vt, .self = self};
}

void kg_auth_add_rbac(struct kg_auth *auth, struct kg_hub *hub)
{
	auth->rbac = kg_rbac_new(hub);
	kg_auth_add_authorizer(auth, &kg_rbac_authorizer, auth->rbac);
}

struct kg_rbac *kg_auth_rbac(struct kg_auth *auth)
{
	return auth->rbac;
}

static int anonymous(struct kg_user *out, struct kg_error *err)
{
	int rc = kg_user_set(out, "system:anonymous", err);

	return rc ? rc : kg_user_add_group(out, "system:unauthenticated", err);
}

int kg_auth_authenticate(struct kg_auth *auth, struct kg_user *out, const struct kg_credentials *c,
	kg_time now, struct kg_error *err)
{
	for (size_t i = 0; i < auth->nauthenticators; i++) {
		const struct link *l = &auth->authenticators[i];
		struct kg_user u = {0};
		int rc = l->authenticator->authenticate(l->self, &u, c, now, err);
		if (rc < 0)
			return rc;
		if (rc == 0)
			continue;
		/* As in Kubernetes; a credential that brought sixteen groups keeps those. */
		if (!kg_user_in_group(&u, "system:authenticated") &&
			u.ngroups < KG_ARRAY_LEN(u.groups) &&
			(rc = kg_user_add_group(&u, "system:authenticated", err)) < 0)
			return rc;
		*out = u;
		return 0;
	}
	if (c->authorization)
		return kg_fail(err, KG_E_UNAUTHORIZED, "Unauthorized");
	return anonymous(out, err);
}

/* Kubernetes' words. */
static int forbid(const struct kg_user *u, const struct kg_attributes *a, const char *reason,
	struct kg_error *err)
{
	const char *colon = reason[0] ? ": " : "";
	char what[300], where[300] = "at the cluster scope";

	if (a->path)
		return kg_fail(err, KG_E_FORBIDDEN,
			"forbidden: User \"%s\" cannot %s path \"%s\"%s%s", u->name, a->verb,
			a->path, colon, reason);
	if (a->subresource && a->subresource[0])
		snprintf(what, sizeof(what), "%s/%s", a->resource, a->subresource);
	else
		snprintf(what, sizeof(what), "%s", a->resource);
	if (a->ns && a->ns[0])
		snprintf(where, sizeof(where), "in the namespace \"%s\"", a->ns);
	const char *group = a->group ? a->group : "";
	if (a->name && a->name[0])
		return kg_fail(err, KG_E_FORBIDDEN,
			"%s%s%s \"%s\" is forbidden: User \"%s\" cannot %s resource \"%s\" in API "
			"group \"%s\" %s%s%s",
			a->resource, group[0] ? "." : "", group, a->name, u->name, a->verb, what,
			group, where, colon, reason);
	return kg_fail(err, KG_E_FORBIDDEN,
		"%s%s%s is forbidden: User \"%s\" cannot %s resource \"%s\" in API group \"%s\" "
		"%s%s%s",
		a->resource, group[0] ? "." : "", group, u->name, a->verb, what, group, where,
		colon, reason);
}

int kg_auth_authorize(struct kg_auth *auth, const struct kg_user *u, const struct kg_attributes *a,
	struct kg_error *err)
{
	for (size_t i = 0; i < auth->nauthorizers; i++) {
		const struct link *l = &auth->authorizers[i];
		struct kg_error why = {0};
		int rc = l->authorizer->authorize(l->self, u, a, &why);
		if (rc > 0)
			return 0;
		if (rc < 0)
			return forbid(u, a, why.msg, err);
	}
	return forbid(u, a, "", err);
}

int kg_auth_reads_all(struct kg_auth *auth, const struct kg_user *u, struct kg_error *err)
{
	static const char *const verbs[] = {"get", "list", "watch"};
	struct kg_error why;

	for (size_t i = 0; i < KG_ARRAY_LEN(verbs); i++) {
		struct kg_attributes a = {.verb = verbs[i], .group = "*", .resource = "*"};
		if (kg_auth_authorize(auth, u, &a, &why) < 0)
			return kg_fail(err, KG_E_FORBIDDEN,
				"User \"%s\" cannot %s all resources of the cluster, which the "
				"repository holds",
				u->name, verbs[i]);
	}
	return 0;
}
