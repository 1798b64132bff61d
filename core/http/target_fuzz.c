/* Any target: refused, or a path and parameters within bounds and without what was to be refused.
 */
#include "base/mem.h"
#include "internal.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	KG_AUTOFREE char *raw = kg_strndup((const char *)data, size);
	struct kg_target t;
	struct kg_error err;

	if (kg_target_parse(&t, raw, &err))
		return 0;
	if (t.path[0] != '/' || strlen(t.path) > strlen(raw) || t.nparams > 64 ||
		strstr(t.path, "/../") || strstr(t.path, "/./"))
		abort();
	for (size_t i = 0; i < t.nparams; i++)
		if (strlen(t.params[i].name) + strlen(t.params[i].value) > strlen(raw))
			abort();
	kg_target_release(&t);
	return 0;
}
