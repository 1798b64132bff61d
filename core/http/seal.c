/*
 * TLS records of a sleeping stream, written without GnuTLS. Its way through a session costs a
 * dozen lines of memory that are not in the cache, an allocation and two copies, as much as the
 * encryption itself: a thousand watchers have a record each. So a sender takes the writing
 * direction over, as one hands it to a kernel that speaks TLS: gnutls_record_get_state has the key,
 * the IV and the number of the next record, and gnutls_record_set_state takes the number back.
 * What is encrypted is GnuTLS's business here, too, and all but application data in TLS 1.3.
 *
 * - The first record of each taking over is GnuTLS's: a change of keys that the peer has asked for
 *   goes before it.
 * - Only GnuTLS knows how much the peer takes in one record: so none is longer than one of its.
 * - It changes the key after 2^24 records, by the numbers that it sees: from half of that on it
 *   sees all of them, and then again from 0.
 */
#include "base/endian.h"
#include "internal.h"

#include <gnutls/crypto.h>
#include <string.h>

#define HEAD         5
#define TAG          16
#define TYPE         0x17 /* application data */
#define SEQUENCE_MAX (UINT64_C(1) << 23)

static bool may_hold(gnutls_session_t tls)
{
	if (gnutls_protocol_get_version(tls) != GNUTLS_TLS1_3)
		return false;
	switch (gnutls_cipher_get(tls)) {
	case GNUTLS_CIPHER_AES_128_GCM:
	case GNUTLS_CIPHER_AES_256_GCM:
	case GNUTLS_CIPHER_CHACHA20_POLY1305:
		return true;
	default:
		return false;
	}
}

/* Takes over what GnuTLS would write next. Where it cannot be, GnuTLS goes on. */
static bool hold(struct kg_seal *s, gnutls_session_t tls)
{
	gnutls_datum_t mac, iv, key;
	unsigned char sequence[8];

	if (!may_hold(tls) || gnutls_record_get_state(tls, 0, &mac, &iv, &key, sequence) ||
		iv.size != sizeof(s->iv) || kg_be64(sequence) >= SEQUENCE_MAX ||
		gnutls_aead_cipher_init(&s->aead, gnutls_cipher_get(tls), &key)) {
		s->aead = NULL;
		return false;
	}
	memcpy(s->iv, iv.data, sizeof(s->iv));
	s->sequence = kg_be64(sequence);
	return true;
}

/* GnuTLS goes on where this ended. */
static void let_go(struct kg_seal *s, gnutls_session_t tls)
{
	unsigned char sequence[8];

	if (!s->aead)
		return;
	kg_put_be64(sequence, s->sequence);
	(void)gnutls_record_set_state(tls, 0, sequence); /* fails only before a handshake */
	gnutls_aead_cipher_deinit(s->aead);
	s->aead = NULL;
}

void kg_seal_release(struct kg_seal *s, gnutls_session_t tls)
{
	let_go(s, tls);
	s->max = 0;
}

bool kg_tls_write(gnutls_session_t tls, const char *p, size_t n, size_t *longest)
{
	while (n) {
		ssize_t rc = gnutls_record_send(tls, p, n);

		if (rc <= 0)
			return false;
		if (longest && (size_t)rc > *longest)
			*longest = (size_t)rc;
		p += rc;
		n -= (size_t)rc;
	}
	return true;
}

static bool write_record(struct kg_seal *s, struct kg_outbox *outbox, char *p, size_t n)
{
	unsigned char nonce[sizeof(s->iv)];
	size_t sealed = n + 1 + TAG;
	char *out = kg_outbox_extend(outbox, HEAD + sealed);
	const char head[HEAD] = {TYPE, 3, 3, (char)(sealed >> 8), (char)sealed};

	p[n] = TYPE;
	memcpy(nonce, s->iv, sizeof(nonce));
	kg_put_be64(nonce + 4, kg_be64(s->iv + 4) ^ s->sequence);
	memcpy(out, head, HEAD);
	if (gnutls_aead_cipher_encrypt(
		    s->aead, nonce, sizeof(nonce), head, HEAD, TAG, p, n + 1, out + HEAD, &sealed))
		return false;
	s->sequence++;
	return true;
}

bool kg_seal_write(
	struct kg_seal *s, gnutls_session_t tls, struct kg_outbox *outbox, char *p, size_t n)
{
	bool ours = n <= s->max && (s->aead ? s->sequence < SEQUENCE_MAX : hold(s, tls));

	if (ours)
		return write_record(s, outbox, p, n);
	let_go(s, tls);
	return kg_tls_write(tls, p, n, &s->max);
}
