/* What the OpenAPI documents are made of. */
#ifndef KG_API_OPENAPI_H
#define KG_API_OPENAPI_H

#include "base/buf.h"
#include "kinds/kind.h"

void kg_api_write_openapi_v2(struct kg_buf *out); /* as protobuf */
/* Is there a schema of the kind, and is that of the group version; NULL: of any. */
bool kg_api_openapi_has(const struct kg_kind *k, const char *api_version);
/* The members of `paths`, and (each after a comma) the schemas that only they need, of a group
 * version or of all (NULL): openapi_paths.c. */
void kg_api_openapi_paths(struct kg_buf *out, const char *api_version, bool v2);
void kg_api_openapi_lists(struct kg_buf *out, const char *api_version);

#endif
