#include "nodeagent/resolv.h"
#include "value/json.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

static const char host[] = "# the host's\n"
			   "nameserver 192.0.2.1 ; first\n"
			   "nameserver 192.0.2.2\n"
			   "domain old.example\n"
			   "search corp.example example\n"
			   "options timeout:1 edns0\n"
			   "sortlist 10.0.0.0/8\n";

#define CLUSTER                                                                                    \
	"nameserver 10.244.1.1\n"                                                                  \
	"search shop.svc.cluster.local svc.cluster.local cluster.local corp.example example\n"
#define HOST                                                                                       \
	"nameserver 192.0.2.1\nnameserver 192.0.2.2\nsearch corp.example example\n"                \
	"options timeout:1 edns0\n"

static const struct {
	const char *what, *spec;
	bool dns; /* there is a cluster's */
	const char *want;
} cases[] = {
	{"by default", "{}", true, CLUSTER "options ndots:5\n"},
	{"ClusterFirst", "{\"dnsPolicy\": \"ClusterFirst\"}", true, CLUSTER "options ndots:5\n"},
	{"ClusterFirst on the host's network",
		"{\"dnsPolicy\": \"ClusterFirst\", \"hostNetwork\": true}", true, HOST},
	{"ClusterFirstWithHostNet",
		"{\"dnsPolicy\": \"ClusterFirstWithHostNet\", \"hostNetwork\": true}", true,
		CLUSTER "options ndots:5\n"},
	{"nobody to ask", "{\"dnsPolicy\": \"ClusterFirst\"}", false, HOST},
	{"Default", "{\"dnsPolicy\": \"Default\"}", true, HOST},
	{"None",
		"{\"dnsPolicy\": \"None\", \"dnsConfig\": {\"nameservers\": [\"192.0.2.9\"], "
		"\"searches\": [\"a.example\"], \"options\": [{\"name\": \"ndots\", \"value\": "
		"\"2\"}, {\"name\": \"rotate\"}]}}",
		true, "nameserver 192.0.2.9\nsearch a.example\noptions ndots:2 rotate\n"},
	{"added to the cluster's",
		"{\"dnsConfig\": {\"nameservers\": [\"192.0.2.9\", \"10.244.1.1\"], \"searches\": "
		"[\"a.example\", \"example\"], \"options\": [{\"name\": \"ndots\", \"value\": "
		"\"2\"}, {\"name\": \"edns0\"}]}}",
		true,
		"nameserver 10.244.1.1\nnameserver 192.0.2.9\n"
		"search shop.svc.cluster.local svc.cluster.local cluster.local corp.example "
		"example "
		"a.example\noptions ndots:2 edns0\n"},
	{"no more than three",
		"{\"dnsPolicy\": \"Default\", \"dnsConfig\": {\"nameservers\": [\"192.0.2.3\", "
		"\"192.0.2.4\"]}}",
		true,
		"nameserver 192.0.2.1\nnameserver 192.0.2.2\nnameserver 192.0.2.3\n"
		"search corp.example example\noptions timeout:1 edns0\n"},
};

static void makes_resolv_conf(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct kg_arena a KG_CLEANUP(kg_arena_release) = KG_ARENA_INIT;
		KG_AUTOBUF struct kg_buf out = KG_BUF_INIT;
		struct kg_value spec, dns = kg_cluster_dns(&a, "10.244.1.1", "cluster.local");
		struct kg_value objects = kg_v_array(&a, &dns, cases[i].dns);
		struct kg_error err;

		if (kg_json_parse(&spec, &a, cases[i].spec, strlen(cases[i].spec), &err) < 0)
			fail_msg("%s: %s", cases[i].what, err.msg);
		struct kg_value pod = kg_v_obj(&a, "metadata",
			kg_v_obj(&a, "namespace", kg_v_lit("shop"), (char *)NULL), "spec", spec,
			(char *)NULL);
		kg_resolv_conf(&out, &pod, host, &objects);
		if (strcmp(kg_buf_str(&out), cases[i].want) != 0)
			fail_msg("%s:\n%s\nexpected:\n%s", cases[i].what, kg_buf_str(&out),
				cases[i].want);
	}
}

static void cuts_a_long_search(void **state)
{
	struct kg_arena a KG_CLEANUP(kg_arena_release) = KG_ARENA_INIT;
	KG_AUTOBUF struct kg_buf out = KG_BUF_INIT, text = KG_BUF_INIT;
	struct kg_value pod = kg_v_obj(&a, "spec",
		kg_v_obj(&a, "dnsPolicy", kg_v_lit("Default"), (char *)NULL), (char *)NULL);

	(void)state;
	kg_buf_adds(&text, "search");
	for (int i = 0; i < 40; i++)
		kg_buf_addf(&text, " %0100d.example", i);
	kg_resolv_conf(&out, &pod, kg_buf_str(&text), &kg_null);
	assert_in_range(out.len, 1800, 2049);
	assert_int_equal(out.data[out.len - 1], '\n');
}

static void names_a_pod(void **state)
{
	struct kg_arena a KG_CLEANUP(kg_arena_release) = KG_ARENA_INIT;
	struct kg_value dns = kg_cluster_dns(&a, "10.244.1.1", "cluster.local");
	struct kg_value objects = kg_v_array(&a, &dns, 1);
	struct kg_value meta =
		kg_v_obj(&a, "name", kg_v_lit("db-0"), "namespace", kg_v_lit("shop"), (char *)NULL);
	struct kg_value spec = kg_v_obj(
		&a, "hostname", kg_v_lit("db-0"), "subdomain", kg_v_lit("db"), (char *)NULL);
	struct kg_value pod = kg_v_obj(&a, "metadata", meta, "spec", spec, (char *)NULL);

	(void)state;
	assert_string_equal(kg_pod_fqdn(&a, &pod, &objects), "db-0.db.shop.svc.cluster.local");
	assert_string_equal(kg_pod_fqdn(&a, &pod, &kg_null), "");
	spec = kg_with_key(&a, &spec, "subdomain", kg_v_null());
	pod = kg_with_key(&a, &pod, "spec", spec);
	assert_string_equal(kg_pod_fqdn(&a, &pod, &objects), "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(makes_resolv_conf),
		cmocka_unit_test(cuts_a_long_search),
		cmocka_unit_test(names_a_pod),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
