/* What is known of the cluster's names, as it is asked and as it changes. */
#include "base/buf.h"
#include "base/mem.h"
#include "dns/names.h"
#include "dns/splice.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <arpa/inet.h>
#include <arpa/nameser.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#define MANY 4000 /* records of one answer */

static struct kg_names *names;
static uint8_t out[KG_DNS_MAX_ANSWER + 1];

static const char own[] =
	"cluster.local. SOA ns.dns hostmaster.cluster.local. 1 7200 1800 86400 5\n"
	"cluster.local. NS ns.dns\n"
	"96.10.in-addr.arpa. SOA ns.dns hostmaster 1 7200 1800 86400 5\n"
	"dns-version TXT 1.1.0\nns.dns A 10.244.0.1\n";

static void put(unsigned part, const char *text)
{
	struct kg_error err;

	if (kg_names_put(names, part, text, &err) < 0)
		fail_msg("%s", err.msg);
}

static int set_up(void **state)
{
	static const char *const zones[] = {"cluster.local.", "96.10.in-addr.arpa."};

	(void)state;
	names = kg_names_new(zones, 2);
	put(256, own);
	put(1, "web.shop.svc A 10.96.0.7\n_http._tcp.web.shop.svc SRV 0 100 80 web.shop.svc\n"
	       "7.0.96.10.in-addr.arpa. PTR web.shop.svc.cluster.local.\n");
	put(2, "db.shop.svc A 10.244.0.5\ndb.shop.svc A 10.244.0.6\n"
	       "db-0.db.shop.svc A 10.244.0.5\n");
	put(3, "in.shop.svc CNAME web.shop.svc\nout.shop.svc CNAME db.Example.\n"
	       "far.shop.svc CNAME in.shop.svc.cluster.local.\n"
	       "a.shop.svc CNAME b.shop.svc\nb.shop.svc CNAME a.shop.svc\n");
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	kg_names_free(names);
	return 0;
}

static struct kg_dns_query query(const char *name, int type)
{
	uint8_t packet[300] = {0x12, 0x34, 1, 0, 0, 1};
	struct kg_dns_query q;
	uint8_t wire[256];
	int n = kg_record_name(wire, name);

	assert_true(n > 0);
	memcpy(packet + 12, wire, (size_t)n);
	packet[12 + n + 1] = (uint8_t)type;
	packet[12 + n + 3] = ns_c_in;
	assert_int_equal(kg_dns_query_parse(&q, packet, 12 + (size_t)n + 4, true), 0);
	return q;
}

static void print_name(struct kg_buf *to, const ns_msg *msg, const uint8_t *at)
{
	char name[NS_MAXDNAME];

	assert_true(ns_name_uncompress(
			    ns_msg_base(*msg), ns_msg_end(*msg), at, name, sizeof(name)) > 0);
	kg_buf_addf(to, " %s.", name);
}

static void print_record(struct kg_buf *to, const ns_msg *msg, const ns_rr *rr)
{
	const uint8_t *p = ns_rr_rdata(*rr);

	kg_buf_addf(to, " %s. %d", ns_rr_name(*rr), (int)ns_rr_ttl(*rr));
	switch (ns_rr_type(*rr)) {
	case ns_t_a:
		kg_buf_addf(to, " A %d.%d.%d.%d", p[0], p[1], p[2], p[3]);
		break;
	case ns_t_srv:
		kg_buf_addf(
			to, " SRV %d %d %d", p[0] << 8 | p[1], p[2] << 8 | p[3], p[4] << 8 | p[5]);
		print_name(to, msg, p + 6);
		break;
	case ns_t_txt:
		kg_buf_addf(to, " TXT %.*s", p[0], (const char *)p + 1);
		break;
	default:
		kg_buf_adds(to, ns_rr_type(*rr) == ns_t_cname ? " CNAME"
				: ns_rr_type(*rr) == ns_t_ptr ? " PTR"
				: ns_rr_type(*rr) == ns_t_ns  ? " NS"
							      : " SOA");
		print_name(to, msg, p);
	}
}

