/* meta/v1: what all kinds share. */
#include "kinds/tables.h"

static const char *const selector_operators[] = {"In", "NotIn", "Exists", "DoesNotExist", NULL};

static const struct kg_field owner_reference_fields[] = {
	F_STR("apiVersion", KG_FF_REQUIRED, "API version of the owner."),
	F_STR("kind", KG_FF_REQUIRED, "Kind of the owner."),
	F_STR("name", KG_FF_REQUIRED, "Name of the owner."),
	F_STR("uid", 0, "UID of the owner; kgit fills it in where it is left out."),
	F_BOOL("controller", 0, "Whether the owner is the one that manages the object."),
	F_BOOL("blockOwnerDeletion", 0, "Whether the owner's deletion waits for the object."),
	F_END,
};
static void validate_owner_reference(
	struct kg_fault_list *f, const struct kg_value *v, const char *path)
{
	const char *api = kg_string(kg_get(v, "apiVersion"), NULL);
	const char *kind = kg_string(kg_get(v, "kind"), NULL);
	const struct kg_kind *k = api && kind ? kg_kind_by_api(api, kind) : NULL;

	if (kg_bool(kg_get(v, "controller"), false))
		kg_rule(f, path, "controller",
			"Forbidden: what a controller manages it makes itself: scaled away, the "
			"object would stand in main still");
	if (api && kind && !k)
		kg_rule(f, path, "kind", "Invalid value: \"%s\": there is no such kind in %s", kind,
			api);
	else if (k && !(k->flags & KG_KF_MANIFEST))
		kg_rule(f, path, "kind",
			"Invalid value: \"%s\": %s is disallowed from being an owner", kind, kind);
}

static const struct kg_schema owner_reference = {
	.name = "io.k8s.apimachinery.pkg.apis.meta.v1.OwnerReference",
	.doc = "What the object belongs to; it is deleted with it.",
	.fields = owner_reference_fields,
	.validate = validate_owner_reference,
};

static void validate_object_meta(
	struct kg_fault_list *f, const struct kg_value *v, const char *path)
{
	const struct kg_value *list = kg_get(v, "finalizers");
	bool orphan = false, foreground = false;

	for (uint32_t i = 0; i < kg_len(list); i++) {
		orphan |= !strcmp(kg_string(&list->items[i], ""), "orphan");
		foreground |= !strcmp(kg_string(&list->items[i], ""), "foregroundDeletion");
	}
	if (orphan && foreground)
		kg_rule(f, path, "finalizers",
			"Invalid value: %s: finalizer orphan and foregroundDeletion cannot be both "
			"set",
			kg_rule_show(f->arena, list));
}

#define META_NAMES                                                                                 \
	F_STR("name", 0, "The object's name, unique among its kind in its namespace."),            \
		F_STR("namespace", 0,                                                              \
			"The namespace the object lies in; \"default\" where none is given.",      \
			.check = kg_check_dns_label),                                              \
		F_STR("generateName", 0,                                                           \
			"A prefix of a generated name; files need names of their own.")
#define META_NOTES                                                                                 \
	F_ROW("labels", KG_F_STRING, KG_FF_MAP, "Keys and values by which objects are selected.",  \
		.check = kg_check_label_value, .check_key = kg_check_label_key),                   \
		F_ROW("annotations", KG_F_STRING, KG_FF_MAP,                                       \
			"Keys and values that nothing selects by.",                                \
			.check_key = kg_check_label_key)
#define META_SYSTEM                                                                                \
	F_STR("uid", KG_FF_STATUS, "The object's identity: another one for each birth."),          \
		F_STR("resourceVersion", KG_FF_STATUS,                                             \
			"The revision that last changed the object."),                             \
		F_INT("generation", KG_FF_STATUS, "Grows each time the spec changes."),            \
		F_TIME("creationTimestamp", KG_FF_STATUS, "When the object was made."),            \
		F_TIME("deletionTimestamp", KG_FF_STATUS, "When the object is to be gone."),       \
		F_INT("deletionGracePeriodSeconds", KG_FF_STATUS,                                  \
			"How long it has to stop, in seconds."),                                   \
		F_STR("selfLink", KG_FF_STATUS, "Not used any more."),                             \
		F_ROW("managedFields", KG_F_ANY, KG_FF_LIST | KG_FF_STATUS,                        \
			"Who manages which field; not kept.")

static const struct kg_field object_meta_fields[] = {
	META_NAMES,
	META_NOTES,
	F_ROW("ownerReferences", KG_F_OBJECT, KG_FF_LIST,
		"What the object belongs to: main may not lose that and keep the object.",
		.schema = &owner_reference, .merge_key = "uid"),
	F_ROW("finalizers", KG_F_STRING, KG_FF_LIST,
		"What must be done before the object goes: it stays until main names none.",
		.check = kg_check_finalizer),
	META_SYSTEM,
	F_END,
};
const struct kg_schema kg_schema_object_meta = {
	.name = "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta",
	.doc = "What all objects have: name, namespace, labels, annotations.",
	.fields = object_meta_fields,
	.validate = validate_object_meta,
};

