#include "kgitd/authority.h"

#include "base/buf.h"
#include "base/log.h"
#include "base/mem.h"
#include "pki/pki.h"
#include "sys/file.h"
#include "sys/loop.h"

#include <stdio.h>
#include <string.h>

#define MAX_PEM (64 << 10)

static void release(struct kgd_authority *a)
{
	if (a->key_pem)
		explicit_bzero(a->key_pem, strlen(a->key_pem));
	free(a->key_pem);
	free(a->cert_pem);
	free(a->cross_pem);
	free(a->old_pem);
	free(a->bundle_pem);
	free(a);
}

void kgd_authority_free(struct kgd_authority *a)
{
	while (a) {
		struct kgd_authority *before = a->before;

		release(a);
		a = before;
	}
}

/* What follows from its key and certificates. */
static int complete(struct kgd_authority *a, struct kg_error *err)
{
	a->bundle_pem = kg_asprintf("%s%s", a->cert_pem, a->old_pem ? a->old_pem : "");
	int rc = kg_pki_pin(a->pin, a->cert_pem, err);
	if (rc == 0)
		rc = kg_pki_name(a->name, a->cert_pem, err);
	if (rc == 0 && a->old_pem)
		rc = kg_pki_name(a->old_name, a->old_pem, err);
	return rc;
}

/* ---- files ---- */

int kgd_pem_read(char **out, const char *dir, const char *name, struct kg_error *err)
{
	char *path KG_AUTOFREE = kg_asprintf("%s/%s", dir, name);
	struct kg_buf text = KG_BUF_INIT;
	int rc = kg_file_read(&text, path, MAX_PEM, err);

	if (rc == 0)
		*out = kg_buf_steal(&text);
	else
		kg_buf_release(&text);
	return rc;
}

int kgd_pem_write(
	const char *dir, const char *name, const char *pem, mode_t mode, struct kg_error *err)
{
	char *path KG_AUTOFREE = kg_asprintf("%s/%s", dir, name);

	return kg_file_write(path, pem, strlen(pem), mode, err);
}

/* For others to read: where it is as it should be nothing is written, so that a full disk does not
 * keep a master from starting. */
static int write_bundle(const struct kgd_authority *a, const char *dir, struct kg_error *err)
{
	char *now KG_AUTOFREE = NULL;

	if (kgd_pem_read(&now, dir, "ca.crt", NULL) == 0 && strcmp(now, a->bundle_pem) == 0)
		return 0;
	return kgd_pem_write(dir, "ca.crt", a->bundle_pem, 0644, err);
}

static int write_key(const struct kgd_authority *a, const char *dir, struct kg_error *err)
{
	char *text KG_AUTOFREE = kg_asprintf("%s%s%s%s", a->key_pem, a->cert_pem,
		a->cross_pem ? a->cross_pem : "", a->old_pem ? a->old_pem : "");
	int rc = kgd_pem_write(dir, "ca.key", text, 0600, err);

	explicit_bzero(text, strlen(text));
	return rc;
}

/* The certificates behind the key; a CA that was never replaced has its own in ca.crt. */
static int read_authority(struct kgd_authority *a, const char *dir, struct kg_error *err)
{
	int rc = kgd_pem_read(&a->key_pem, dir, "ca.key", err);

	if (rc < 0)
		return rc;
	a->cert_pem = kg_pki_nth(a->key_pem, 0);
	a->cross_pem = kg_pki_nth(a->key_pem, 1);
	a->old_pem = kg_pki_nth(a->key_pem, 2);
	if (!a->cert_pem)
		rc = kgd_pem_read(&a->cert_pem, dir, "ca.crt", err);
	else
		*strstr(a->key_pem, "-----BEGIN CERTIFICATE") = '\0';
	return rc;
}

