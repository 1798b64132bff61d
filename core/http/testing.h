/* What the tests of this room share: keys, a server with the routes below, raw TLS. */
#ifndef KG_HTTP_TESTING_H
#define KG_HTTP_TESTING_H

#include "base/mem.h"
#include "client.h"
#include "server.h"

#include <gnutls/gnutls.h>
#include <pthread.h>
#include <stdatomic.h>

struct keys {
	char *ca, *ca_key;
	char *server, *server_key;
	char *client, *client_key;   /* CN=system:node:n1, O=system:nodes, O=blue */
	char *expired, *expired_key; /* by the same CA, over */
	char *other_ca;
	char *stranger, *stranger_key; /* by another CA of the same name */
};
extern struct keys keys;
int keys_make(void **state);
int keys_free(void **state);

/* A route is the first segment of the path; a test fills in what it needs. */
struct fixture {
	struct kg_http_server *server;
	char url[64];
	pthread_mutex_t lock;
	pthread_cond_t changed;
	unsigned opened, done; /* streams whose read was entered, exchanges that ended */
	unsigned uploads;      /* that began */
	/* "/stream": each holds what it has to send. */
	struct stream *streams;
	unsigned nstreams;
	/* "/upload": */
	size_t uploaded;
	unsigned stops;
	unsigned stop_every; /* refuse each n-th piece once */
	/* "/defer": */
	pthread_t threads[64];
	unsigned nthreads;
	struct kg_http_req *held; /* "/hold": never answered */
};
struct stream {
	struct stream *next;
	struct fixture *f;
	struct kg_http_req *req;
	unsigned long pending; /* lines to send */
	bool end, endless, entered;
	bool later;  /* "endless=later": from the first feeding on */
	bool pieces; /* a line is a piece, and all that is fed a message */
	bool broken; /* its end is none */
};
extern struct fixture fx;
void fixture_start(const struct kg_http_server_options *opts); /* NULL: defaults */
void fixture_stop(void);
void fixture_await_opened(unsigned n); /* fails the test after 30 s */
void fixture_await_done(unsigned n);
void fixture_await_uploads(unsigned n);
void fixture_feed(unsigned long lines, bool end); /* to every stream */
/* As kg_http_client_new with the CA, and the named certificate or none. */
struct kg_http_client *client_new(const char *cert, const char *key);

/* A TLS connection that sends what it is told. */
struct raw {
	int fd;
	gnutls_session_t session;
	gnutls_certificate_credentials_t creds;
};
void raw_open(struct raw *r, const char *cert, const char *key);
void raw_open_resuming(
	struct raw *r, const char *cert, const char *key, const gnutls_datum_t *data);
/* One that takes no TLS records of more bytes than that. */
void raw_open_limited(struct raw *r, size_t max_record);
void raw_send(struct raw *r, const void *p, size_t n);
/* Until the peer closes, or `until` was seen (where not NULL); heap. */
char *raw_read(struct raw *r, const char *until);
void raw_close(struct raw *r);

#endif
