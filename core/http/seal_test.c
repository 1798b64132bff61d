/* kgitd's own records against GnuTLS's reader. */
#include "internal.h"
#include "testing.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

enum { BYTES = 20000 };

/* A server's session that writes into an outbox, and its peer. */
struct pair {
	gnutls_session_t ours, theirs;
	gnutls_certificate_credentials_t server, client;
	int fd, peer;
	struct kg_outbox *outbox;
	bool gathers;
	unsigned by_gnutls; /* records */
	struct kg_seal seal;
	size_t at; /* of the pattern that is sent: what was read of it */
	size_t sent;
	char text[BYTES + 1];
};

static ssize_t push(gnutls_transport_ptr_t ctx, const void *data, size_t n)
{
	struct pair *p = ctx;

	p->by_gnutls++;
	if (!p->gathers)
		return send(p->fd, data, n, MSG_NOSIGNAL);
	kg_outbox_add(p->outbox, data, n);
	return (ssize_t)n;
}

static ssize_t pull(gnutls_transport_ptr_t ctx, void *data, size_t n)
{
	return recv(((struct pair *)ctx)->fd, data, n, 0);
}

static gnutls_session_t session(
	unsigned flags, const char *priorities, gnutls_certificate_credentials_t creds)
{
	gnutls_session_t tls;

	assert_int_equal(gnutls_init(&tls, flags | GNUTLS_NONBLOCK), 0);
	assert_int_equal(gnutls_priority_set_direct(tls, priorities, NULL), 0);
	gnutls_credentials_set(tls, GNUTLS_CRD_CERTIFICATE, creds);
	return tls;
}

static void shake_hands(struct pair *p)
{
	int ours = GNUTLS_E_AGAIN, theirs = GNUTLS_E_AGAIN;

	while (ours || theirs) {
		if (theirs)
			theirs = gnutls_handshake(p->theirs);
		if (ours)
			ours = gnutls_handshake(p->ours);
		assert_false(theirs && gnutls_error_is_fatal(theirs));
		assert_false(ours && gnutls_error_is_fatal(ours));
	}
}

static void pair_open(struct pair *p, const char *cipher, size_t max_record)
{
	gnutls_datum_t cert = {(unsigned char *)keys.server, (unsigned)strlen(keys.server)};
	gnutls_datum_t key = {(unsigned char *)keys.server_key, (unsigned)strlen(keys.server_key)};
	KG_AUTOFREE char *priorities = kg_asprintf("NORMAL:-VERS-ALL:-CIPHER-ALL:%s", cipher);
	int fds[2], size = 1 << 20;

	*p = (struct pair){0};
	assert_int_equal(
		socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds), 0);
	p->fd = fds[0];
	p->peer = fds[1];
	setsockopt(p->fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
	p->outbox = kg_outbox_new(false);
	gnutls_certificate_allocate_credentials(&p->server);
	gnutls_certificate_allocate_credentials(&p->client);
	assert_int_equal(
		gnutls_certificate_set_x509_key_mem(p->server, &cert, &key, GNUTLS_X509_FMT_PEM),
		0);
	p->ours = session(GNUTLS_SERVER, priorities, p->server);
	p->theirs = session(GNUTLS_CLIENT, priorities, p->client);
	gnutls_transport_set_ptr(p->ours, p);
	gnutls_transport_set_push_function(p->ours, push);
	gnutls_transport_set_pull_function(p->ours, pull);
	gnutls_transport_set_int(p->theirs, p->peer);
	if (max_record)
		assert_int_equal(gnutls_record_set_max_recv_size(p->theirs, max_record), 0);
	shake_hands(p);
	p->gathers = true;
	p->by_gnutls = 0;
}

static void pair_close(struct pair *p)
{
	kg_seal_release(&p->seal, p->ours);
	gnutls_deinit(p->ours);
	gnutls_deinit(p->theirs);
	gnutls_certificate_free_credentials(p->server);
	gnutls_certificate_free_credentials(p->client);
	kg_outbox_free(p->outbox);
	close(p->fd);
	close(p->peer);
}

/* What stands at a place of all that is ever sent. */
static char letter(size_t at)
{
	return (char)('a' + at % 23);
}

static void fill(struct pair *p, size_t n)
{
	assert_true(n <= BYTES);
	for (size_t i = 0; i < n; i++)
		p->text[i] = letter(p->sent + i);
	p->sent += n;
}

static void post(struct pair *p)
{
	const struct kg_parcel *parcel = kg_outbox_send(p->outbox);

	assert_int_equal(parcel->sent, parcel->len);
	kg_outbox_clear(p->outbox);
}

/* All that was sent. */
static void read_all(struct pair *p)
{
	char got[BYTES];

	while (p->at < p->sent) {
		ssize_t n = gnutls_record_recv(p->theirs, got, sizeof(got));

		if (n == GNUTLS_E_AGAIN)
			continue; /* a ticket, or another key */
		if (n <= 0)
			fail_msg("at %zu: %s", p->at, gnutls_strerror((int)n));
		for (ssize_t i = 0; i < n; i++)
			assert_int_equal(got[i], letter(p->at++));
	}
	assert_int_equal(gnutls_record_recv(p->theirs, got, sizeof(got)), GNUTLS_E_AGAIN);
}

