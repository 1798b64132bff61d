#include "testclient.h"

#include <curl/curl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

struct test_server server;

int server_setup(struct kg_api_options opts)
{
	KG_AUTOFREE char *text = test_read_file(KGIT_SOURCE_DIR "/core/api/testdata/cluster.yaml");

	kg_kinds_init();
	test_server_start(&server, opts, 20);
	test_put_yaml(&server, text);
	test_commit(&server);
	return 0;
}

int server_teardown(void **state)
{
	(void)state;
	test_server_stop(&server);
	return 0;
}

/* ---- a client that sends the headers it is told ---- */

static size_t collect(char *p, size_t size, size_t n, void *buf)
{
	kg_buf_add(buf, p, size * n);
	return size * n;
}

/* coding: what curl asks for and unpacks by itself; NULL: nothing. */
static struct answer perform(const char *method, const char *path, const char *const *headers,
	const char *body, const char *coding)
{
	struct answer a = {0};
	struct curl_slist *list = NULL;
	struct kg_error err;
	CURL *c = curl_easy_init();
	KG_AUTOFREE char *url = kg_asprintf("%s%s", server.url, path);

	for (; *headers; headers++)
		list = curl_slist_append(list, *headers);
	curl_easy_setopt(c, CURLOPT_URL, url);
	curl_easy_setopt(c, CURLOPT_CUSTOMREQUEST, method);
	curl_easy_setopt(c, CURLOPT_ACCEPT_ENCODING, coding);
	curl_easy_setopt(c, CURLOPT_NOBODY, (long)!strcmp(method, "HEAD"));
	curl_easy_setopt(c, CURLOPT_HTTPHEADER, list);
	curl_easy_setopt(c, CURLOPT_SSL_VERIFYPEER, 0L);
	curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, collect);
	curl_easy_setopt(c, CURLOPT_WRITEDATA, &a.body);
	curl_easy_setopt(c, CURLOPT_HEADERFUNCTION, collect);
	curl_easy_setopt(c, CURLOPT_HEADERDATA, &a.headers);
	curl_easy_setopt(c, CURLOPT_TIMEOUT, 30L);
	if (body)
		curl_easy_setopt(c, CURLOPT_POSTFIELDS, body);
	assert_int_equal(curl_easy_perform(c), CURLE_OK);
	curl_easy_getinfo(c, CURLINFO_RESPONSE_CODE, &a.status);
	curl_slist_free_all(list);
	curl_easy_cleanup(c);
	if (a.body.len && *a.body.data == '{' &&
		kg_json_parse(&a.v, &a.arena, a.body.data, a.body.len, &err))
		a.v = kg_null;
	return a;
}

struct answer ask_with(
	const char *method, const char *path, const char *const *headers, const char *body)
{
	return perform(method, path, headers, body, NULL);
}

struct answer ask_packed(const char *path, const char *coding)
{
	const char *none[] = {NULL};

	return perform("GET", path, none, NULL, coding);
}

struct answer ask(const char *method, const char *path, const char *accept, const char *etag,
	const char *body)
{
	KG_AUTOFREE char *h1 = kg_asprintf("Accept: %s", accept ? accept : "application/json");
	KG_AUTOFREE char *h2 = kg_asprintf("If-None-Match: %s", etag ? etag : "\"\"");
	const char *headers[] = {h1, h2, "Content-Type: application/json", NULL};

	return ask_with(method, path, headers, body);
}

void answer_release(struct answer *a)
{
	kg_buf_release(&a->body);
	kg_buf_release(&a->headers);
	kg_arena_release(&a->arena);
}

struct answer get(const char *path)
{
	return ask("GET", path, NULL, NULL, NULL);
}

const char *at(const struct answer *a, const char *path)
{
	return kg_string(kg_at(&a->v, path), "(absent)");
}

uint64_t revision_of(const struct answer *a)
{
	return strtoull(at(a, "metadata.resourceVersion"), NULL, 10);
}

/* ---- watches: every line of a stream until it ends ---- */

static bool add_bytes(void *ctx, const char *p, size_t n)
{
	kg_buf_add(ctx, p, n);
	return true;
}

struct stream watch_by(struct kg_http_client *c, const char *path)
{
	struct stream s = {0};
	struct kg_error err;

	assert_int_equal(kg_http_get_stream(c, path, 5000, add_bytes, &s.text, &err), 0);
	for (char *line = s.text.data, *end; line && *line; line = end + 1) {
		end = strchr(line, '\n');
		assert_non_null(end);
		assert_true(s.n < KG_ARRAY_LEN(s.lines));
		assert_int_equal(
			kg_json_parse(&s.lines[s.n++], &s.arena, line, (size_t)(end - line), &err),
			0);
	}
	return s;
}

struct stream watch(const char *fmt, ...)
{
	struct kg_http_client *c = test_client(&server);
	va_list ap;
	char path[500];

	va_start(ap, fmt);
	vsnprintf(path, sizeof(path), fmt, ap);
	va_end(ap);
	struct stream s = watch_by(c, path);

	kg_http_client_free(c);
	return s;
}

void stream_release(struct stream *s)
{
	kg_arena_release(&s->arena);
	kg_buf_release(&s->text);
}

uint64_t commit_configmap(const char *name, int n, const char *label)
{
	test_put_configmap(&server, "default", name, n, label);
	return test_commit(&server);
}
