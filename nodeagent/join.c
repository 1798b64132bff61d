#include "nodeagent/join.h"
#include "base/buf.h"
#include "base/mem.h"
#include "http/client.h"
#include "pki/pki.h"
#include "sys/file.h"
#include "value/json.h"

#include <string.h>

#define MAX_PEM ((size_t)64 << 10)

void kg_credential_release(struct kg_credential *c)
{
	free(c->ca_pem);
	free(c->cert_pem);
	free(c->key_pem);
	*c = (struct kg_credential){0};
}

static int read_text(char **out, const char *dir, const char *name, struct kg_error *err)
{
	KG_AUTOFREE char *path = kg_asprintf("%s/pki/%s", dir, name);
	KG_AUTOBUF struct kg_buf b = KG_BUF_INIT;
	int rc = kg_file_read(&b, path, MAX_PEM, err);

	if (rc == 0)
		*out = kg_buf_steal(&b);
	return rc;
}

int kg_credential_load(
	struct kg_credential *out, const char *dir, const char *name, struct kg_error *err)
{
	struct kg_credential c = {0};
	KG_AUTOFREE char *joined_as = NULL;
	int rc = read_text(&c.cert_pem, dir, "node.crt", err);

	if (rc == 0)
		rc = read_text(&c.key_pem, dir, "node.key", err);
	if (rc == 0)
		rc = read_text(&c.ca_pem, dir, "ca.crt", err);
	if (rc == 0)
		rc = read_text(&joined_as, dir, "name", err);
	if (rc == 0 && strcmp(joined_as, name) != 0)
		rc = kg_fail(err, KG_E_INVALID, "%s holds node %s, not %s", dir, joined_as, name);
	if (rc < 0) {
		kg_credential_release(&c);
		return rc;
	}
	*out = c;
	return 0;
}

static int fetch_ca(char **out, const char *url, const char *pin, struct kg_error *err)
{
	struct kg_http_client_options opts = {.url = url};
	struct kg_http_client *client = kg_http_client_new(&opts);
	KG_AUTOBUF struct kg_buf pem = KG_BUF_INIT;
	KG_AUTOFREE char *whole = kg_asprintf("sha256:%s", pin);
	int rc = kg_http_call(client, "GET", "/kgit/v1/ca", NULL, NULL, 0, &pem, err);

	kg_http_client_free(client);
	if (rc == 0)
		rc = kg_pki_pinned(out, kg_buf_str(&pem), whole, err);
	if (rc == -KG_E_NOT_FOUND)
		return kg_fail(err, KG_E_UNAUTHORIZED,
			"%s is not the master that made the join token, or has another CA since: "
			"%s, the token pins %s",
			url, err->msg, whole);
	return rc < 0 ? kg_wrap(err, "the CA of %s", url) : 0;
}

/* A certificate for c's key from `path`, which takes the request and, of a join, the token; and
 * what is to be trusted, as the master, who is known by now, says it. */
static int ask(char **cert, char **ca, const struct kg_credential *c, const char *url,
	const char *path, const char *token, const char *name, struct kg_error *err)
{
	struct kg_http_client_options opts = {.url = url,
		.ca_pem = c->ca_pem,
		.cert_pem = c->cert_pem,
		.key_pem = c->cert_pem ? c->key_pem : NULL};
	struct kg_arena arena KG_CLEANUP(kg_arena_release) = KG_ARENA_INIT;
	KG_AUTOBUF struct kg_buf body = KG_BUF_INIT, reply = KG_BUF_INIT;
	KG_AUTOFREE char *csr = NULL;
	struct kg_value answer;
	int rc = kg_pki_csr_new(&csr, c->key_pem, name, err);

	if (rc < 0)
		return rc;
	struct kg_value v = kg_v_obj(&arena, "token", token ? kg_v_lit(token) : kg_v_null(), "node",
		kg_v_lit(name), "csr", kg_v_lit(csr), (char *)NULL);
	kg_json_write(&body, &v);
	struct kg_http_client *client = kg_http_client_new(&opts);
	rc = kg_http_call(
		client, "POST", path, "application/json", body.data, body.len, &reply, err);
	kg_http_client_free(client);
	if (rc == 0)
		rc = kg_json_parse(&answer, &arena, kg_buf_str(&reply), reply.len, err);
	if (rc < 0)
		return kg_wrap(err, "%s%s", url, path);
	*cert = kg_strdup(kg_string(kg_get(&answer, "certificate"), NULL));
	if (!*cert)
		return kg_fail(err, KG_E_CORRUPT, "%s%s: the answer has no certificate", url, path);
	*ca = kg_strdup(kg_string(kg_get(&answer, "ca"), c->ca_pem));
	return 0;
}

