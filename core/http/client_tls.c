#include "base/mem.h"
#include "client_internal.h"

#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static int put(int *fd, const char *name, const char *pem, struct kg_error *err)
{
	size_t len = strlen(pem);

	*fd = memfd_create(name, MFD_CLOEXEC);
	if (*fd < 0 || write(*fd, pem, len) != (ssize_t)len)
		return kg_fail_errno(err, "memory file for %s", name);
	return 0;
}

static void set_path(CURL *easy, CURLoption option, int fd)
{
	char path[40];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	curl_easy_setopt(easy, option, path);
}

int kg_client_tls_set(struct kg_client_tls *t, CURL *easy,
	const struct kg_http_client_options *opts, struct kg_error *err)
{
	int rc;

	/* Never the machine's own CAs. */
	curl_easy_setopt(easy, CURLOPT_CAPATH, NULL);
	curl_easy_setopt(easy, CURLOPT_CAINFO, NULL);
	if (opts->ca_pem) {
		if ((rc = put(&t->ca, "kgit-ca", opts->ca_pem, err)))
			return rc;
		set_path(easy, CURLOPT_CAINFO, t->ca);
	} else {
		curl_easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, 0L);
		curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, 0L);
	}
	if (opts->cert_pem && opts->key_pem) {
		if ((rc = put(&t->cert, "kgit-cert", opts->cert_pem, err)) ||
			(rc = put(&t->key, "kgit-key", opts->key_pem, err)))
			return rc;
		set_path(easy, CURLOPT_SSLCERT, t->cert);
		set_path(easy, CURLOPT_SSLKEY, t->key);
	}
	return 0;
}

void kg_client_tls_release(struct kg_client_tls *t)
{
	kg_closep(&t->ca);
	kg_closep(&t->cert);
	kg_closep(&t->key);
}
