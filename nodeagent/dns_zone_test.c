#include "base/mem.h"
#include "nodeagent/dns_zone.h"
#include "value/json.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <arpa/inet.h>
#include <cmocka.h>
#include <string.h>

static const struct {
	const char *what, *service, *names, *pointers;
} cases[] = {
	{"a cluster IP",
		"{\"name\": \"web\", \"namespace\": \"shop\", \"clusterIP\": \"10.96.0.7\", "
		"\"ports\": "
		"[{\"name\": \"http\", \"protocol\": \"TCP\", \"port\": 80}, {\"protocol\": "
		"\"UDP\", "
		"\"port\": 53}]}",
		"web.shop.svc A 10.96.0.7\n"
		"_http._tcp.web.shop.svc SRV 0 100 80 web.shop.svc\n",
		"10.96.0.7 web.shop.svc.cluster.local.\n"},
	{"headless",
		"{\"name\": \"db\", \"namespace\": \"shop\", \"clusterIP\": \"None\", \"hosts\": "
		"[{\"address\": \"10.244.0.5\", \"hostname\": \"db-0\"}, {\"address\": "
		"\"10.244.1.6\"}], \"ports\": [{\"name\": \"sql\", \"protocol\": \"TCP\", "
		"\"port\": 1, "
		"\"endpoints\": [\"10.244.0.5:5432\", \"10.244.0.50:1\", \"10.244.1.6:5433\"]}]}",
		"db.shop.svc A 10.244.0.5\ndb-0.db.shop.svc A 10.244.0.5\n"
		"_sql._tcp.db.shop.svc SRV 0 100 5432 db-0.db.shop.svc\n"
		"db.shop.svc A 10.244.1.6\n10-244-1-6.db.shop.svc A 10.244.1.6\n"
		"_sql._tcp.db.shop.svc SRV 0 100 5433 10-244-1-6.db.shop.svc\n",
		"10.244.0.5 db-0.db.shop.svc.cluster.local.\n"},
	{"headless: two names of one address, and an address without one",
		"{\"name\": \"db\", \"namespace\": \"shop\", \"clusterIP\": \"None\", \"hosts\": "
		"[{\"address\": \"192.0.2.7\", \"hostname\": \"a\"}, {\"address\": \"192.0.2.7\", "
		"\"hostname\": \"b\"}, {\"address\": \"192.0.2.8\"}], \"ports\": [{\"name\": "
		"\"sql\", "
		"\"protocol\": \"UDP\", \"port\": 1, \"endpoints\": [\"192.0.2.7:1\"]}]}",
		"db.shop.svc A 192.0.2.7\na.db.shop.svc A 192.0.2.7\n"
		"_sql._udp.db.shop.svc SRV 0 100 1 a.db.shop.svc\n"
		"b.db.shop.svc A 192.0.2.7\n"
		"_sql._udp.db.shop.svc SRV 0 100 1 b.db.shop.svc\n"
		"db.shop.svc A 192.0.2.8\n192-0-2-8.db.shop.svc A 192.0.2.8\n",
		"192.0.2.7 a.db.shop.svc.cluster.local.\n192.0.2.7 b.db.shop.svc.cluster.local.\n"},
	{"headless, of nobody",
		"{\"name\": \"db\", \"namespace\": \"shop\", \"clusterIP\": \"None\"}", "", ""},
	{"an external name",
		"{\"name\": \"out\", \"namespace\": \"shop\", \"externalName\": \"db.example\"}",
		"out.shop.svc CNAME db.example.\n", ""},
	{"an external name with its dot",
		"{\"name\": \"out\", \"namespace\": \"shop\", \"externalName\": \"db.example.\"}",
		"out.shop.svc CNAME db.example.\n", ""},
	{"what is no name",
		"{\"name\": \"out\", \"namespace\": \"shop\", \"externalName\": \"a b\\n$INCLUDE "
		"/etc\"}",
		"", ""},
	{"what is no address",
		"{\"name\": \"web\", \"namespace\": \"shop\", \"clusterIP\": \"10.96.0.7 ; x\"}",
		"", ""},
	{"a hostname that is none",
		"{\"name\": \"db\", \"namespace\": \"shop\", \"clusterIP\": \"None\", \"hosts\": "
		"[{\"address\": \"10.244.0.5\", \"hostname\": \"a;b\"}]}",
		"db.shop.svc A 10.244.0.5\n10-244-0-5.db.shop.svc A 10.244.0.5\n", ""},
};

