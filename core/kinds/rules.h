/*
 * What the tables' own rules (cross-field defaults and checks) are written with. Private to the
 * room. Every rule is given a decoded, defaulted value; what could not be decoded is absent from
 * it and already reported, so rules take absence as "nothing to say".
 */
#ifndef KG_KINDS_RULES_H
#define KG_KINDS_RULES_H

#include "kinds/schema.h"

#include <string.h>

/* As kg_fault_add at a path below `path`: kg_rule(faults, path, "ports[2].name", "..."). */
void kg_rule(struct kg_fault_list *f, const char *path, const char *sub, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));
/* As kg_rule, but it does not refuse. */
void kg_rule_warn(struct kg_fault_list *f, const char *path, const char *sub, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));
/* "a.b" + "c[1]", either may be ""; lies in f's arena. */
const char *kg_rule_path(struct kg_fault_list *f, const char *path, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
/* Was something written at this path, usable or not? */
bool kg_rule_written(const struct kg_fault_list *f, const char *path);
/* How many items or members, whatever became of them. */
uint32_t kg_rule_written_items(const struct kg_fault_list *f, const char *path);
/* Runs a check on a string and adds "Invalid value" where it says something. */
void kg_rule_check(struct kg_fault_list *f, kg_check_fn *check, const struct kg_value *v,
	const char *path, const char *sub);
/* Fault for a second item with the same key (see struct kg_field.merge_key). */
void kg_rule_unique(struct kg_fault_list *f, const struct kg_value *list, const char *key,
	const char *path, bool repeats_allowed);
/* An object's name (required, of the kind's own syntax), no generateName, annotations' size. */
void kg_rule_object_meta(struct kg_fault_list *f, const struct kg_value *object, const char *path,
	kg_check_fn *name_check);
/* A selector against the labels of the template that it must select. */
void kg_rule_selects_template(
	struct kg_fault_list *f, const struct kg_value *spec, const char *path, const char *kind);

/* And what the template of pods that are kept running must say; lower as in "statefulset", kind as
 * in "StatefulSet". */
void kg_rule_workload_template(struct kg_fault_list *f, const struct kg_value *spec,
	const char *path, const char *lower, const char *kind);
/* Do a pod's containers mount only volumes that it has, or that these claim templates make? */
void kg_rule_mounts(struct kg_fault_list *f, const struct kg_value *pod_spec,
	const struct kg_value *claims, const char *path);
/* accessModes of a claim's or a volume's spec: some, and ReadWriteOncePod alone. */
void kg_rule_access_modes(struct kg_fault_list *f, const struct kg_value *spec, const char *path);
/* A count or percentage: its number; *percent says which it is. */
int64_t kg_rule_amount(const struct kg_value *v, bool *percent);
/* A fault where a percentage is more than 100. */
void kg_rule_at_most_all(
	struct kg_fault_list *f, const struct kg_value *v, const char *path, const char *sub);
/* "Invalid value: 3: MSG" at a field of v, where the field is there. */
void kg_rule_invalid(struct kg_fault_list *f, const struct kg_value *v, const char *path,
	const char *field, const char *msg);
/* A fault for each immutable field of two objects that differs, in the words of KG_FF_IMMUTABLE. */
void kg_rule_immutable(struct kg_fault_list *f, const struct kg_value *before,
	const struct kg_value *after, const char *path, const char *field);
/* The same of a large one: said of the part that alone differs. */
void kg_rule_immutable_part(struct kg_fault_list *f, const struct kg_value *before,
	const struct kg_value *after, const char *path, const char *field);

/* Faults where `immutable` was true and one of these fields (NULL-terminated) changes. */
void kg_rule_sealed(struct kg_fault_list *f, const struct kg_value *before,
	const struct kg_value *after, const char *path, const char *const *fields);

/* rules_annotations.c: of a Pod or a template; of a claim, or a volume; of a StorageClass. */
void kg_rule_pod_annotations(struct kg_fault_list *f, const struct kg_value *v, const char *path);
void kg_rule_class_annotations(struct kg_fault_list *f, const struct kg_value *v, const char *path);
void kg_rule_default_annotation(
	struct kg_fault_list *f, const struct kg_value *v, const char *path);

/* Is this string one of a NULL-terminated list? */
bool kg_rule_one_of(const char *s, const char *const *values);
bool kg_rule_is_huge_pages(const char *resource); /* of some size */
/* "\"A\", \"B\"" in the arena: for messages. */
const char *kg_rule_values(struct kg_arena *a, const char *const *values);
/* The value as it is shown in a message: quoted and cut where long. */
const char *kg_rule_show(struct kg_arena *a, const struct kg_value *v);
/* The nearest of n names to a misspelt one, or NULL. */
struct kg_suggest {
	const char *word, *best;
	unsigned distance;
};
void kg_suggest_init(struct kg_suggest *s, const char *word);
void kg_suggest_offer(struct kg_suggest *s, const char *candidate);
/* ", did you mean "x"?" in the arena, or "". */
const char *kg_suggest_text(struct kg_arena *a, const struct kg_suggest *s);
/* The canonical text of a quantity, as Kubernetes writes it back ("1000m" -> "1", "1024Mi" ->
 * "1Gi", "0.5" -> "500m"); NULL where it is malformed. In the arena. */
const char *kg_quantity_canonical(struct kg_arena *a, const char *text);

#endif
