#include "dns/limits.h"
#include "dns/packet.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <arpa/nameser.h>
#include <cmocka.h>
#include <string.h>

/* A query for web.default.svc, A; and with EDNS that takes 4096 bytes. */
#define NAME     "\3wEb\7default\3svc\0"
#define QUESTION NAME "\0\1\0\1"
#define OPT_4096 "\0\0\51\x10\0\0\0\0\0\0\0"
#define BYTES(s) (const uint8_t *)(s), sizeof(s) - 1

static const char plain[] = "\x12\x34\x01\0\0\1\0\0\0\0\0\0" QUESTION;
static const char edns[] = "\x12\x34\0\0\0\1\0\0\0\0\0\1" QUESTION OPT_4096;

static void reads_queries(void **state)
{
	struct kg_dns_query q;

	(void)state;
	assert_int_equal(
		kg_dns_query_parse(&q, (const uint8_t *)plain, sizeof(plain) - 1, true), 0);
	assert_string_equal(q.name, "wEb.default.svc.");
	assert_int_equal(q.type, ns_t_a);
	assert_int_equal(q.id, 0x1234);
	assert_true(q.recurse);
	assert_false(q.edns);
	assert_int_equal(q.size, 512);
	assert_int_equal(
		kg_dns_query_parse(&q, (const uint8_t *)plain, sizeof(plain) - 1, false), 0);
	assert_int_equal(q.size, KG_DNS_MAX_ANSWER);
	assert_int_equal(kg_dns_query_parse(&q, (const uint8_t *)edns, sizeof(edns) - 1, true), 0);
	assert_true(q.edns);
	assert_false(q.recurse);
	assert_int_equal(q.size, KG_DNS_UDP_SIZE);
	assert_int_equal(
		kg_dns_query_parse(&q, BYTES("\0\1\1\0\0\1\0\0\0\0\0\0\0\0\2\0\1"), true), 0);
	assert_string_equal(q.name, ".");
}

static void refuses_queries(void **state)
{
	static const struct {
		const char *what;
		const char *p;
		size_t len;
		int rcode;
	} cases[] = {
		{"nothing", "", 0, -1},
		{"half a header", "\0\1\1\0\0", 5, -1},
		{"an answer", "\0\1\x81\0\0\1\0\0\0\0\0\0\0\0\1\0\1", 17, -1},
		{"no question", "\0\1\1\0\0\0\0\0\0\0\0\0", 12, ns_r_formerr},
		{"two questions", "\0\1\1\0\0\2\0\0\0\0\0\0\0\0\1\0\1\0\0\1\0\1", 22, ns_r_formerr},
		{"a cut name", "\0\1\1\0\0\1\0\0\0\0\0\0\7web", 16, ns_r_formerr},
		{"a name that leads to itself", "\0\1\1\0\0\1\0\0\0\0\0\0\xc0\x0c\0\1\0\1", 18,
			ns_r_formerr},
		{"a name that leads back", "\0\1\1\0\0\1\0\0\0\0\0\0\1a\xc0\x02\0\1\0\1", 20,
			ns_r_formerr},
		{"an update", "\0\1\x28\0\0\1\0\0\0\0\0\0\0\0\6\0\1", 17, ns_r_notimpl},
		{"a class of its own", "\0\1\1\0\0\1\0\0\0\0\0\0\0\0\1\0\3", 17, ns_r_refused},
		{"a transfer", "\0\1\1\0\0\1\0\0\0\0\0\0\0\0\xfc\0\1", 17, ns_r_refused},
	};
	struct kg_dns_query q;
	uint8_t out[512];

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		int rcode = kg_dns_query_parse(&q, (const uint8_t *)cases[i].p, cases[i].len, true);

		if (rcode != cases[i].rcode)
			fail_msg("%s: %d, expected %d", cases[i].what, rcode, cases[i].rcode);
		if (rcode <= 0)
			continue;
		size_t n = kg_dns_refuse(out, &q, rcode);
		assert_in_range(n, 12, 300);
		assert_memory_equal(out, "\0\1", 2);
		assert_int_equal(out[2], 0x80 | (cases[i].p[2] & 1));
		assert_int_equal(out[3], 0x80 | rcode);
	}
}

static uint8_t answer[KG_DNS_MAX_ANSWER + 1];

/* What a resolver says: n addresses, EDNS at the end. */
static size_t make_answer(unsigned n)
{
	uint8_t *p = answer;

	memcpy(p, "\0\0\x81\x80\0\1\0\0\0\0\0\1\3web\7default\3svc\0\0\1\0\1", 33);
	p[6] = (uint8_t)(n >> 8);
	p[7] = (uint8_t)n;
	p += 33;
	for (unsigned i = 0; i < n; i++, p += 16) {
		memcpy(p, "\xc0\x0c\0\1\0\1\0\0\0\5\0\4\x0a\x60", 14);
		p[14] = (uint8_t)(i >> 8);
		p[15] = (uint8_t)i;
	}
	memcpy(p, "\0\0\51\x04\xd0\0\0\x80\0\0\0", 11);
	return (size_t)(p - answer) + 11;
}

