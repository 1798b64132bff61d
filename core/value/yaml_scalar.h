/* YAML 1.1's typing of plain scalars, as sigs.k8s.io/yaml (go-yaml v2) does it. */
#ifndef KG_VALUE_YAML_SCALAR_H
#define KG_VALUE_YAML_SCALAR_H

#include "value/value.h"

enum kg_yaml_number { KG_YAML_FINITE, KG_YAML_NOT_FINITE };

/* The value of n bytes at s (NUL-terminated) written plainly. A string shares s. Returns
 * KG_YAML_NOT_FINITE for infinities and not-a-number, which JSON cannot hold. */
enum kg_yaml_number kg_yaml_resolve(struct kg_value *out, const char *s, size_t n);

/* Whether some reader of YAML 1.1 or 1.2 would take this plain scalar for anything but a string. */
bool kg_yaml_ambiguous(const char *s, size_t n);

#endif
