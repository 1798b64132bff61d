/* A container's environment, from its image, ConfigMaps, Secrets, the pod's own fields and literal
 * values. Pure; all memory is the arena's. */
#ifndef KG_NODEAGENT_ENV_H
#define KG_NODEAGENT_ENV_H

#include "base/map.h"
#include "value/value.h"

struct kg_env_var {
	const char *name, *value;
};
struct kg_env {
	struct kg_env_var *vars; /* heap; unique names, in order of first mention */
	size_t len, cap;
	struct kg_map places; /* by name: its place in vars, from 1 */
};
void kg_env_release(struct kg_env *env);
/* Texts are borrowed. A name that is there gets the new value. */
void kg_env_set(struct kg_env *env, const char *name, const char *value);
const char *kg_env_get(const struct kg_env *env, const char *name); /* NULL */

struct kg_env_source {
	const struct kg_value *pod; /* with podIP and hostIP at its top level */
	const struct kg_value *container;
	const struct kg_value *configmaps; /* array of ConfigMap and Secret objects */
	const char *node_name;
};
/*
 * envFrom and env of the container. KG_E_NOT_FOUND where an object or key that is not optional is
 * missing: the container cannot be created until it is there.
 */
int kg_env_of_container(struct kg_env *env, struct kg_arena *a, const struct kg_env_source *src,
	struct kg_error *err);
/* $(NAME) becomes the variable's value, $$ a dollar sign; an unknown name stays as written. */
const char *kg_env_expand(struct kg_arena *a, const char *text, const struct kg_env *env);
/* As that; *missing is the first unknown name, where there is one. */
const char *kg_env_expand_all(
	struct kg_arena *a, const char *text, const struct kg_env *env, const char **missing);

/* The text of one fieldRef; of one resourceFieldRef (of src->container where it names none). */
int kg_env_field(const char **out, struct kg_arena *a, const struct kg_env_source *src,
	const char *path, struct kg_error *err);
int kg_env_resource(const char **out, struct kg_arena *a, const struct kg_env_source *src,
	const struct kg_value *ref, struct kg_error *err);

/* One of the array's objects ("ConfigMap", "Secret"; one that says no kind is a ConfigMap; one of
 * the namespace "" is in each of them); kg_null. */
const struct kg_value *kg_named_object(
	const struct kg_value *objects, const char *kind, const char *ns, const char *name);

#endif
