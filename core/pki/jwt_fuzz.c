/* Tokens and key sets: any bytes are an answer or an error. */
#include "base/mem.h"
#include "jwt.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The key set and the token, a line break between them. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct kg_arena a KG_CLEANUP(kg_arena_release) = KG_ARENA_INIT;
	char *text KG_AUTOFREE = kg_strndup((const char *)data, size);
	char *token = strchr(text, '\n');
	struct kg_jwks *set = kg_jwks_new();
	struct kg_value claims;
	struct kg_error err;

	if (token)
		*token++ = '\0';
	kg_jwks_read(set, text, strlen(text), &err);
	if (token) {
		kg_jwt_peek(&claims, &a, token, &err);
		kg_jwt_verify(&claims, &a, set, token, &err);
	}
	kg_jwks_free(set);
	return 0;
}
