#include "base/mem.h"
#include "nodeagent/image.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <stdio.h>
#include <string.h>

/* The length of the registry's part, or 0 where the reference begins with a path. */
static size_t domain_len(const char *ref)
{
	size_t n = strcspn(ref, "/");
	if (!ref[n])
		return 0;
	if (memchr(ref, '.', n) || memchr(ref, ':', n) || (n == 9 && !strncmp(ref, "localhost", 9)))
		return n;
	return 0;
}

static bool valid_chars(const char *s)
{
	for (; *s; s++)
		if (!isalnum((unsigned char)*s) && !strchr("._-/:@[]", *s))
			return false;
	return true;
}

static bool has_tag_or_digest(const char *ref)
{
	const char *slash = strrchr(ref, '/');
	return strchr(ref, '@') || strchr(slash ? slash : ref, ':');
}

char *kg_image_normalize(const char *ref, struct kg_error *err)
{
	size_t n = strlen(ref), domain = domain_len(ref);
	if (n == 0 || n > 512 || !valid_chars(ref) || *ref == '-' || *ref == '/' ||
		ref[n - 1] == '/' || ref[n - 1] == ':' || ref[n - 1] == '@' || strstr(ref, "//") ||
		strstr(ref, "..")) {
		kg_fail(err, KG_E_INVALID, "\"%.100s\" is not an image reference", ref);
		return NULL;
	}
	const char *path = domain ? ref + domain + 1 : ref;
	for (const char *p = path; *p && *p != ':' && *p != '@'; p++) {
		if (isupper((unsigned char)*p)) {
			kg_fail(err, KG_E_INVALID, "image reference \"%s\": must be lower case",
				ref);
			return NULL;
		}
	}
	const char *tag = has_tag_or_digest(path) ? "" : ":latest";
	if (domain && strncmp(ref, "docker.io/", 10))
		return kg_asprintf("%s%s", ref, tag);
	const char *library = strchr(path, '/') ? "" : "library/";
	return kg_asprintf("docker.io/%s%s%s", library, path, tag);
}

const char *kg_image_default_policy(const char *ref)
{
	const char *slash = strrchr(ref, '/');
	const char *tag = strchr(slash ? slash : ref, ':');
	if (strchr(ref, '@') || (tag && strcmp(tag, ":latest")))
		return "IfNotPresent";
	return "Always";
}

bool kg_image_is_loopback(const char *ref)
{
	char host[64];
	size_t n = domain_len(ref);
	if (n == 0 || n >= sizeof(host))
		return false;
	memcpy(host, ref, n);
	host[n] = '\0';
	if (!strncmp(host, "[::1]", 5))
		return host[5] == '\0' || host[5] == ':';
	char *colon = strchr(host, ':');
	if (colon)
		*colon = '\0';
	struct in_addr in;
	if (inet_pton(AF_INET, host, &in) == 1)
		return (ntohl(in.s_addr) >> 24) == 127;
	return !strcmp(host, "localhost");
}