static void makes_records(void **state)
{
	(void)state;
	for (size_t i = 0; i < KG_ARRAY_LEN(cases); i++) {
		struct kg_arena a KG_CLEANUP(kg_arena_release) = KG_ARENA_INIT;
		KG_AUTOBUF struct kg_buf names = KG_BUF_INIT, pointers = KG_BUF_INIT;
		struct kg_value v;
		struct kg_error err;

		if (kg_json_parse(&v, &a, cases[i].service, strlen(cases[i].service), &err) < 0)
			fail_msg("%s: %s", cases[i].what, err.msg);
		kg_dns_records(&names, &pointers, &v, "cluster.local");
		if (strcmp(kg_buf_str(&names), cases[i].names) != 0 ||
			strcmp(kg_buf_str(&pointers), cases[i].pointers) != 0)
			fail_msg("%s:\n%s%s", cases[i].what, kg_buf_str(&names),
				kg_buf_str(&pointers));
	}
}

#define L60 "aaaaaaaaaabbbbbbbbbbccccccccccddddddddddeeeeeeeeeeffffffffff"

/* Nothing that would make the zone unreadable: a label of 64 bytes, a name of more than 253. */
static void leaves_out_what_is_too_long(void **state)
{
	static const struct {
		const char *domain, *service, *names;
	} longs[] = {
		{"cluster.local",
			"{\"name\": \"out\", \"namespace\": \"shop\", \"externalName\": \"" L60
			"xyz.example\"}",
			"out.shop.svc CNAME " L60 "xyz.example.\n"},
		{"cluster.local",
			"{\"name\": \"out\", \"namespace\": \"shop\", \"externalName\": \"" L60
			"wxyz.example\"}",
			""},
		{"cluster.local",
			"{\"name\": \"web\", \"namespace\": \"shop\", \"clusterIP\": "
			"\"10.96.0.7\", "
			"\"ports\": [{\"name\": \"" L60 "xyz\", \"port\": 1}, {\"name\": \"" L60
			"xy\", \"port\": 2}]}",
			"web.shop.svc A 10.96.0.7\n_" L60
			"xy._tcp.web.shop.svc SRV 0 100 2 web.shop.svc\n"},
		/* 247 bytes with what is in front of it: 6 are left. */
		{L60 ".aaaaaaaaaabbbbbbbbbbccccccccccddddddddddeeeeeeeeee.abcdef",
			"{\"name\": \"" L60 "xyz\", \"namespace\": \"" L60
			"\", \"clusterIP\": \"None\", \"hosts\": [{\"address\": \"10.244.0.5\", "
			"\"hostname\": \"abc\"}, {\"address\": \"10.244.0.6\", \"hostname\": "
			"\"abcdefgh\"}]}",
			NULL},
		{L60 "." L60 "." L60,
			"{\"name\": \"" L60 "\", \"namespace\": \"" L60
			"\", \"clusterIP\": \"10.96.0.7\"}",
			""},
	};

	(void)state;
	for (size_t i = 0; i < KG_ARRAY_LEN(longs); i++) {
		struct kg_arena a KG_CLEANUP(kg_arena_release) = KG_ARENA_INIT;
		KG_AUTOBUF struct kg_buf names = KG_BUF_INIT, pointers = KG_BUF_INIT;
		struct kg_value v;
		struct kg_error err;

		assert_int_equal(
			kg_json_parse(&v, &a, longs[i].service, strlen(longs[i].service), &err), 0);
		kg_dns_records(&names, &pointers, &v, longs[i].domain);
		if (longs[i].names)
			assert_string_equal(kg_buf_str(&names), longs[i].names);
		for (const char *line = kg_buf_str(&names); *line; line = strchr(line, '\n') + 1)
			assert_true(strcspn(line, " ") + 1 + strlen(longs[i].domain) <= 253);
		if (!longs[i].names) {
			assert_non_null(strstr(kg_buf_str(&names), "\nabc." L60));
			assert_non_null(strstr(kg_buf_str(&names), " A 10.244.0.6\n"));
			assert_null(strstr(kg_buf_str(&names), "abcdefgh"));
		}
	}
}

