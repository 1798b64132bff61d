/* Between oci_spec.c and oci_mounts.c: a specification while it is made. */
#ifndef KG_NODEAGENT_OCI_PRIVATE_H
#define KG_NODEAGENT_OCI_PRIVATE_H

#include "nodeagent/caps.h"
#include "nodeagent/env.h"
#include "nodeagent/oci_spec.h"
#include "nodeagent/user.h"

struct kg_spec_list {
	struct kg_value items[128];
	size_t len;
};
struct kg_spec_build {
	struct kg_arena *a;
	const struct kg_spec_in *in;
	const struct kg_value *security; /* the container's */
	bool privileged;
	struct kg_env own; /* envFrom and env */
	struct kg_env env; /* with the image's */
	struct kg_user user;
	const char *caps[KG_CAPS_MAX];
	size_t ncaps;
};

/* What is more than there is room for is left out. */
static inline void kg_spec_push(struct kg_spec_list *l, struct kg_value v)
{
	if (l->len < KG_ARRAY_LEN(l->items))
		l->items[l->len++] = v;
}
struct kg_value kg_spec_strings(struct kg_arena *a, const char *const *s, size_t n); /* borrowed */
/* b->own, which the caller releases. */
int kg_spec_own_env(struct kg_spec_build *b, struct kg_error *err);
/* oci_mounts.c */
int kg_spec_mounts(struct kg_value *out, struct kg_spec_build *b, struct kg_error *err);
/* linux.rootfsPropagation, static; NULL: as it comes. */
const char *kg_spec_root_propagation(const struct kg_value *container);

#endif
