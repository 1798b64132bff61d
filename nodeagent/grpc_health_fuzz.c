/* Any bytes of a server's, in two pieces: a verdict, or waiting. */
#include "base/mem.h"
#include "nodeagent/grpc_health.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct kg_grpc_health *h = kg_grpc_health_new("10.0.0.1:1", "service", 1000);
	size_t first = size ? data[0] % size : 0;
	struct kg_buf out KG_AUTOBUF = KG_BUF_INIT;

	kg_grpc_health_step(h, NULL, 0, &out);
	if (size) {
		kg_grpc_health_step(h, data + 1, first, &out);
		enum kg_grpc_verdict v =
			kg_grpc_health_step(h, data + 1 + first, size - 1 - first, &out);
		size_t len = out.len;

		if (v != KG_GRPC_WAITS &&
			(kg_grpc_health_step(h, data, size, &out) != v || out.len != len))
			__builtin_trap();
	}
	kg_grpc_health_free(h);
	return 0;
}
