/* Protobuf bodies: any bytes are an answer or an error. */
#include "api/proto.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const reviews[] = {"selfsubjectaccessreviews", "selfsubjectrulesreviews",
		"localsubjectaccessreviews", "tokenreviews", "token"};
	struct kg_arena a = KG_ARENA_INIT;
	struct kg_value spec;
	struct kg_error err;

	for (size_t i = 0; i < KG_ARRAY_LEN(reviews); i++)
		kg_proto_review_spec(&spec, &a, reviews[i], data, size, &err);
	kg_proto_object_name(&a, data, size);
	kg_arena_release(&a);
	return 0;
}
