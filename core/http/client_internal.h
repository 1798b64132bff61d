/* What client.c and client_tls.c share. */
#ifndef KG_HTTP_CLIENT_INTERNAL_H
#define KG_HTTP_CLIENT_INTERNAL_H

#include "client.h"

#include <curl/curl.h>
#include <stdatomic.h>

/*
 * libcurl's GnuTLS backend reads certificates from files only. They are given to it as anonymous
 * memory files by their /proc/self/fd names: nothing reaches a disk.
 */
struct kg_client_tls {
	int ca, cert, key; /* memfds, or -1 */
};
#define KG_CLIENT_TLS_INIT                                                                         \
	{                                                                                          \
		-1, -1, -1                                                                         \
	}
int kg_client_tls_set(struct kg_client_tls *t, CURL *easy,
	const struct kg_http_client_options *opts, struct kg_error *err);
void kg_client_tls_release(struct kg_client_tls *t);

#endif
