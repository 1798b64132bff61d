#include "jwt.h"

#include "base/hash.h"
#include "base/mem.h"
#include "internal.h"
#include "value/json.h"

#include <gnutls/crypto.h>
#include <string.h>

#define MAX_KEYS  64
#define MAX_TOKEN 16384
#define MAX_ID    256

struct key {
	char id[MAX_ID];
	gnutls_pubkey_t key;
	bool ec;
	unsigned bits; /* of an EC key's coordinates: 256 or 384 */
};
struct kg_jwks {
	struct key keys[MAX_KEYS];
	size_t n;
};

struct kg_jwks *kg_jwks_new(void)
{
	return kg_alloc(sizeof(struct kg_jwks));
}

void kg_jwks_free(struct kg_jwks *set)
{
	if (!set)
		return;
	for (size_t i = 0; i < set->n; i++)
		gnutls_pubkey_deinit(set->keys[i].key);
	free(set);
}

size_t kg_jwks_count(const struct kg_jwks *set)
{
	return set->n;
}

static void encode(struct kg_buf *out, const void *p, size_t n)
{
	KG_AUTOFREE char *text = kg_base64url_encode(p, n);

	kg_buf_adds(out, text);
}

/* ---- keys ---- */

static void free_datum(gnutls_datum_t *d)
{
	gnutls_free(d->data);
}

static gnutls_datum_t member_bytes(const struct kg_value *jwk, const char *name)
{
	const struct kg_value *v = kg_get(jwk, name);
	gnutls_datum_t d = {0};
	size_t len = 0;
	KG_AUTOFREE unsigned char *bytes = v->type == KG_STRING && v->len < MAX_TOKEN
						   ? kg_base64url_decode(v->s, v->len, &len)
						   : NULL;

	if (!bytes || !len)
		return d;
	d.data = gnutls_malloc(len);
	if (!d.data)
		abort();
	memcpy(d.data, bytes, len);
	d.size = (unsigned)len;
	return d;
}

static bool import_rsa(struct key *k, const struct kg_value *jwk)
{
	gnutls_datum_t n KG_CLEANUP(free_datum) = member_bytes(jwk, "n");
	gnutls_datum_t e KG_CLEANUP(free_datum) = member_bytes(jwk, "e");
	unsigned bits = 0;

	if (!n.data || !e.data || gnutls_pubkey_import_rsa_raw(k->key, &n, &e) < 0)
		return false;
	gnutls_pubkey_get_pk_algorithm(k->key, &bits);
	return bits >= 2048 && bits <= 8192;
}

static bool import_ec(struct key *k, const struct kg_value *jwk)
{
	gnutls_datum_t x KG_CLEANUP(free_datum) = member_bytes(jwk, "x");
	gnutls_datum_t y KG_CLEANUP(free_datum) = member_bytes(jwk, "y");
	const char *name = kg_string(kg_get(jwk, "crv"), "");
	gnutls_ecc_curve_t curve = GNUTLS_ECC_CURVE_SECP256R1;

	k->ec = true;
	k->bits = strcmp(name, "P-384") == 0 ? 384 : 256;
	if (k->bits == 384)
		curve = GNUTLS_ECC_CURVE_SECP384R1;
	else if (strcmp(name, "P-256") != 0)
		return false;
	return x.data && y.data && gnutls_pubkey_import_ecc_raw(k->key, curve, &x, &y) >= 0;
}

static bool import(struct key *k, const struct kg_value *jwk)
{
	const char *type = kg_string(kg_get(jwk, "kty"), "");
	const char *use = kg_string(kg_get(jwk, "use"), "sig");
	const char *id = kg_string(kg_get(jwk, "kid"), "");

	if (strcmp(use, "sig") != 0 || strlen(id) >= sizeof(k->id))
		return false;
	strcpy(k->id, id);
	if (strcmp(type, "RSA") == 0)
		return import_rsa(k, jwk);
	return strcmp(type, "EC") == 0 && import_ec(k, jwk);
}

static void add_jwk(struct kg_jwks *set, const struct kg_value *jwk)
{
	struct key k = {0};

	if (set->n == MAX_KEYS || gnutls_pubkey_init(&k.key) < 0)
		return;
	if (import(&k, jwk))
		set->keys[set->n++] = k;
	else
		gnutls_pubkey_deinit(k.key);
}

