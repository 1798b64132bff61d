/*
 * Records: how an object lies in the state tree, as small canonical YAML. Pure: bytes and values
 * in, bytes and values out; the store room knows the paths.
 *
 *   decided/RESOURCE/NS/.../NAME.yaml    every stored object: what the system decided
 *   observed/NODE/NS/.../NAME.yaml       the status that a node reported of a pod, or of itself
 *   templates/.../ID.yaml                pod templates, by the id of their content
 *
 * A decided record is
 *   revision: N                the commit that last changed this file
 *   source: {path: web.yaml, index: 0}    desired objects
 *   template: ID                          objects whose base is a template
 *   patch: {...}               RFC 7386 merge patch from the base to the object's value
 * where the base is the manifest's defaulted value, or the template's expansion, or {}, and
 * `status` is left out of the patch where it is observed. An observed record is
 *   revision: N
 *   status: {...}
 * The object's revision is the larger of the two.
 */
#ifndef KG_KINDS_RECORD_H
#define KG_KINDS_RECORD_H

#include "kinds/object.h"

/* Is the object's status kept in an observed record: a Pod that its node has said something of
 * (until then all of its status is decided), a Node. */
bool kg_record_is_observed(const struct kg_object *obj);
/* The node under which it is observed (borrowed), or NULL. */
const char *kg_record_node(const struct kg_object *obj);

/* The decided record of obj. `before` (may be NULL) is the version whose file exists with
 * revision before_decided; where the content but for the revision is the same the old revision
 * is kept, so that the file does not change: see kg_record_decided_equal. */
void kg_record_decided(struct kg_buf *out, const struct kg_object *obj, uint64_t revision);
void kg_record_observed(struct kg_buf *out, const struct kg_object *obj, uint64_t revision);
/* Would the record differ between two versions of an object (revision aside)? */
bool kg_record_decided_equal(const struct kg_object *a, const struct kg_object *b);
bool kg_record_observed_equal(const struct kg_object *a, const struct kg_object *b);

struct kg_record {
	uint64_t revision;
	const char *source; /* arena; NULL */
	unsigned source_index;
	const char *template_id; /* arena; "" */
	struct kg_value patch;   /* decided; null */
	struct kg_value status;  /* observed */
};
int kg_record_parse(struct kg_record *out, struct kg_arena *a, const char *text, size_t len,
	struct kg_error *err);
/* base: manifest value or template expansion (may be NULL); observed may be NULL. New reference. */
struct kg_object *kg_record_join(const struct kg_kind *kind, const char *ns, const char *name,
	struct kg_doc *base, const struct kg_record *decided, const struct kg_record *observed);

/*
 * Templates: a PodTemplateSpec, defaulted, under the id of its canonical YAML (20 hex digits of
 * its SHA-1). Expansions: of a ReplicaSet {spec:{template:T}}, of a Pod {metadata:{labels,
 * annotations}, spec: T.spec}, both with apiVersion and kind.
 */
void kg_template_id(char out[24], const struct kg_value *pod_template);
struct kg_doc *kg_template_expand(const struct kg_kind *kind, struct kg_doc *pod_template);
/* The PodTemplateSpec that an object's base was expanded from (obj->template_id is not ""). */
struct kg_value kg_template_of(struct kg_arena *a, const struct kg_object *obj);

#endif
