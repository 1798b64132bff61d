/* kgit-node image import | list */
#include "nodeagent/image.h"
#include "base/buf.h"
#include "base/mem.h"
#include "node.h"
#include "sys/file.h"
#include "value/json.h"

#include <stdio.h>
#include <string.h>

static int import(const struct kgn_options *o)
{
	const char *source = o->args[2], *ref = source ? o->args[3] : NULL;
	struct kg_error err;

	if (!source || (ref && o->args[4]))
		return 1 + kgn_fail("image import takes SOURCE [NAME]; kgit-node --help says more");
	if (kg_image_import(o->state, source, ref, &err) < 0)
		return kgn_fail("%s", err.msg);
	return 0;
}

static int list(const struct kgn_options *o)
{
	struct kg_arena arena KG_CLEANUP(kg_arena_release) = KG_ARENA_INIT;
	KG_AUTOFREE char *path = kg_asprintf("%s/images/refs.json", o->state);
	KG_AUTOBUF struct kg_buf text = KG_BUF_INIT;
	struct kg_value refs;
	struct kg_error err;
	int rc = kg_file_read(&text, path, (size_t)64 << 20, &err);

	if (rc == -KG_E_NOT_FOUND)
		return 0;
	if (rc == 0)
		rc = kg_json_parse(&refs, &arena, kg_buf_str(&text), text.len, &err);
	if (rc < 0)
		return kgn_fail("%s", err.msg);
	for (uint32_t i = 0; refs.type == KG_OBJECT && i < refs.len; i++)
		printf("%s\t%s\n", refs.members[i].key,
			kg_string(kg_get(&refs.members[i].value, "digest"), ""));
	return 0;
}

int kgn_image(const struct kgn_options *o)
{
	if (o->args[1] && strcmp(o->args[1], "import") == 0)
		return import(o);
	if (o->args[1] && strcmp(o->args[1], "list") == 0 && !o->args[2])
		return list(o);
	return 1 + kgn_fail("expected image import or image list; kgit-node --help says more");
}
