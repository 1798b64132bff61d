#include "store/shallow.h"

#include "base/buf.h"
#include "base/hash.h"
#include "base/mem.h"
#include "sys/file.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAX_BYTES (64u << 20)

void kg_shallow_release(struct kg_shallow *s)
{
	free(s->ids);
	*s = (struct kg_shallow){0};
}

bool kg_shallow_has(const struct kg_shallow *s, const unsigned char id[20])
{
	for (size_t i = 0; i < s->n; i++)
		if (memcmp(s->ids[i], id, 20) == 0)
			return true;
	return false;
}

void kg_shallow_add(struct kg_shallow *s, const unsigned char id[20])
{
	if (kg_shallow_has(s, id))
		return;
	KG_GROW(s->ids, s->cap, s->n + 1);
	memcpy(s->ids[s->n++], id, 20);
}

void kg_shallow_remove(struct kg_shallow *s, const unsigned char id[20])
{
	for (size_t i = 0; i < s->n; i++) {
		if (memcmp(s->ids[i], id, 20) != 0)
			continue;
		/* `id` may be this one itself. */
		memmove(s->ids[i], s->ids[--s->n], 20);
		return;
	}
}

static int parse(struct kg_shallow *s, const char *text, const char *path, struct kg_error *err)
{
	while (*text) {
		const char *end = strchrnul(text, '\n');
		unsigned char id[20];
		char hex[41];

		if (end - text != 40)
			return kg_fail(err, KG_E_CORRUPT, "%s has a line that is not an id", path);
		memcpy(hex, text, 40);
		hex[40] = '\0';
		if (kg_unhex(id, 20, hex) < 0)
			return kg_fail(err, KG_E_CORRUPT, "%s has a line that is not an id", path);
		kg_shallow_add(s, id);
		text = *end ? end + 1 : end;
	}
	return 0;
}

int kg_shallow_read(struct kg_shallow *out, const char *dir, struct kg_error *err)
{
	char *path KG_AUTOFREE = kg_asprintf("%s/shallow", dir);
	struct kg_buf text KG_AUTOBUF = KG_BUF_INIT;
	struct kg_shallow s = {0};
	struct stat st;

	if (stat(path, &st) < 0) {
		if (errno != ENOENT)
			return kg_fail_errno(err, "%s", path);
		*out = s;
		return 0;
	}
	s.since = st.st_mtime;
	int rc = kg_file_read(&text, path, MAX_BYTES, err);
	if (rc == 0)
		rc = parse(&s, kg_buf_str(&text), path, err);
	if (rc < 0)
		kg_shallow_release(&s);
	else
		*out = s;
	return rc;
}

int kg_shallow_write(const char *dir, const struct kg_shallow *s, struct kg_error *err)
{
	char *path KG_AUTOFREE = kg_asprintf("%s/shallow", dir);
	struct kg_buf text KG_AUTOBUF = KG_BUF_INIT;

	for (size_t i = 0; i < s->n; i++) {
		char hex[41];

		kg_hex(hex, s->ids[i], 20);
		kg_buf_addf(&text, "%s\n", hex);
	}
	/* An empty file is none to git. */
	return kg_file_write(path, kg_buf_str(&text), text.len, 0644, err);
}
