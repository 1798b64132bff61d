/* What authenticators that ask other servers share. */
#include "internal.h"
#include "sys/file.h"

#include <string.h>

#define MAX_CA     ((size_t)4 << 20)
#define SYSTEM_CAS "/etc/ssl/certs/ca-certificates.crt"

bool kg_url_split(char **base, const char **path, const char *url)
{
	const char *host = strncmp(url, "https://", 8) == 0 ? url + 8 : NULL;

	if (!host || !*host || *host == '/')
		return false;
	const char *slash = strchr(host, '/');
	*base = kg_strndup(url, slash ? (size_t)(slash - url) : strlen(url));
	*path = slash ? slash : "/";
	return true;
}

int kg_read_cas(struct kg_buf *out, const char *file, struct kg_error *err)
{
	return kg_file_read(out, file ? file : SYSTEM_CAS, MAX_CA, err);
}