static int store_text(
	const char *dir, const char *name, const char *text, mode_t mode, struct kg_error *err)
{
	KG_AUTOFREE char *path = kg_asprintf("%s/pki/%s", dir, name);

	return kg_file_write(path, text, strlen(text), mode, err);
}

static int store(
	const struct kg_credential *c, const char *dir, const char *name, struct kg_error *err)
{
	KG_AUTOFREE char *pki = kg_asprintf("%s/pki", dir);
	int rc = kg_mkdir_p(pki, 0700, err);

	if (rc == 0)
		rc = store_text(dir, "ca.crt", c->ca_pem, 0644, err);
	if (rc == 0)
		rc = store_text(dir, "node.key", c->key_pem, 0600, err);
	if (rc == 0)
		rc = store_text(dir, "name", name, 0644, err);
	if (rc == 0)
		rc = store_text(dir, "node.crt", c->cert_pem, 0644, err);
	return rc == 0 ? kg_sync_dir(dir, err) : rc;
}

int kg_join(struct kg_credential *out, const char *dir, const char *url, const char *token,
	const char *name, struct kg_error *err)
{
	struct kg_credential c = {0};
	KG_AUTOFREE char *cert = NULL, *ca = NULL;
	const char *pin = strrchr(token, '.');
	int rc;

	if (strncmp(token, "kgj.", 4) != 0 || !pin || strlen(pin + 1) != 64)
		return kg_fail(
			err, KG_E_INVALID, "this is no join token (kgit token create prints one)");
	rc = fetch_ca(&c.ca_pem, url, pin + 1, err);
	if (rc == 0)
		rc = kg_pki_key_new(&c.key_pem, err);
	if (rc == 0)
		rc = ask(&cert, &ca, &c, url, "/kgit/v1/join", token, name, err);
	if (rc == 0) {
		free(c.ca_pem);
		c.ca_pem = kg_steal(&ca);
		c.cert_pem = kg_steal(&cert);
		rc = store(&c, dir, name, err);
	}
	if (rc < 0) {
		kg_credential_release(&c);
		return rc;
	}
	*out = c;
	return 0;
}

int kg_credential_trust(
	struct kg_credential *c, const char *dir, const char *ca_pem, struct kg_error *err)
{
	int rc = store_text(dir, "ca.crt", ca_pem, 0644, err);

	if (rc < 0)
		return rc;
	free(c->ca_pem);
	c->ca_pem = kg_strdup(ca_pem);
	return 0;
}

int kg_credential_due(kg_time *out, const struct kg_credential *c, struct kg_error *err)
{
	kg_time from, to;
	int rc = kg_pki_not_before(&from, c->cert_pem, err);

	if (rc == 0)
		rc = kg_pki_not_after(&to, c->cert_pem, err);
	if (rc == 0)
		*out = kg_pki_issued_by(c->cert_pem, c->ca_pem) ? to - (to - from) / 3 : 0;
	return rc;
}

int kg_credential_renew(struct kg_credential *c, const char *dir, const char *url, const char *name,
	struct kg_error *err)
{
	KG_AUTOFREE char *path = kg_asprintf("/kgit/v1/nodes/%s/renew", name);
	KG_AUTOFREE char *cert = NULL, *ca = NULL; /* which the view says, too */
	int rc = ask(&cert, &ca, c, url, path, NULL, name, err);

	if (rc == 0)
		rc = store_text(dir, "node.crt", cert, 0644, err);
	if (rc < 0)
		return rc;
	free(c->cert_pem);
	c->cert_pem = kg_steal(&cert);
	return 0;
}
