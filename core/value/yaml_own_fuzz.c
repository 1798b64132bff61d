/* Any bytes: what the quick reader takes, libyaml reads as the same. */
#include "value/yaml_own.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	KG_CLEANUP(kg_arena_release) struct kg_arena a = KG_ARENA_INIT;
	struct kg_value own, any;

	if (!kg_yaml_read_own(&own, &a, (const char *)data, size))
		return 0;
	if (kg_yaml_load_any(&any, &a, (const char *)data, size, NULL) < 0 || !kg_equal(&own, &any))
		abort();
	return 0;
}