int kg_jwks_read(struct kg_jwks *set, const char *json, size_t len, struct kg_error *err)
{
	struct kg_arena a KG_CLEANUP(kg_arena_release) = KG_ARENA_INIT;
	struct kg_value v;
	int rc = kg_json_parse(&v, &a, json, len, err);
	const struct kg_value *keys = rc ? &kg_null : kg_get(&v, "keys");

	if (rc == 0 && keys->type != KG_ARRAY)
		rc = kg_fail(err, KG_E_INVALID, "not a JWK set: it has no \"keys\"");
	for (uint32_t i = 0; rc == 0 && i < keys->len; i++)
		add_jwk(set, &keys->items[i]);
	return rc;
}

/* The coordinates of a private key's public half. */
static int export_public(gnutls_pubkey_t *out, gnutls_datum_t *x, gnutls_datum_t *y,
	const char *pem, struct kg_error *err)
{
	gnutls_x509_privkey_t key KG_AUTOKEY = NULL;
	gnutls_privkey_t abstract = NULL;
	gnutls_ecc_curve_t curve;

	int rc = kg_pki_read_key(&key, pem, err);
	if (!rc)
		rc = kg_pki_try(gnutls_privkey_init(&abstract), "private key", err);
	if (!rc)
		rc = kg_pki_try(gnutls_privkey_import_x509(abstract, key, 0), "private key", err);
	if (!rc)
		rc = kg_pki_try(gnutls_pubkey_init(out), "public key", err);
	if (!rc)
		rc = kg_pki_try(
			gnutls_pubkey_import_privkey(*out, abstract, 0, 0), "public key", err);
	if (!rc)
		rc = kg_pki_try(
			gnutls_pubkey_export_ecc_raw2(*out, &curve, x, y, GNUTLS_EXPORT_FLAG_NO_LZ),
			"an EC key is needed", err);
	if (abstract)
		gnutls_privkey_deinit(abstract);
	return rc;
}

static void pubkey_free(gnutls_pubkey_t *p)
{
	if (*p)
		gnutls_pubkey_deinit(*p);
}

/* A coordinate has 32 bytes, zeroes in front included. */
static struct kg_value coordinate(struct kg_arena *a, const gnutls_datum_t *d)
{
	KG_AUTOBUF struct kg_buf text = KG_BUF_INIT;
	unsigned char bytes[32] = {0};
	size_t n = d->size < sizeof(bytes) ? d->size : sizeof(bytes);

	memcpy(bytes + sizeof(bytes) - n, d->data + d->size - n, n);
	encode(&text, bytes, sizeof(bytes));
	return kg_v_str(a, kg_buf_str(&text));
}

static int key_id_of(char out[17], const char *key_pem, struct kg_error *err)
{
	gnutls_x509_privkey_t key KG_AUTOKEY = NULL;
	unsigned char id[32];
	size_t len = sizeof(id);
	int rc = kg_pki_read_key(&key, key_pem, err);

	if (!rc)
		rc = kg_pki_try(
			gnutls_x509_privkey_get_key_id(key, GNUTLS_KEYID_USE_SHA256, id, &len),
			"hash the public key", err);
	if (!rc)
		kg_hex(out, id, 8);
	return rc;
}

int kg_jwt_public_key(
	struct kg_value *out, struct kg_arena *a, const char *key_pem, struct kg_error *err)
{
	gnutls_pubkey_t key KG_CLEANUP(pubkey_free) = NULL;
	gnutls_datum_t x KG_CLEANUP(free_datum) = {0}, y KG_CLEANUP(free_datum) = {0};
	int rc = export_public(&key, &x, &y, key_pem, err);
	char id[17];

	if (rc == 0)
		rc = key_id_of(id, key_pem, err);
	if (rc == 0)
		*out = kg_v_obj(a, "kty", kg_v_lit("EC"), "crv", kg_v_lit("P-256"), "alg",
			kg_v_lit("ES256"), "use", kg_v_lit("sig"), "kid", kg_v_str(a, id), "x",
			coordinate(a, &x), "y", coordinate(a, &y), (char *)NULL);
	return rc;
}

