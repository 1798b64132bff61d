#include "sys/zone.h"

#include "base/mem.h"

#include <stdio.h>
#include <string.h>

/* Every zone's file is a few KB. */
enum { FILE_MAX = 256 * 1024 };

static bool is_name(const char *name)
{
	static const char letters[] =
		"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_+-/";

	return *name && *name != '/' && name[strspn(name, letters)] == 0;
}

/* What stands between the last two newlines. */
static bool footer(char *rule, const char *data, size_t len)
{
	if (len < 2 || memcmp(data, "TZif", len < 4 ? len : 4) != 0 || data[len - 1] != '\n')
		return false;
	size_t end = len - 1, start = end;
	while (start > 0 && data[start - 1] != '\n')
		start--;
	if (start == 0 || start == end || end - start >= KG_ZONE_RULE_MAX ||
		memchr(data + start, 0, end - start))
		return false;
	memcpy(rule, data + start, end - start);
	rule[end - start] = 0;
	return true;
}

bool kg_zone_rule(void *ctx, const char *name, char rule[KG_ZONE_RULE_MAX])
{
	const char *dir = getenv("TZDIR");

	(void)ctx;
	if (!is_name(name))
		return false;
	KG_AUTOFREE char *path =
		kg_asprintf("%s/%s", dir && *dir ? dir : "/usr/share/zoneinfo", name);
	FILE *f = fopen(path, "rbe");
	if (!f)
		return false;
	KG_AUTOFREE char *data = kg_alloc(FILE_MAX);
	size_t len = fread(data, 1, FILE_MAX, f);
	fclose(f);
	return footer(rule, data, len);
}
