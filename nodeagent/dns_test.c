/* What the node's name server answers, and whom. */
#include "dns_testing.h"
#include "sys/file.h"
#include "value/testing.h"

#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

static bool web_is_7(void)
{
	return dt_is("web.shop.svc.cluster.local", "10.96.0.7");
}

static bool web_is_8(void)
{
	return dt_is("web.shop.svc.cluster.local", "10.96.0.8");
}

static bool web_is_unknown(void)
{
	return dt_ask("web.shop.svc.cluster.local", ns_t_a) == ns_r_nxdomain;
}

static void knows_services(void **state)
{
	(void)state;
	dt_put_web("10.96.0.7");
	dt_run_until(web_is_7, "a Service");
	assert_true(dt_is("WEB.shop.svc.Cluster.Local", "10.96.0.7"));
	assert_int_equal(dt_ask("web.shop.svc.cluster.local", ns_t_aaaa), 0);
	assert_int_equal(ns_msg_count(dt.msg, ns_s_an), 0);
	assert_int_equal(dt_ask("7.0.96.10.in-addr.arpa", ns_t_ptr), 0);
	assert_int_equal(ns_msg_count(dt.msg, ns_s_an), 1);
	assert_int_equal(dt_ask("8.0.96.10.in-addr.arpa", ns_t_ptr), ns_r_nxdomain);
	assert_int_equal(dt_ask("nothing.shop.svc.cluster.local", ns_t_a), ns_r_nxdomain);
	assert_int_equal(dt_ask("shop.svc.cluster.local", ns_t_a), 0);
	dt_put_web("10.96.0.8");
	dt_run_until(web_is_8, "its new address");
	dt_put("shop/web", NULL);
	kg_dns_commit(dt.dns);
	dt_run_until(web_is_unknown, "its end");
}

/* The part that has a text, if any, and what tells it from the one before. */
static ino_t part_with(const char *text, unsigned *which)
{
	for (unsigned i = 0; i < 257; i++) {
		KG_AUTOFREE char *path = kg_asprintf("%s/part-%u", dt.own_dir, i);
		KG_AUTOBUF struct kg_buf had = KG_BUF_INIT;
		struct kg_error err;
		struct stat st;

		dt_must(kg_file_read(&had, path, 1 << 20, &err), &err);
		assert_int_equal(stat(path, &st), 0);
		*which = i;
		if (strstr(kg_buf_str(&had), text))
			return st.st_ino;
	}
	return 0;
}

static bool web_has_https(void)
{
	return dt_ask("_https._tcp.web.shop.svc.cluster.local", ns_t_srv) == 0 &&
	       ns_msg_count(dt.msg, ns_s_an) == 1;
}

static bool other_is_70(void)
{
	return dt_is("other.shop.svc.cluster.local", "10.96.0.70");
}

static bool other_is_unknown(void)
{
	return dt_ask("other.shop.svc.cluster.local", ns_t_a) == ns_r_nxdomain;
}

/* What did not change is not written again. */
static void writes_what_changed(void **state)
{
	unsigned web, other, own;

	(void)state;
	dt_put_web("10.96.0.7");
	dt_put("shop/other", "{\"name\":\"other\",\"namespace\":\"shop\",\"clusterIP\":"
			     "\"10.96.0.70\"}");
	kg_dns_commit(dt.dns);
	dt_run_until(web_is_7, "the service");
	dt_run_until(other_is_70, "the other one");
	ino_t web_file = part_with("web.shop", &web), other_file = part_with("other.shop", &other);
	ino_t own_file = part_with("cluster.local. SOA", &own);
	assert_true(web_file && other_file && web != other && own == 256);
	dt_put("shop/web", "{\"name\":\"web\",\"namespace\":\"shop\",\"clusterIP\":\"10.96.0.7\","
			   "\"ports\":[{\"name\":\"https\",\"port\":443}]}");
	kg_dns_commit(dt.dns);
	dt_run_until(web_has_https, "its port");
	assert_true(part_with("web.shop", &web) != web_file);
	assert_int_equal(part_with("other.shop", &other), other_file);
	assert_int_equal(part_with("cluster.local. SOA", &own), own_file);
	dt_put("shop/web", NULL);
	kg_dns_commit(dt.dns);
	dt_run_until(web_is_unknown, "its end");
	assert_int_equal(part_with("web.shop", &web), 0);
	assert_true(other_is_70());
	dt_put("shop/other", NULL);
	kg_dns_commit(dt.dns);
	dt_run_until(other_is_unknown, "the other one's end");
}

