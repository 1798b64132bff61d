/* Docs from inside: for doc.c and common.c. */
#ifndef KG_VALUE_DOC_PRIVATE_H
#define KG_VALUE_DOC_PRIVATE_H

#include "value/value.h"

#include <stdatomic.h>

struct kg_doc {
	atomic_uint refs;
	uint32_t nheld : 31;
	uint32_t common : 1; /* in the table of common.c, which holds no reference */
	uint32_t size, hash; /* hash: the low bits of where it is in that table */
	union {
		struct kg_value value;
		struct kg_doc *dead; /* links what is about to be freed */
	};
	struct kg_doc *held[];
};

/* In the type of a collection: it is the value of one of the taken docs. */
enum { KG_TAKEN = 0x80 };
/* As kg_doc_new, of a value whose taken parts are marked. taken: their docs, in the order of
 * addresses, each once; these references become the new doc's. old: a doc that v is a change of,
 * which lends nothing of its own: what lies there need not be looked up. NULL: none. */
struct kg_doc *kg_doc_new_from(const struct kg_value *v, struct kg_doc *const *share, size_t nshare,
	struct kg_doc *const *taken, size_t ntaken, const struct kg_doc *old);

/* Takes a doc without references out of the table. */
void kg_common_forget(const struct kg_doc *doc);

#endif