static void cuts_ranges_at_octets(void **state)
{
	static const struct {
		const char *range;
		size_t n;
		const char *first, *last;
	} ranges[] = {
		{"10.96.0.0/12", 16, "96.10.in-addr.arpa.", "111.10.in-addr.arpa."},
		{"10.244.0.0/16", 1, "244.10.in-addr.arpa.", "244.10.in-addr.arpa."},
		{"10.244.8.0/22", 4, "8.244.10.in-addr.arpa.", "11.244.10.in-addr.arpa."},
		{"10.244.8.128/25", 1, "8.244.10.in-addr.arpa.", "8.244.10.in-addr.arpa."},
		{"10.0.0.0/8", 1, "10.in-addr.arpa.", "10.in-addr.arpa."},
		{"172.16.0.0/9", 128, "0.172.in-addr.arpa.", "127.172.in-addr.arpa."},
	};

	(void)state;
	for (size_t i = 0; i < KG_ARRAY_LEN(ranges); i++) {
		struct kg_dns_zones z;
		struct kg_cidr range;
		struct kg_error err;

		assert_int_equal(kg_cidr_parse(&range, ranges[i].range, &err), 0);
		kg_dns_zones_init(&z, "cluster.local", &range, 1);
		assert_int_equal(z.n, 1 + ranges[i].n);
		assert_string_equal(z.names[0], "cluster.local.");
		assert_string_equal(z.names[1], ranges[i].first);
		assert_string_equal(z.names[z.n - 1], ranges[i].last);
		kg_dns_zones_release(&z);
	}
}

static void files_pointers(void **state)
{
	KG_AUTOBUF struct kg_buf text = KG_BUF_INIT;
	struct kg_cidr ranges[2];
	struct kg_dns_zones z;
	struct kg_error err;

	(void)state;
	assert_int_equal(kg_cidr_parse(&ranges[0], "10.244.0.0/16", &err), 0);
	assert_int_equal(kg_cidr_parse(&ranges[1], "10.244.8.0/22", &err), 0);
	kg_dns_zones_init(&z, "cluster.local", ranges, 2);
	kg_dns_zones_pointers(&text, &z,
		"10.244.1.2 a.cluster.local.\n10.244.9.3 b.cluster.local.\n"
		"192.0.2.1 c.cluster.local.\n");
	assert_string_equal(kg_buf_str(&text), "2.1.244.10.in-addr.arpa. PTR a.cluster.local.\n"
					       "3.9.244.10.in-addr.arpa. PTR b.cluster.local.\n");
	kg_buf_clear(&text);
	kg_dns_zones_own(&text, &z, "cluster.local", inet_addr("10.244.0.1"));
	assert_non_null(strstr(kg_buf_str(&text), "\nns.dns A 10.244.0.1\n"));
	for (size_t i = 0; i < z.n; i++) {
		KG_AUTOFREE char *soa = kg_asprintf("%s SOA ns.dns.cluster.local. ", z.names[i]);

		assert_non_null(strstr(kg_buf_str(&text), soa));
	}
	kg_dns_zones_release(&z);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(makes_records),
		cmocka_unit_test(leaves_out_what_is_too_long),
		cmocka_unit_test(cuts_ranges_at_octets),
		cmocka_unit_test(files_pointers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