/* The key is written first: a certificate whose key was lost would be of no use. */
static int make_authority(struct kgd_authority *a, const char *dir, struct kg_error *err)
{
	int rc = kg_pki_ca_new(&a->cert_pem, &a->key_pem, "kgit", kg_realtime_ms(), err);

	if (rc == 0)
		rc = kgd_pem_write(dir, "ca.key", a->key_pem, 0600, err);
	return rc == 0 ? kgd_pem_write(dir, "ca.crt", a->cert_pem, 0644, err) : rc;
}

/* A first start that was cut short has left a key without a certificate, if anything. */
static bool is_there(const char *dir)
{
	char *path KG_AUTOFREE = kg_asprintf("%s/ca.crt", dir), *key KG_AUTOFREE = NULL;
	bool there = kg_path_exists(path);

	if (!there && kgd_pem_read(&key, dir, "ca.key", NULL) == 0)
		there = strstr(key, "-----BEGIN CERTIFICATE") != NULL;
	return there;
}

int kgd_authority_open(struct kgd_authority **out, const char *dir, struct kg_error *err)
{
	struct kgd_authority *a = kg_alloc(sizeof(*a));
	int rc = is_there(dir) ? read_authority(a, dir, err) : make_authority(a, dir, err);

	if (rc == 0)
		rc = complete(a, err);
	if (rc == 0)
		rc = write_bundle(a, dir, err);
	if (rc < 0) {
		release(a);
		return rc;
	}
	*out = a;
	return 0;
}

/* ---- steps ---- */

/* The one after "kgit" is "kgit-2". */
static void next_name(char out[64], const char *name)
{
	const char *dash = strrchr(name, '-');
	unsigned long n = dash ? strtoul(dash + 1, NULL, 10) : 1;

	snprintf(out, 64, "kgit-%lu", n + 1);
}

static int take_over(struct kgd_authority **out, struct kgd_authority *next,
	struct kgd_authority *now, const char *dir, struct kg_error *err)
{
	struct kg_error why;
	int rc = complete(next, err);

	if (rc == 0)
		rc = write_key(next, dir, err);
	if (rc < 0) {
		release(next);
		return rc;
	}
	/* It is decided by now; the next start writes what could not be written. */
	if (write_bundle(next, dir, &why) < 0)
		kg_error_log("%s", why.msg);
	next->before = now;
	*out = next;
	return 0;
}

int kgd_authority_rotate(struct kgd_authority **out, struct kgd_authority *now, const char *dir,
	struct kg_error *err)
{
	char name[64];

	if (now->old_pem)
		return kg_fail(err, KG_E_CONFLICT,
			"the CA is being replaced already: %s takes over from %s (kgit ca retire "
			"ends that)",
			now->name, now->old_name);
	struct kgd_authority *next = kg_alloc(sizeof(*next));
	next_name(name, now->name);
	next->old_pem = kg_strdup(now->cert_pem);
	int rc = kg_pki_ca_new(&next->cert_pem, &next->key_pem, name, kg_realtime_ms(), err);
	if (rc == 0)
		rc = kg_pki_ca_cross(&next->cross_pem, next->cert_pem, next->key_pem, now->cert_pem,
			now->key_pem, err);
	if (rc < 0) {
		release(next);
		return rc;
	}
	return take_over(out, next, now, dir, err);
}

int kgd_authority_retire(struct kgd_authority **out, struct kgd_authority *now, const char *dir,
	struct kg_error *err)
{
	if (!now->old_pem)
		return kg_fail(err, KG_E_CONFLICT,
			"no CA is being replaced: %s is the only one that is trusted", now->name);
	struct kgd_authority *next = kg_alloc(sizeof(*next));
	next->key_pem = kg_strdup(now->key_pem);
	next->cert_pem = kg_strdup(now->cert_pem);
	return take_over(out, next, now, dir, err);
}

bool kgd_authority_made(const struct kgd_authority *a, const char *issuer)
{
	if (!issuer)
		return false;
	return strcmp(issuer, a->name) == 0 || (a->old_pem && strcmp(issuer, a->old_name) == 0);
}