static void asks_the_hosts_resolver(void **state)
{
	(void)state;
	assert_true(dt_forwards());
	assert_int_equal(dt_ask("nothing.example", ns_t_a), ns_r_nxdomain);
	assert_int_equal(dt_ask("many.example", ns_t_a), 0);
	assert_int_equal(ns_msg_getflag(dt.msg, ns_f_tc), 1);
	assert_in_range(ns_msg_count(dt.msg, ns_s_an), 20, 40);
	assert_int_equal(dt_ask_by(SOCK_STREAM, DT_SERVER, "many.example", ns_t_a, 0), 0);
	assert_int_equal(ns_msg_getflag(dt.msg, ns_f_tc), 0);
	assert_int_equal(ns_msg_count(dt.msg, ns_s_an), DT_MANY);
}

static bool external(void)
{
	return dt_is("out.shop.svc.cluster.local", "192.0.2.9") &&
	       ns_msg_count(dt.msg, ns_s_an) == 2;
}

static void follows_external_names(void **state)
{
	(void)state;
	dt_put("shop/out",
		"{\"name\": \"out\", \"namespace\": \"shop\", \"externalName\": \"db.example\"}");
	kg_dns_commit(dt.dns);
	dt_run_until(external, "an ExternalName");
}

static bool has_no_upstream(void)
{
	return dt_ask("db.example", ns_t_a) == ns_r_servfail;
}

static void follows_resolv_conf(void **state)
{
	(void)state;
	dt_write("/etc/resolv.conf", "search example\n");
	dt_run_until(has_no_upstream, "no resolver");
	assert_true(dt_serves());
	dt_put_web("10.96.0.7"); /* the zones are read while there is none */
	dt_run_until(web_is_7, "a Service");
	dt_write("/etc/resolv.conf", "# back\nnameserver " DT_UPSTREAM "\n");
	dt_run_until(dt_forwards, "the resolver again");
	dt_run_until(external, "an ExternalName again");
}

static void answers_who_may_ask(void **state)
{
	(void)state;
	assert_int_equal(
		dt_ask_by(SOCK_DGRAM, "127.1.9.9", "ns.dns.cluster.local", ns_t_a, 5000), 0);
	assert_int_equal(
		dt_ask_by(SOCK_DGRAM, "127.3.0.1", "ns.dns.cluster.local", ns_t_a, 200), -1);
	assert_int_equal(
		dt_ask_by(SOCK_STREAM, "127.3.0.1", "ns.dns.cluster.local", ns_t_a, 0), -1);
}

static void bounds_connections(void **state)
{
	int fds[8][32];
	char from[16], byte;

	(void)state;
	for (int i = 0; i < 8; i++) {
		snprintf(from, sizeof(from), "127.1.1.%d", i);
		for (int k = 0; k < 32; k++) {
			fds[i][k] = dt_open(SOCK_STREAM, from, DT_SERVER);
			assert_true(fds[i][k] >= 0);
		}
		assert_true(dt_is_refused(from)); /* one has no more than its share */
		assert_true(i == 7 || dt_ask_by_tcp("127.1.2.1") == 0);
	}
	assert_true(dt_is_refused("127.1.2.1"));
	assert_true(dt_serves()); /* by UDP */
	/* A length that nothing asked can have ends a connection, and makes room. */
	assert_int_equal(send(fds[0][0], "\xff\xff", 2, MSG_NOSIGNAL), 2);
	assert_int_equal(dt_read(fds[0][0], &byte, 1, 5000), 0);
	assert_int_equal(dt_ask_by_tcp("127.1.2.1"), 0);
	for (int i = 0; i < 8; i++)
		for (int k = 0; k < 32; k++)
			close(fds[i][k]);
}