int kg_jwks_add(struct kg_jwks *set, const char *key_pem, struct kg_error *err)
{
	struct kg_arena a KG_CLEANUP(kg_arena_release) = KG_ARENA_INIT;
	struct kg_value jwk;
	int rc = kg_jwt_public_key(&jwk, &a, key_pem, err);

	if (rc == 0)
		add_jwk(set, &jwk);
	return rc;
}

/* ---- signing ---- */

/* r and s, each as 32 bytes, of GnuTLS' DER. */
static int raw_signature(unsigned char out[64], const gnutls_datum_t *der, struct kg_error *err)
{
	gnutls_datum_t part[2] = {0};
	int rc = kg_pki_try(
		gnutls_decode_rs_value(der, &part[0], &part[1]), "read the signature", err);

	memset(out, 0, 64);
	for (size_t i = 0; rc == 0 && i < 2; i++) {
		size_t skip = part[i].size > 32 ? part[i].size - 32 : 0, n = part[i].size - skip;

		memcpy(out + 32 * i + 32 - n, part[i].data + skip, n);
	}
	free_datum(&part[0]);
	free_datum(&part[1]);
	return rc;
}

struct kg_jwt_signer {
	gnutls_privkey_t key;
	char id[17];
};

int kg_jwt_signer_new(struct kg_jwt_signer **out, const char *key_pem, struct kg_error *err)
{
	struct kg_jwt_signer *s = kg_alloc(sizeof(*s));
	gnutls_x509_privkey_t key KG_AUTOKEY = NULL;

	int rc = kg_pki_read_key(&key, key_pem, err);
	if (!rc)
		rc = kg_pki_try(gnutls_privkey_init(&s->key), "private key", err);
	if (!rc)
		rc = kg_pki_try(gnutls_privkey_import_x509(s->key, key, GNUTLS_PRIVKEY_IMPORT_COPY),
			"private key", err);
	if (!rc)
		rc = key_id_of(s->id, key_pem, err);
	if (rc) {
		kg_jwt_signer_free(s);
		return rc;
	}
	*out = s;
	return 0;
}

void kg_jwt_signer_free(struct kg_jwt_signer *s)
{
	if (s && s->key)
		gnutls_privkey_deinit(s->key);
	free(s);
}

static int sign(unsigned char out[64], const struct kg_jwt_signer *s, const struct kg_buf *text,
	struct kg_error *err)
{
	gnutls_datum_t data = {(unsigned char *)text->data, (unsigned)text->len};
	gnutls_datum_t der KG_CLEANUP(free_datum) = {0};

	int rc = kg_pki_try(
		gnutls_privkey_sign_data2(s->key, GNUTLS_SIGN_ECDSA_SHA256, 0, &data, &der), "sign",
		err);
	return rc ? rc : raw_signature(out, &der, err);
}

static void encode_value(struct kg_buf *out, const struct kg_value *v)
{
	KG_AUTOBUF struct kg_buf json = KG_BUF_INIT;

	kg_json_write(&json, v);
	encode(out, json.data, json.len);
}

int kg_jwt_sign(char **out, const struct kg_jwt_signer *s, const struct kg_value *claims,
	struct kg_error *err)
{
	struct kg_arena a KG_CLEANUP(kg_arena_release) = KG_ARENA_INIT;
	KG_AUTOBUF struct kg_buf text = KG_BUF_INIT;
	unsigned char signature[64];
	struct kg_value head =
		kg_v_obj(&a, "alg", kg_v_lit("ES256"), "kid", kg_v_lit(s->id), (char *)NULL);

	encode_value(&text, &head);
	kg_buf_addc(&text, '.');
	encode_value(&text, claims);
	int rc = sign(signature, s, &text, err);
	if (rc < 0)
		return rc;
	kg_buf_addc(&text, '.');
	encode(&text, signature, sizeof(signature));
	*out = kg_buf_steal(&text);
	return 0;
}

/* ---- verifying ---- */

bool kg_jwt_is(const char *text)
{
	const char *first = strchr(text, '.'), *second = first ? strchr(first + 1, '.') : NULL;

	return second && first > text && second > first + 1 && second[1] &&
	       !strchr(second + 1, '.') && strlen(text) < MAX_TOKEN;
}

static int refused(struct kg_error *err, const char *why)
{
	return kg_fail(err, KG_E_UNAUTHORIZED, "the token %s", why);
}

