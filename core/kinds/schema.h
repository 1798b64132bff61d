/*
 * Schema tables: one per type of the Kubernetes API, the single source for parsing, defaults,
 * validation with positions, unknown-field errors, immutable fields, merge keys, OpenAPI and
 * field documentation. A table is static const data; nothing here allocates but into arenas.
 *
 * Adding a kind is adding its tables and one struct kg_kind to kinds.c.
 */
#ifndef KG_KINDS_SCHEMA_H
#define KG_KINDS_SCHEMA_H

#include "value/value.h"
#include "value/yaml.h"

enum kg_field_type {
	KG_F_STRING,
	KG_F_INT, /* int32 or int64, bounded by min/max */
	KG_F_BOOL,
	KG_F_QUANTITY, /* string or number; kept as its canonical string */
	KG_F_INT_OR_STRING,
	KG_F_TIME,   /* RFC 3339 */
	KG_F_BYTES,  /* base64 */
	KG_F_OBJECT, /* of `type` */
	KG_F_ANY,    /* any value, taken as it is */
};

enum kg_field_flags {
	KG_FF_REQUIRED = 1 << 0,
	KG_FF_LIST = 1 << 1,      /* an array of the type */
	KG_FF_MAP = 1 << 2,       /* an object from any key to the type */
	KG_FF_IMMUTABLE = 1 << 3, /* may not change once the object exists */
	KG_FF_STATUS = 1 << 4, /* the system's: accepted in manifests (exports hold it), ignored */
	/* Known to Kubernetes, without effect in kgit yet: refused with that as the reason, since
	 * ignoring it would not be what was asked for. */
	KG_FF_UNSUPPORTED = 1 << 5,
	KG_FF_NONEMPTY = 1 << 6, /* a list, map or string that may not be empty */
	KG_FF_REPEATS = 1 << 7,  /* items equal by merge_key are a warning, not an error */
	KG_FF_SECRET = 1 << 8,   /* of a kind itself: no fault, log or diff shows what lies in it */
};

struct kg_schema;
struct kg_fault_list;

/* Says what is wrong with one value, or NULL: text like "must be a DNS label (a-z, 0-9, '-')...";
 * the text is static or from the arena. */
typedef const char *kg_check_fn(struct kg_arena *a, const struct kg_value *v);

struct kg_field {
	const char *name;
	enum kg_field_type type;
	unsigned flags;
	const struct kg_schema *schema; /* KG_F_OBJECT */
	const char *dflt;               /* default as JSON text, applied when absent; or NULL */
	const char *const *values;      /* allowed strings, NULL-terminated; or NULL */
	kg_check_fn *check;             /* or NULL; for LIST and MAP called for each item */
	kg_check_fn *check_key;         /* MAP: for each key; or NULL */
	const char *merge_key; /* LIST of objects: items are unique by this field; or NULL */
	int64_t min, max;      /* KG_F_INT, where max > min */
	const char *doc;       /* one line, for `kubectl explain` and errors */
	const char *why;       /* KG_FF_UNSUPPORTED: instead of "not yet", the reason; or NULL */
};

/* Cross-field rules and defaults of a type. */
typedef struct kg_value kg_default_fn(struct kg_arena *a, const struct kg_value *v);
typedef void kg_validate_fn(
	struct kg_fault_list *faults, const struct kg_value *v, const char *path);

/* Faults of a change that the fields' KG_FF_IMMUTABLE cannot express. */
typedef void kg_update_fn(struct kg_fault_list *faults, const struct kg_value *before,
	const struct kg_value *after, const char *path);

struct kg_schema {
	const char *name; /* "io.k8s.api.core.v1.Container" */
	const char *doc;
	const struct kg_field *fields; /* ends with a NULL name */
	kg_default_fn *defaults;       /* after the fields' own defaults; or NULL */
	kg_validate_fn *validate;      /* after the fields' own checks; or NULL */
	kg_update_fn *update;          /* by kg_schema_check_update; or NULL */
};

/* One fault of a manifest. path:line:column: field: what is wrong. */
struct kg_fault {
	const char *file; /* path in the repository, "" where there is none */
	uint32_t line, col;
	const char *field; /* "spec.template.spec.containers[0].image", or "" */
	const char *msg;
	bool warning; /* does not refuse */
};
struct kg_fault_list {
	struct kg_arena *arena; /* owns every text */
	struct kg_fault *items; /* heap */
	size_t len, cap;
	size_t limit; /* further faults are counted only; default 1000 where 0 */
	size_t dropped;
	const char *file; /* of the faults added now */
	const struct kg_yaml_node
		*root; /* of the document being checked: gives positions by path */
};
void kg_faults_init(struct kg_fault_list *f, struct kg_arena *a);
void kg_faults_release(struct kg_fault_list *f);
/* Adds a fault at a field path; its position is looked up in f->root (the nearest ancestor that
 * was written). */
void kg_fault_add(struct kg_fault_list *f, const char *path, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
void kg_fault_add_at(struct kg_fault_list *f, uint32_t line, uint32_t col, const char *path,
	const char *fmt, ...) __attribute__((format(printf, 5, 6)));
/* The fault that was just added, when there were `at` of them, only warns. One that was but
 * counted, since the list is full, is forgotten. */
void kg_fault_warn_at(struct kg_fault_list *f, size_t at);
size_t kg_faults_errors(const struct kg_fault_list *f); /* how many refuse */
/* "web.yaml:12:7: spec.replicas: expected an integer, got the string "three"". */
void kg_fault_format(struct kg_buf *out, const struct kg_fault *fault);

/* A parsed document as a value of the schema: types checked, unknown fields refused (with the
 * nearest known name suggested), defaults applied, rules checked. Faults are added; the value is
 * complete when none were. */
struct kg_value kg_schema_decode(const struct kg_schema *s, const struct kg_yaml_node *node,
	struct kg_arena *a, struct kg_fault_list *faults);
/* NULL where every field that the schema has is of its type, so that items and members may be
 * relied upon, and clients can read it; else the field's name (static). No rule is applied, and
 * other fields pass: it is for what a program reports, which may be newer than we are. known: what
 * has that shape (of the same schema), whose parts are not looked at again where v shares their
 * memory; or &kg_null. */
const char *kg_schema_shape(
	const struct kg_schema *s, const struct kg_value *v, const struct kg_value *known);
/* Faults for every KG_FF_IMMUTABLE field that differs, and of the types' own update rules. Both
 * are defaulted manifests' values; path is where they lie ("" for whole objects). */
void kg_schema_check_update(const struct kg_schema *s, const struct kg_value *before,
	const struct kg_value *after, const char *path, struct kg_fault_list *faults);

/* Checks used by tables and elsewhere. */
kg_check_fn kg_check_dns_label, kg_check_dns_subdomain, kg_check_dns1035_label, kg_check_label_key,
	kg_check_label_value, kg_check_env_name, kg_check_abs_path, kg_check_ip, kg_check_port_name,
	kg_check_config_key, kg_check_finalizer, kg_check_quantity, kg_check_image,
	kg_check_percent_or_int;

#endif