/* Several questions in one segment, and one byte by byte. */
static void reads_a_stream(void **state)
{
	uint8_t queries[1200];
	size_t len = 0;
	KG_AUTOCLOSE int fd = dt_open(SOCK_STREAM, DT_SERVER, DT_SERVER);

	(void)state;
	for (int i = 0; i < 3; i++) {
		size_t n = dt_query(queries + len + 2, "ns.dns.cluster.local", ns_t_a);

		queries[len] = 0;
		queries[len + 1] = (uint8_t)n;
		len += n + 2;
	}
	assert_int_equal(send(fd, queries, len, MSG_NOSIGNAL), len);
	for (int i = 0; i < 3; i++)
		assert_true(dt_read_tcp(fd) > 12);
	for (size_t i = 0; i < len / 3; i++)
		assert_int_equal(send(fd, queries + i, 1, MSG_NOSIGNAL), 1);
	assert_true(dt_read_tcp(fd) > 12);
}

static void keeps_what_it_knew(void **state)
{
	KG_AUTOFREE char *config = kg_asprintf("%s/config.json", dt.own_dir);
	KG_AUTOBUF struct kg_buf before = KG_BUF_INIT;
	struct kg_error err;

	(void)state;
	dt_must(kg_file_read(&before, config, 1 << 20, &err), &err);
	dt_write(config, "{");
	assert_true(dt_serves());
	dt_write(config, "{\"zones\": []}");
	assert_true(dt_serves());
	KG_AUTOFREE char *part = kg_asprintf("%s/part-256", dt.own_dir);
	KG_AUTOBUF struct kg_buf own = KG_BUF_INIT;
	dt_must(kg_file_read(&own, part, 1 << 20, &err), &err);
	dt_write(part, "ns.dns A 127.1.0.2\nns.dns A here\n");
	assert_true(dt_serves());
	dt_write(part, kg_buf_str(&own));
	dt_write(config, kg_buf_str(&before));
	dt_put_web("10.96.0.7");
	dt_run_until(web_is_7, "a Service after that");
}

static void is_not_ended_by_one_name(void **state)
{
	(void)state;
	dt_put("shop/long",
		"{\"name\": \"long\", \"namespace\": \"shop\", \"externalName\": "
		"\"0123456789012345678901234567890123456789012345678901234567890123.example\"}");
	dt_put_web("10.96.0.8");
	dt_run_until(web_is_8, "a Service beside it");
}

/* As many questions as somebody likes to ask whom nobody answers. */
static void knows_services_whatever_else_is_asked(void **state)
{
	KG_AUTOCLOSE int mute = -1;
	int rcode = -1;

	(void)state;
	dt_silence(&mute);
	for (int i = 0; i < 8192 && rcode != ns_r_refused; i++) {
		char name[64];

		/* No faster than they are taken. */
		snprintf(name, sizeof(name), "n%d.example", i);
		rcode = dt_ask_by(SOCK_DGRAM, DT_SERVER, name, ns_t_a, i % 64 ? 0 : 5);
		assert_true(i % 64 || dt_serves());
	}
	assert_int_equal(rcode, ns_r_refused);
	assert_true(dt_serves());
	dt_write("/etc/resolv.conf", "# back at last\nnameserver " DT_UPSTREAM "\n");
}

static int run(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(knows_services),
		cmocka_unit_test(writes_what_changed),
		cmocka_unit_test(asks_the_hosts_resolver),
		cmocka_unit_test(follows_external_names),
		cmocka_unit_test(follows_resolv_conf),
		cmocka_unit_test(answers_who_may_ask),
		cmocka_unit_test(bounds_connections),
		cmocka_unit_test(reads_a_stream),
		cmocka_unit_test(keeps_what_it_knew),
		cmocka_unit_test(is_not_ended_by_one_name),
		cmocka_unit_test(knows_services_whatever_else_is_asked),
	};

	return cmocka_run_group_tests(tests, dt_set_up, dt_tear_down);
}

int main(int argc, char **argv)
{
	return dt_main(argc, argv, run);
}