static int read_part(
	struct kg_value *out, struct kg_arena *a, const char *text, size_t n, struct kg_error *err)
{
	struct kg_error why;
	size_t len;
	KG_AUTOFREE unsigned char *json = kg_base64url_decode(text, n, &len);

	if (!json || kg_json_parse(out, a, (char *)json, len, &why) < 0 || out->type != KG_OBJECT)
		return refused(err, "is malformed");
	return 0;
}

int kg_jwt_peek(
	struct kg_value *claims, struct kg_arena *a, const char *token, struct kg_error *err)
{
	if (!kg_jwt_is(token))
		return refused(err, "is malformed");
	const char *from = strchr(token, '.') + 1;
	return read_part(claims, a, from, (size_t)(strchr(from, '.') - from), err);
}

static const struct algorithm {
	const char *name;
	bool ec;
	unsigned bits;
	gnutls_sign_algorithm_t sign;
} algorithms[] = {
	{"RS256", false, 0, GNUTLS_SIGN_RSA_SHA256},
	{"RS384", false, 0, GNUTLS_SIGN_RSA_SHA384},
	{"RS512", false, 0, GNUTLS_SIGN_RSA_SHA512},
	{"ES256", true, 256, GNUTLS_SIGN_ECDSA_SHA256},
	{"ES384", true, 384, GNUTLS_SIGN_ECDSA_SHA384},
};

static const struct algorithm *algorithm_of(const struct kg_value *head)
{
	const char *name = kg_string(kg_get(head, "alg"), "");

	for (size_t i = 0; i < KG_ARRAY_LEN(algorithms); i++)
		if (strcmp(algorithms[i].name, name) == 0)
			return &algorithms[i];
	return NULL;
}

static bool verify(const struct key *k, const struct algorithm *alg, const gnutls_datum_t *text,
	const gnutls_datum_t *signature)
{
	gnutls_datum_t der KG_CLEANUP(free_datum) = {0};
	unsigned half = alg->bits / 8;

	if (k->ec != alg->ec || (k->ec && k->bits != alg->bits))
		return false;
	if (!k->ec)
		return gnutls_pubkey_verify_data2(k->key, alg->sign, 0, text, signature) >= 0;
	if (signature->size != 2 * half)
		return false;
	gnutls_datum_t r = {signature->data, half}, s = {signature->data + half, half};
	if (gnutls_encode_rs_value(&der, &r, &s) < 0)
		return false;
	return gnutls_pubkey_verify_data2(k->key, alg->sign, 0, text, &der) >= 0;
}

/* Without an id every key is tried. */
static int verify_any(const struct kg_jwks *set, const char *id, const struct algorithm *alg,
	const gnutls_datum_t *text, const gnutls_datum_t *signature, struct kg_error *err)
{
	bool known = false;

	for (size_t i = 0; i < set->n; i++) {
		if (*id && strcmp(set->keys[i].id, id) != 0)
			continue;
		known = true;
		if (verify(&set->keys[i], alg, text, signature))
			return 0;
	}
	if (!known)
		return kg_fail(err, KG_E_NOT_FOUND, "the token is signed with a key not known");
	return refused(err, "has a wrong signature");
}

int kg_jwt_verify(struct kg_value *claims, struct kg_arena *a, const struct kg_jwks *set,
	const char *token, struct kg_error *err)
{
	struct kg_value head;

	if (!kg_jwt_is(token))
		return refused(err, "is malformed");
	const char *last = strrchr(token, '.');
	int rc = read_part(&head, a, token, strcspn(token, "."), err);
	if (rc < 0)
		return rc;
	const struct algorithm *alg = algorithm_of(&head);
	if (!alg || !kg_is_null(kg_get(&head, "crit")))
		return refused(err, "is signed in a way that is not taken");
	size_t len = 0;
	KG_AUTOFREE unsigned char *bytes = kg_base64url_decode(last + 1, strlen(last + 1), &len);
	if (!bytes)
		return refused(err, "is malformed");
	gnutls_datum_t text = {(unsigned char *)token, (unsigned)(last - token)};
	gnutls_datum_t signature = {bytes, (unsigned)len};
	rc = verify_any(set, kg_string(kg_get(&head, "kid"), ""), alg, &text, &signature, err);
	return rc < 0 ? rc : kg_jwt_peek(claims, a, token, err);
}
