/*
 * A master for tests: the endpoints that a node calls, over TLS, with a real git repository of
 * views. What it hears is kept for the test to look at; waiting for it fails the test after ten
 * seconds.
 */
#ifndef KG_NODEAGENT_FAKEMASTER_H
#define KG_NODEAGENT_FAKEMASTER_H

#include "nodeagent/join.h"

#include <stdbool.h>

#define FM_TOKEN_ID "kgj.0123456789abcdef.00112233445566778899aabbccddeeff"

struct fm_file {
	const char *path, *text; /* text NULL: removed */
};

/* One at a time. port 0: any; the port stays over fm_stop and fm_start. */
void fm_new(void);
void fm_free(void);
void fm_start(void);
void fm_stop(void); /* breaks every connection */
const char *fm_url(void);
const char *fm_dir(void);                        /* a directory for the test, removed by fm_free */
const char *fm_token(void);                      /* a join token that pins the CA */
const struct kg_credential *fm_credential(void); /* of node n1 */

/* A commit upon the last one; announced on the stream. Its id is returned (static). */
const char *fm_view(const struct fm_file *files, unsigned n);
/* As fm_view without announcing. */
const char *fm_view_quietly(const struct fm_file *files, unsigned n);
void fm_send(const char *line); /* on the stream, a newline is added */

struct fm_heard {
	unsigned registrations, leases, statuses, accepted, packs, streams, open_streams;
	unsigned objects; /* in the pack sent last */
	unsigned token_requests, tokens;
	char status[4096], status_body[4096], log[65536], log_query[512], registration[8192],
		lease[512];
	bool log_ended;
};
extern struct fm_heard fm_heard;
/* Waits until *counter >= n. */
void fm_await(const unsigned *counter, unsigned n);
void fm_await_log(void);
void fm_refuse_status(int code); /* 0: takes them; held: not answered until taken again */
void fm_hold_status(bool hold);
/* Tokens "token-N-POD" of so many seconds; or, with an error, none. */
void fm_tokens(int seconds, const char *error);

#endif
