/* A line of names.h's text, as it goes into an answer. Pure. */
#ifndef KG_NODEAGENT_DNS_RECORD_H
#define KG_NODEAGENT_DNS_RECORD_H

#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define KG_RECORD_NAME 256 /* a name's longest text, with its last dot and NUL */
#define KG_RECORD_DATA 600

struct kg_record {
	char name[KG_RECORD_NAME]; /* absolute, in lower case */
	uint16_t type, len;
	uint8_t data[KG_RECORD_DATA]; /* as on the wire, no name shortened */
};
/* One line, without its end, of n bytes. */
int kg_record_parse(struct kg_record *out, const char *line, size_t n, const char *origin,
	struct kg_error *err);

/* A name of text on the wire; its length, -1: it is none. Absolute, at most 255 bytes. */
int kg_record_name(uint8_t out[256], const char *name);

#endif