static void fits_answers(void **state)
{
	static const struct {
		const char *what;
		bool edns, udp;
		unsigned have, kept;
		bool cut;
	} cases[] = {
		{"none", false, true, 0, 0, false},
		{"one", false, true, 1, 1, false},
		{"as many as fit", false, true, 29, 29, false},
		{"one more", false, true, 30, 29, true},
		{"with EDNS", true, true, 30, 30, false},
		{"as many as fit with EDNS", true, true, 74, 74, false},
		{"more than fit with EDNS", true, true, 100, 74, true},
		{"by TCP", false, false, 1000, 1000, false},
		{"by TCP with EDNS", true, false, 1000, 1000, false},
	};
	struct kg_dns_query q;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		const char *query = cases[i].edns ? edns : plain;
		size_t len = make_answer(cases[i].have);
		ns_msg msg;

		assert_int_equal(
			kg_dns_query_parse(&q, (const uint8_t *)query,
				cases[i].edns ? sizeof(edns) - 1 : sizeof(plain) - 1, cases[i].udp),
			0);
		len = kg_dns_answer_fit(answer, len, &q);
		if (len > q.size || ns_initparse(answer, (int)len, &msg) < 0)
			fail_msg("%s: %zu bytes", cases[i].what, len);
		if (ns_msg_count(msg, ns_s_an) != cases[i].kept ||
			ns_msg_count(msg, ns_s_ar) != cases[i].edns ||
			ns_msg_getflag(msg, ns_f_tc) != cases[i].cut)
			fail_msg("%s: %d records, %d more, cut %d", cases[i].what,
				ns_msg_count(msg, ns_s_an), ns_msg_count(msg, ns_s_ar),
				ns_msg_getflag(msg, ns_f_tc));
		assert_int_equal(ns_msg_id(msg), 0x1234);
		assert_int_equal(ns_msg_getflag(msg, ns_f_rd), !cases[i].edns);
		assert_int_equal(ns_msg_getflag(msg, ns_f_ra), 1);
		assert_memory_equal(answer + 12, NAME, sizeof(NAME) - 1);
	}
}

static void makes_nonsense_a_failure(void **state)
{
	struct kg_dns_query q;

	(void)state;
	kg_dns_query_parse(&q, (const uint8_t *)plain, sizeof(plain) - 1, true);
	for (size_t len = 0; len < 90; len++) {
		size_t whole = make_answer(2);

		if (len >= whole)
			break;
		size_t n = kg_dns_answer_fit(answer, len, &q);
		assert_int_equal(n, q.head);
		assert_int_equal(answer[3] & 0xf, ns_r_servfail);
	}
	/* A header alone, which says why. */
	memcpy(answer, "\0\0\x81\x85\0\0\0\0\0\0\0\0", 12);
	assert_int_equal(kg_dns_answer_fit(answer, 12, &q), q.head);
	assert_int_equal(answer[3] & 0xf, ns_r_refused);
}

static void test_limits(void **state)
{
	struct kg_arena a KG_CLEANUP(kg_arena_release) = KG_ARENA_INIT;
	struct kg_dns_limits l, m;

	(void)state;
	for (size_t i = 0; i < KG_DNS_LIMITS; i++) {
		const struct kg_dns_limit *w = &kg_dns_limit_table[i];

		kg_dns_limits_default(&l);
		assert_int_equal(kg_dns_limit_get(&l, w), w->def);
		assert_false(kg_dns_limit_set(&l, w, (int64_t)w->min - 1));
		assert_false(kg_dns_limit_set(&l, w, (int64_t)w->max + 1));
		assert_int_equal(kg_dns_limit_get(&l, w), w->def);
		assert_true(kg_dns_limit_set(&l, w, w->max));
		struct kg_value v = kg_dns_limits_value(&a, &l);
		kg_dns_limits_read(&m, &v);
		assert_memory_equal(&l, &m, sizeof(l));
		v = kg_with_key(&a, &v, w->name, kg_v_int((int64_t)w->max + 1));
		kg_dns_limits_read(&m, &v);
		assert_int_equal(kg_dns_limit_get(&m, w), w->def);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_limits),
		cmocka_unit_test(reads_queries),
		cmocka_unit_test(refuses_queries),
		cmocka_unit_test(fits_answers),
		cmocka_unit_test(makes_nonsense_a_failure),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