/* Of templates: what is made of them belongs to its maker, and goes with it. */
static const char only_maker[] = "what is made of a template belongs to its controller, and "
				 "nothing else could let go of it";
static const struct kg_field template_meta_fields[] = {
	META_NAMES,
	META_NOTES,
	F_ROW("ownerReferences", KG_F_OBJECT, KG_FF_LIST | KG_FF_UNSUPPORTED,
		"What the object belongs to; set by controllers.", .schema = &owner_reference,
		.merge_key = "uid", .why = only_maker),
	F_NOWHY("finalizers", KG_F_STRING, KG_FF_LIST, "What must be done before the object goes.",
		only_maker),
	META_SYSTEM,
	F_END,
};
const struct kg_schema kg_schema_template_meta = {
	.name = "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta",
	.doc = "What all objects have: name, namespace, labels, annotations.",
	.fields = template_meta_fields,
};

static const char by_volume[] = "the claim is named after the pod and its volume, and lies in the "
				"pod's namespace";
static const struct kg_field own_claim_meta_fields[] = {
	F_NOWHY("name", KG_F_STRING, 0, "The object's name.", by_volume),
	F_NOWHY("namespace", KG_F_STRING, 0, "The namespace the object lies in.", by_volume),
	F_NOWHY("generateName", KG_F_STRING, 0, "A prefix of a generated name.", by_volume),
	META_NOTES,
	F_NOWHY("ownerReferences", KG_F_ANY, KG_FF_LIST, "What the object belongs to.",
		"the claim belongs to the pod"),
	F_NOWHY("finalizers", KG_F_STRING, KG_FF_LIST, "What must be done before the object goes.",
		"the claim goes with the pod"),
	META_SYSTEM,
	F_END,
};
const struct kg_schema kg_schema_own_claim_meta = {
	.name = "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta",
	.doc = "What all objects have: name, namespace, labels, annotations.",
	.fields = own_claim_meta_fields,
};

static void validate_requirement(
	struct kg_fault_list *f, const struct kg_value *v, const char *path)
{
	const char *op = kg_string(kg_get(v, "operator"), "");
	bool takes = !strcmp(op, "In") || !strcmp(op, "NotIn");
	bool none = !strcmp(op, "Exists") || !strcmp(op, "DoesNotExist");
	uint32_t n = kg_len(kg_get(v, "values"));

	if (takes && !n)
		kg_rule(f, path, "values",
			"Required value: must be specified when `operator` is 'In' or 'NotIn'");
	else if (none && n)
		kg_rule(f, path, "values",
			"Forbidden: may not be specified when `operator` is 'Exists' or "
			"'DoesNotExist'");
}

static const struct kg_field requirement_fields[] = {
	F_STR("key", KG_FF_REQUIRED, "The label that is looked at.", .check = kg_check_label_key),
	F_STR("operator", KG_FF_REQUIRED, "In, NotIn, Exists or DoesNotExist.",
		.values = selector_operators),
	F_ROW("values", KG_F_STRING, KG_FF_LIST, "The values for In and NotIn.",
		.check = kg_check_label_value),
	F_END,
};
static const struct kg_schema requirement = {
	.name = "io.k8s.apimachinery.pkg.apis.meta.v1.LabelSelectorRequirement",
	.doc = "One condition of a label selector.",
	.fields = requirement_fields,
	.validate = validate_requirement,
};

static const struct kg_field label_selector_fields[] = {
	F_ROW("matchLabels", KG_F_STRING, KG_FF_MAP, "Labels that must have these values.",
		.check = kg_check_label_value, .check_key = kg_check_label_key),
	F_ROW("matchExpressions", KG_F_OBJECT, KG_FF_LIST, "Conditions that must all hold.",
		.schema = &requirement),
	F_END,
};
const struct kg_schema kg_schema_label_selector = {
	.name = "io.k8s.apimachinery.pkg.apis.meta.v1.LabelSelector",
	.doc = "Selects objects by their labels; all of its conditions must hold.",
	.fields = label_selector_fields,
};

static const struct kg_field condition_fields[] = {
	F_STR("type", KG_FF_REQUIRED, "What it is about, in one word."),
	F_STR("status", KG_FF_REQUIRED, "True, False or Unknown."),
	F_INT("observedGeneration", 0, "The generation it is about."),
	F_STR("reason", KG_FF_REQUIRED, "Why, in one word."),
	F_STR("message", KG_FF_REQUIRED, "Why, for people."),
	F_TIME("lastTransitionTime", KG_FF_REQUIRED, "When it last changed."),
	F_END,
};
const struct kg_schema kg_schema_condition = {
	.name = "io.k8s.apimachinery.pkg.apis.meta.v1.Condition",
	.doc = "Something that is or is not true of an object.",
	.fields = condition_fields,
};
