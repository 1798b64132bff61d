/* The default authorisers: few and fixed, until roles are kinds of their own. */
#include "internal.h"

#include <string.h>

static int masters(
	void *self, const struct kg_user *u, const struct kg_attributes *a, struct kg_error *err)
{
	(void)self;
	(void)a;
	(void)err;
	return kg_user_in_group(u, "system:masters");
}

static const char *skip(const char *path, const char *prefix)
{
	size_t n = strlen(prefix);

	return path && strncmp(path, prefix, n) == 0 ? path + n : NULL;
}

/* path is `root` or lies below it. */
static bool is_under(const char *path, const char *root)
{
	const char *rest = skip(path, root);

	return rest && (*rest == '\0' || *rest == '/');
}

/* A node "a.git" could be taken for the view of a node "a". */
static bool is_node_name(const char *name)
{
	size_t n = strlen(name);

	return n > 0 && !strchr(name, '/') && (n < 4 || strcmp(name + n - 4, ".git") != 0);
}

/* A node: what lies below its own name, and nothing else of what nodes have. */
static int nodes(
	void *self, const struct kg_user *u, const struct kg_attributes *a, struct kg_error *err)
{
	(void)self;
	const char *rest = skip(a->path, "/kgit/v1/nodes/");
	if (!rest || !is_node_name(u->node) || !kg_user_in_group(u, "system:nodes"))
		return 0;
	const char *own = skip(rest, u->node);
	if (own && (*own == '/' || strncmp(own, ".git/", 5) == 0))
		return 1;
	return kg_fail(err, KG_E_FORBIDDEN, "a node may only ask for what is its own");
}

static int everybody(
	void *self, const struct kg_user *u, const struct kg_attributes *a, struct kg_error *err)
{
	static const char *const open[] = {"/healthz", "/livez", "/readyz", "/version"};
	static const char *const joining[] = {"/kgit/v1/ca", "/kgit/v1/join"};

	(void)self;
	(void)u;
	(void)err;
	if (!a->path)
		return 0;
	for (size_t i = 0; i < sizeof(open) / sizeof(open[0]); i++)
		if (is_under(a->path, open[i]))
			return strcmp(a->verb, "get") == 0;
	for (size_t i = 0; i < sizeof(joining) / sizeof(joining[0]); i++)
		if (strcmp(a->path, joining[i]) == 0)
			return 1;
	return 0;
}

static int discovery(
	void *self, const struct kg_user *u, const struct kg_attributes *a, struct kg_error *err)
{
	static const char *const roots[] = {"/api", "/apis", "/openapi"};

	(void)self;
	(void)err;
	if (!a->path || strcmp(a->verb, "get") != 0 || !kg_user_in_group(u, "system:authenticated"))
		return 0;
	for (size_t i = 0; i < sizeof(roots) / sizeof(roots[0]); i++)
		if (is_under(a->path, roots[i]))
			return 1;
	return 0;
}

void kg_auth_add_default_authorizers(struct kg_auth *auth)
{
	static const struct kg_authorizer table[] = {
		{.authorize = masters},
		{.authorize = nodes},
		{.authorize = everybody},
		{.authorize = discovery},
	};

	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++)
		kg_auth_add_authorizer(auth, &table[i], NULL);
}
