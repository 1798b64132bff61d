/* What the tests of the whole API share: asking a server, and reading what it says. A test that
 * gets no answer fails. */
#ifndef KG_API_TESTCLIENT_H
#define KG_API_TESTCLIENT_H

#include "testserver.h"

#include "value/json.h"

extern struct test_server server; /* the one that is asked */

/* For cmocka's groups: it serves the objects of testdata/cluster.yaml. */
int server_setup(struct kg_api_options opts);
int server_teardown(void **state);

/* ---- a client that sends the headers it is told ---- */

struct answer {
	long status;
	struct kg_buf body, headers;
	struct kg_arena arena;
	struct kg_value v; /* the body, where it is JSON */
};

/* headers: "Name: value", up to a NULL. */
struct answer ask_with(
	const char *method, const char *path, const char *const *headers, const char *body);
/* By a client that takes these codings, and unpacks the body. */
struct answer ask_packed(const char *path, const char *coding);
/* accept, etag, body: may be NULL. */
struct answer ask(const char *method, const char *path, const char *accept, const char *etag,
	const char *body);
struct answer get(const char *path);
void answer_release(struct answer *a);
#define ANSWER KG_CLEANUP(answer_release) struct answer
const char *at(const struct answer *a, const char *path); /* "(absent)" where it is not */
uint64_t revision_of(const struct answer *a);

/* ---- watches: every line of a stream until it ends ---- */

struct stream {
	struct kg_arena arena;
	struct kg_buf text;
	struct kg_value lines[200];
	size_t n;
};

struct stream watch_by(struct kg_http_client *c, const char *path);
/* By a client of its own. */
struct stream watch(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void stream_release(struct stream *s);
#define STREAM KG_CLEANUP(stream_release) struct stream

uint64_t commit_configmap(const char *name, int n, const char *label); /* in "default" */

#endif