/* "RCODE: NAME TTL TYPE DATA;...[| authority][ -> target]", as the resolver's library reads it. */
static void print(struct kg_buf *to, size_t len, const char *target)
{
	ns_msg msg;
	ns_rr rr;

	assert_int_equal(ns_initparse(out, (int)len, &msg), 0);
	kg_buf_addf(to, "%d:", ns_msg_getflag(msg, ns_f_rcode));
	for (ns_sect s = ns_s_an; s < ns_s_max; s++) {
		if (s != ns_s_an && ns_msg_count(msg, s))
			kg_buf_adds(to, " |");
		for (int i = 0; i < ns_msg_count(msg, s); i++) {
			assert_int_equal(ns_parserr(&msg, s, i, &rr), 0);
			kg_buf_adds(to, i ? ";" : "");
			print_record(to, &msg, &rr);
		}
	}
	if (*target)
		kg_buf_addf(to, " -> %s", target);
}

static void asked(const char *name, int type, const char *want)
{
	struct kg_dns_query q = query(name, type);
	KG_AUTOBUF struct kg_buf got = KG_BUF_INIT;
	char target[KG_RECORD_NAME];

	print(&got, kg_names_answer(out, target, names, &q), target);
	if (strcmp(got.data, want) != 0)
		fail_msg("%s %d:\n%s\nexpected\n%s", name, type, got.data, want);
}

static void answers(void **state)
{
	(void)state;
	asked("web.shop.svc.cluster.local.", ns_t_a,
		"0: web.shop.svc.cluster.local. 5 A 10.96.0.7");
	asked("WEB.shop.svc.cluster.LOCAL.", ns_t_a,
		"0: WEB.shop.svc.cluster.LOCAL. 5 A 10.96.0.7");
	asked("_http._tcp.web.shop.svc.cluster.local.", ns_t_srv,
		"0: _http._tcp.web.shop.svc.cluster.local. 5 SRV 0 100 80 "
		"web.shop.svc.cluster.local.");
	asked("7.0.96.10.in-addr.arpa.", ns_t_ptr,
		"0: 7.0.96.10.in-addr.arpa. 5 PTR web.shop.svc.cluster.local.");
	asked("dns-version.cluster.local.", ns_t_txt, "0: dns-version.cluster.local. 5 TXT 1.1.0");
	asked("cluster.local.", ns_t_ns, "0: cluster.local. 5 NS ns.dns.cluster.local.");
	assert_true(kg_names_has_zone(names, "a.CLUSTER.local."));
	assert_true(kg_names_has_zone(names, "cluster.local."));
	assert_false(kg_names_has_zone(names, "notcluster.local."));
	assert_false(kg_names_has_zone(names, "local."));
}

#define SOA " | cluster.local. 5 SOA ns.dns.cluster.local."

/* Nothing of that type, and nothing at all. */
static void says_what_there_is_not(void **state)
{
	static const struct {
		const char *name;
		int type, rcode, authority;
	} cases[] = {
		{"web.shop.svc.cluster.local.", ns_t_aaaa, 0, 1},
		{"shop.svc.cluster.local.", ns_t_a, 0, 1},
		{"_tcp.web.shop.svc.cluster.local.", ns_t_a, 0, 1},
		{"svc.cluster.local.", ns_t_any, 0, 1},
		{"nobody.shop.svc.cluster.local.", ns_t_a, ns_r_nxdomain, 1},
		{"0.96.10.in-addr.arpa.", ns_t_ptr, 0, 1},
		{"1.96.10.in-addr.arpa.", ns_t_ptr, ns_r_nxdomain, 1},
	};

	(void)state;
	for (size_t i = 0; i < KG_ARRAY_LEN(cases); i++) {
		struct kg_dns_query q = query(cases[i].name, cases[i].type);
		char target[KG_RECORD_NAME];
		size_t len = kg_names_answer(out, target, names, &q);
		ns_msg msg;
		ns_rr rr;

		assert_int_equal(ns_initparse(out, (int)len, &msg), 0);
		assert_int_equal(ns_msg_getflag(msg, ns_f_rcode), cases[i].rcode);
		assert_int_equal(ns_msg_count(msg, ns_s_an), 0);
		assert_int_equal(ns_msg_count(msg, ns_s_ns), cases[i].authority);
		assert_int_equal(ns_parserr(&msg, ns_s_ns, 0, &rr), 0);
		assert_int_equal(ns_rr_type(rr), ns_t_soa);
		assert_non_null(strstr(cases[i].name, ns_rr_name(rr)));
	}
}