/* A chunk of a stream; true where it was sealed by kgitd itself. */
static bool say(struct pair *p, size_t n)
{
	unsigned before = p->by_gnutls;

	fill(p, n);
	kg_outbox_begin(p->outbox, p->fd);
	assert_true(kg_seal_write(&p->seal, p->ours, p->outbox, p->text, n));
	post(p);
	read_all(p);
	return p->by_gnutls == before;
}

/* What libmicrohttpd sends, when it has the session. */
static void say_by_gnutls(struct pair *p, size_t n)
{
	fill(p, n);
	kg_outbox_begin(p->outbox, p->fd);
	assert_int_equal(gnutls_record_send(p->ours, p->text, n), n);
	post(p);
	read_all(p);
}

static void every_cipher_is_understood(void **state)
{
	static const struct {
		const char *cipher;
		bool own;
	} cases[] = {
		{"+VERS-TLS1.3:+AES-128-GCM", true},
		{"+VERS-TLS1.3:+AES-256-GCM", true},
		{"+VERS-TLS1.3:+CHACHA20-POLY1305", true},
		{"+VERS-TLS1.3:+AES-128-CCM-8", false},
		{"+VERS-TLS1.2:+AES-128-GCM", false},
	};

	(void)state;
	for (size_t i = 0; i < KG_ARRAY_LEN(cases); i++) {
		struct pair p;

		pair_open(&p, cases[i].cipher, 0);
		for (int turn = 0; turn < 3; turn++) {
			/* None is longer than one of GnuTLS's since it was taken over. */
			assert_false(say(&p, 1000));
			assert_int_equal(say(&p, 1000), cases[i].own);
			assert_int_equal(say(&p, 1), cases[i].own);
			assert_false(say(&p, 1001));
			assert_int_equal(say(&p, 1001), cases[i].own);
			assert_false(say(&p, 16384));
			assert_int_equal(say(&p, 16384), cases[i].own);
			kg_seal_release(&p.seal, p.ours);
			say_by_gnutls(&p, 77);
			kg_seal_release(&p.seal, p.ours);
			say_by_gnutls(&p, 78);
		}
		pair_close(&p);
	}
}

static void the_peer_says_how_much_it_takes(void **state)
{
	struct pair p;

	(void)state;
	pair_open(&p, "+VERS-TLS1.3:+AES-128-GCM", 512);
	assert_false(say(&p, 2000));
	assert_in_range(p.seal.max, 500, 512);
	assert_false(say(&p, 2000));
	assert_true(say(&p, 500));
	assert_false(say(&p, 513));
	pair_close(&p);
}

/* A change of keys that the peer asks for comes with the next taking over at the latest. */
static void the_peer_asks_for_another_key(void **state)
{
	struct pair p;
	char got[16];

	(void)state;
	pair_open(&p, "+VERS-TLS1.3:+AES-128-GCM", 0);
	say(&p, 1000);
	assert_true(say(&p, 1000));
	assert_int_equal(gnutls_session_key_update(p.theirs, GNUTLS_KU_PEER), 0);
	assert_true(say(&p, 1000)); /* nobody has read of it */
	kg_seal_release(&p.seal, p.ours);
	p.gathers = false;
	assert_int_equal(gnutls_record_recv(p.ours, got, sizeof(got)), GNUTLS_E_AGAIN);
	p.gathers = true;
	assert_false(say(&p, 1000));
	assert_true(say(&p, 1000));
	assert_int_equal(p.seal.sequence, 2); /* of the new key */
	pair_close(&p);
}

/* As if so many records had been sent. */
static void jump(struct pair *p, uint64_t n)
{
	unsigned char sequence[8];

	kg_seal_release(&p->seal, p->ours);
	for (int i = 7; i >= 0; i--, n >>= 8)
		sequence[i] = (unsigned char)n;
	assert_int_equal(gnutls_record_set_state(p->ours, 0, sequence), 0);
	assert_int_equal(gnutls_record_set_state(p->theirs, 1, sequence), 0);
}

static void a_key_seals_only_so_much(void **state)
{
	struct pair p;
	unsigned char sequence[8];

	(void)state;
	pair_open(&p, "+VERS-TLS1.3:+AES-128-GCM", 0);
	jump(&p, (1 << 23) - 10);
	assert_false(say(&p, 100));
	for (int i = 0; i < 9; i++)
		assert_true(say(&p, 100));
	for (int i = 0; i < 9; i++)
		assert_false(say(&p, 100));
	/* Where GnuTLS changes it. */
	jump(&p, (1 << 24) - 50);
	for (int i = 0; i < 100 && !say(&p, 100); i++)
		;
	assert_int_equal(gnutls_record_get_state(p.ours, 0, NULL, NULL, NULL, sequence), 0);
	assert_memory_equal(sequence, "\0\0\0\0\0\0", 6);
	for (int i = 0; i < 100; i++)
		assert_true(say(&p, 100));
	pair_close(&p);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_cipher_is_understood),
		cmocka_unit_test(the_peer_says_how_much_it_takes),
		cmocka_unit_test(the_peer_asks_for_another_key),
		cmocka_unit_test(a_key_seals_only_so_much),
	};

	return cmocka_run_group_tests_name("seal", tests, keys_make, keys_free);
}
