#include "nodeagent/nft_memory.h"
#include "base/buf.h"
#include "base/hash.h"
#include "base/mem.h"
#include "sys/file.h"

#include <string.h>
#include <unistd.h>

#define FORMAT   "kgit-nft-1"
#define MAX_SIZE (256 << 20)

/* As many bytes of head as of every file: "FORMAT GENERATION SIZE-OF-AN-ELEMENT SHA1\n". */
static void add_head(
	struct kg_buf *out, uint32_t generation, const void *elems, size_t size, size_t each)
{
	unsigned char sum[20];
	char hex[41];

	kg_sha1(sum, elems, size);
	kg_hex(hex, sum, sizeof(sum));
	kg_buf_addf(out, FORMAT " %08x %02zx %s\n", generation, each, hex);
}

int kg_nft_memory_save(const char *path, uint32_t generation, const struct kg_nft_elems *elems,
	struct kg_error *err)
{
	KG_AUTOBUF struct kg_buf text = KG_BUF_INIT;
	size_t size = elems->n * sizeof(*elems->items);

	if (size > MAX_SIZE / 2)
		return kg_fail(
			err, KG_E_TOO_LARGE, "%s: %zu elements are too many", path, elems->n);
	add_head(&text, generation, elems->items, size, sizeof(*elems->items));
	kg_buf_add(&text, elems->items, size);
	return kg_file_replace(path, text.data, text.len, 0600, err);
}

bool kg_nft_memory_take(struct kg_nft_elems *out, const char *path, uint32_t generation)
{
	KG_AUTOBUF struct kg_buf had = KG_BUF_INIT, head = KG_BUF_INIT;
	struct kg_error ignored; /* the kernel is asked */
	int rc = kg_file_read(&had, path, MAX_SIZE, &ignored);
	const char *end = rc == 0 ? memchr(had.data, '\n', had.len) : NULL;

	unlink(path); /* what comes now is not in it */
	if (!end)
		return false;
	const char *items = end + 1;
	size_t size = had.len - (size_t)(items - had.data);
	struct kg_nft_elems elems = {.n = size / sizeof(*elems.items)};
	add_head(&head, generation, items, size, sizeof(*elems.items));
	if (elems.n * sizeof(*elems.items) != size || head.len != (size_t)(items - had.data) ||
		memcmp(head.data, had.data, head.len) != 0)
		return false;
	elems.items = kg_memdup(items, size);
	kg_nft_elems_copy(out, &elems);
	kg_nft_elems_release(&elems);
	return true;
}