static void follows_aliases(void **state)
{
	(void)state;
	asked("in.shop.svc.cluster.local.", ns_t_a,
		"0: in.shop.svc.cluster.local. 5 CNAME web.shop.svc.cluster.local.; "
		"web.shop.svc.cluster.local. 5 A 10.96.0.7");
	asked("in.shop.svc.cluster.local.", ns_t_cname,
		"0: in.shop.svc.cluster.local. 5 CNAME web.shop.svc.cluster.local.");
	asked("far.shop.svc.cluster.local.", ns_t_a,
		"0: far.shop.svc.cluster.local. 5 CNAME in.shop.svc.cluster.local.; "
		"in.shop.svc.cluster.local. 5 CNAME web.shop.svc.cluster.local.; "
		"web.shop.svc.cluster.local. 5 A 10.96.0.7");
	asked("out.shop.svc.cluster.local.", ns_t_a,
		"0: out.shop.svc.cluster.local. 5 CNAME db.example. -> db.example.");
	asked("a.shop.svc.cluster.local.", ns_t_a, "2:");
}

/* Each is the first one of somebody's. */
static void takes_turns(void **state)
{
	unsigned first[2] = {0};

	(void)state;
	for (uint16_t id = 0; id < 10; id++) {
		struct kg_dns_query q = query("db.shop.svc.cluster.local.", ns_t_a);
		char target[KG_RECORD_NAME];
		ns_msg msg;
		ns_rr rr[2];

		q.id = id;
		size_t len = kg_names_answer(out, target, names, &q);
		assert_int_equal(ns_initparse(out, (int)len, &msg), 0);
		assert_int_equal(ns_msg_count(msg, ns_s_an), 2);
		for (int i = 0; i < 2; i++)
			assert_int_equal(ns_parserr(&msg, ns_s_an, i, &rr[i]), 0);
		assert_int_not_equal(ns_rr_rdata(rr[0])[3], ns_rr_rdata(rr[1])[3]);
		first[ns_rr_rdata(rr[0])[3] - 5]++;
	}
	assert_int_equal(first[0], 5);
	assert_int_equal(first[1], 5);
}

static void changes_by_parts(void **state)
{
	struct kg_error err;

	(void)state;
	put(4, "db.shop.svc A 10.244.0.7\nnew.place.svc A 10.96.0.9\n");
	put(2, "");
	asked("db.shop.svc.cluster.local.", ns_t_a, "0: db.shop.svc.cluster.local. 5 A 10.244.0.7");
	asked("db-0.db.shop.svc.cluster.local.", ns_t_cname, "3:" SOA);
	asked("place.svc.cluster.local.", ns_t_cname, "0:" SOA);
	/* A line that is none: all stays. */
	static const char *const bad[] = {"new.place.svc A 10.96.0.10\nnew.place.svc A x\n",
		"new.place.svc A 10.96.0.10 x\n", "new.place.svc B 1\n", "new..svc A 10.96.0.10\n",
		"new.place.svc\n", "new.place.svc SRV 0 65536 1 a.\n",
		"new.place.svc SRV 0 -1 1 a.\n", "\n", " A 10.96.0.1\n"};
	for (size_t i = 0; i < KG_ARRAY_LEN(bad); i++) {
		assert_true(kg_names_put(names, 4, bad[i], &err) < 0);
		asked("new.place.svc.cluster.local.", ns_t_a,
			"0: new.place.svc.cluster.local. 5 A 10.96.0.9");
	}
	put(4, NULL);
	asked("new.place.svc.cluster.local.", ns_t_cname, "3:" SOA);
	asked("place.svc.cluster.local.", ns_t_cname, "3:" SOA);
	asked("shop.svc.cluster.local.", ns_t_cname, "0:" SOA);
}

/* More than an answer can hold: as many as there is room for, whole. */
static void holds_what_fits(void **state)
{
	KG_AUTOBUF struct kg_buf text = KG_BUF_INIT;
	struct kg_dns_query q = query("many.shop.svc.cluster.local.", ns_t_a);
	char target[KG_RECORD_NAME];
	ns_msg msg;

	(void)state;
	for (int i = 0; i < 5000; i++)
		kg_buf_addf(&text, "many.shop.svc A 10.1.%d.%d\n", i >> 8, i & 0xff);
	put(4, text.data);
	size_t len = kg_names_answer(out, target, names, &q);
	assert_true(len <= KG_DNS_MAX_ANSWER);
	assert_int_equal(ns_initparse(out, (int)len, &msg), 0);
	assert_in_range(ns_msg_count(msg, ns_s_an), 4000, 4999);
}

/* What an alias leads to, as somebody else says it, shortened and all. */
static void splices(void **state)
{
	static const uint8_t elsewhere[] = {0, 9, 0x81, 0x80, 0, 1, 0, 2, 0, 1, 0, 0,
		/* db.example. A */
		2, 'd', 'b', 7, 'e', 'x', 'a', 'm', 'p', 'l', 'e', 0, 0, 1, 0, 1,
		/* db.example. 60 CNAME x.example. */
		0xc0, 12, 0, 5, 0, 1, 0, 0, 0, 60, 0, 4, 1, 'x', 0xc0, 15,
		/* x.example. 60 A 192.0.2.9 */
		0xc0, 40, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 192, 0, 2, 9,
		/* example. 60 NS x.example. */
		0xc0, 15, 0, 2, 0, 1, 0, 0, 0, 60, 0, 2, 0xc0, 40};
	struct kg_dns_query q = query("out.shop.svc.cluster.local.", ns_t_a);
	char target[KG_RECORD_NAME];
	KG_AUTOBUF struct kg_buf got = KG_BUF_INIT;

	(void)state;
	size_t len = kg_names_answer(out, target, names, &q);
	for (size_t n = 0; n < sizeof(elsewhere); n++)
		assert_int_equal(kg_dns_splice(out, len, elsewhere, n), 0);
	len = kg_names_answer(out, target, names, &q);
	len = kg_dns_splice(out, len, elsewhere, sizeof(elsewhere));
	assert_true(len > 0);
	print(&got, len, "");
	assert_string_equal(got.data,
		"0: out.shop.svc.cluster.local. 5 CNAME db.example.; "
		"db.example. 60 CNAME x.example.; x.example. 60 A 192.0.2.9 | "
		"example. 60 NS x.example.");
}

/* Far more than there is room for: the first ones, whole and in order. */
static void splices_many(void **state)
{
	static const uint8_t head[] = {0, 9, 0x81, 0x80, 0, 1, MANY >> 8, MANY & 0xff, 0, 0, 0, 0,
		2, 'd', 'b', 7, 'e', 'x', 'a', 'm', 'p', 'l', 'e', 0, 0, 1, 0, 1};
	static const uint8_t record[] = {0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 192, 0, 0, 0};
	static uint8_t elsewhere[sizeof(head) + MANY * sizeof(record)];
	const size_t whole = strlen("-db-example-") + sizeof(record) - 2;
	struct kg_dns_query q = query("out.shop.svc.cluster.local.", ns_t_a);
	char target[KG_RECORD_NAME];
	ns_msg msg;
	ns_rr rr;

	(void)state;
	memcpy(elsewhere, head, sizeof(head));
	for (int i = 0; i < MANY; i++) {
		uint8_t *p = elsewhere + sizeof(head) + (size_t)i * sizeof(record);

		memcpy(p, record, sizeof(record));
		p[14] = (uint8_t)(i >> 8);
		p[15] = (uint8_t)i;
	}
	size_t alias = kg_names_answer(out, target, names, &q);
	size_t len = kg_dns_splice(out, alias, elsewhere, sizeof(elsewhere));
	assert_in_range(len, KG_DNS_MAX_ANSWER - whole + 1, KG_DNS_MAX_ANSWER);
	assert_int_equal(ns_initparse(out, (int)len, &msg), 0);
	assert_int_equal(ns_msg_count(msg, ns_s_an), 1 + (len - alias) / whole);
	for (int i = 0; i < ns_msg_count(msg, ns_s_an) - 1; i++) {
		assert_int_equal(ns_parserr(&msg, ns_s_an, 1 + i, &rr), 0);
		assert_string_equal(ns_rr_name(rr), "db.example");
		assert_int_equal(ns_rr_rdata(rr)[2] << 8 | ns_rr_rdata(rr)[3], i);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(answers, set_up, tear_down),
		cmocka_unit_test_setup_teardown(says_what_there_is_not, set_up, tear_down),
		cmocka_unit_test_setup_teardown(follows_aliases, set_up, tear_down),
		cmocka_unit_test_setup_teardown(takes_turns, set_up, tear_down),
		cmocka_unit_test_setup_teardown(changes_by_parts, set_up, tear_down),
		cmocka_unit_test_setup_teardown(holds_what_fits, set_up, tear_down),
		cmocka_unit_test_setup_teardown(splices, set_up, tear_down),
		cmocka_unit_test_setup_teardown(splices_many, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
