#include "nodeagent/logs.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
/* cmocka wants those first */
#include <cmocka.h>

#include "base/mem.h"
#include "base/time.h"
#include "sys/file.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char base[64];

static char *path_of(const char *name)
{
	return kg_asprintf("%s/pods/aa/%s", base, name);
}

static void put(const char *name, const char *text)
{
	KG_AUTOFREE char *p = path_of(name);
	struct kg_error err;
	if (kg_file_replace(p, text, strlen(text), 0600, &err) < 0)
		fail_msg("%s", err.msg);
}

static void append(const char *name, const char *text)
{
	KG_AUTOFREE char *p = path_of(name);
	FILE *f = fopen(p, "ae");
	assert_non_null(f);
	fputs(text, f);
	fclose(f);
}

static int set_up(void **state)
{
	struct kg_error err;
	(void)state;
	snprintf(base, sizeof(base), "/tmp/kgit-logs-XXXXXX");
	assert_non_null(mkdtemp(base));
	KG_AUTOFREE char *p = path_of("");
	KG_AUTOFREE char *run = kg_asprintf("%s/run/pods/aa", base);
	int rc = kg_mkdir_p(p, 0755, &err);
	return rc < 0 ? rc : kg_mkdir_p(run, 0755, &err);
}

static int tear_down(void **state)
{
	struct kg_error err;
	(void)state;
	return kg_remove_tree(base, &err);
}

#define T(s) "2026-11-26T04:00:0" s "00000001+00:00 stdout "
static const char three[] =
	T("1.1") "F one\n" T("2.2") "P tw\n" T("2.3") "F o\n" T("3.5") "F three\n";

static void read_all(struct kg_buf *out, struct kg_log_reader *r, int wait_ms)
{
	char buf[7]; /* small: pieces are put together */
	for (ssize_t n; (n = kg_log_read(r, buf, sizeof(buf), wait_ms)) > 0;)
		kg_buf_add(out, buf, (size_t)n);
}

static void expect(const struct kg_log_request *req, const char *text)
{
	struct kg_log_reader *r;
	struct kg_error err;
	KG_AUTOBUF struct kg_buf b = KG_BUF_INIT;
	if (kg_log_open_in(&r, base, req, &err) < 0)
		fail_msg("%s", err.msg);
	read_all(&b, r, 0);
	assert_string_equal(kg_buf_str(&b), text);
	kg_log_close(r);
}

static void test_reads(void **state)
{
	(void)state;
	put("web.0.log", T("0.0") "F before\n");
	put("web.1.log", three);
	struct kg_log_request q = {.uid = "aa", .tail = -1};
	expect(&q, "one\ntwo\nthree\n");
	q.tail = 2;
	expect(&q, "two\nthree\n");
	q.tail = 0;
	expect(&q, "");
	q.tail = 99;
	expect(&q, "one\ntwo\nthree\n");
	q.tail = -1;
	q.limit_bytes = 5;
	expect(&q, "one\nt");
	q.limit_bytes = 0;
	q.previous = true;
	expect(&q, "before\n");
	q.previous = false;
	q.timestamps = true;
	q.tail = 2;
	expect(&q, "2026-11-26T04:00:02.200000001Z two\n"
		   "2026-11-26T04:00:03.500000001Z three\n");
	q = (struct kg_log_request){.uid = "aa", .container = "web", .tail = -1};
	assert_int_equal(kg_time_parse(&q.since_ms, "2026-11-26T04:00:02Z"), 0);
	expect(&q, "two\nthree\n");
	/* A last line that has no end yet is a line. */
	put("web.1.log", T("1.1") "F one\n" T("2.2") "P tw\n" T("2.3") "F o\n" T("3.5") "P thr\n" T(
				 "3.6") "P ee\n");
	q = (struct kg_log_request){.uid = "aa", .container = "web", .tail = 2};
	expect(&q, "two\nthree");
	q.tail = 1;
	expect(&q, "three");
}

static void test_refusals(void **state)
{
	static const struct {
		struct kg_log_request q;
		int code;
	} cases[] = {
		{{.uid = "bb"}, KG_E_NOT_FOUND},
		{{.uid = "../aa"}, KG_E_BAD_REQUEST},
		{{.uid = ""}, KG_E_BAD_REQUEST},
		{{.uid = "aa"}, KG_E_BAD_REQUEST}, /* two containers */
		{{.uid = "aa", .container = "../web"}, KG_E_BAD_REQUEST},
		{{.uid = "aa", .container = "none"}, KG_E_BAD_REQUEST},
		{{.uid = "aa", .container = "web", .previous = true}, KG_E_BAD_REQUEST},
	};
	struct kg_error err;
	(void)state;
	put("web.0.log", three);
	put("other.0.log", three);
	for (size_t i = 0; i < KG_ARRAY_LEN(cases); i++) {
		struct kg_log_reader *r;
		assert_int_equal(kg_log_open_in(&r, base, &cases[i].q, &err), -cases[i].code);
	}
}

static void test_rotation(void **state)
{
	KG_AUTOFREE char *log = path_of("web.0.log");
	struct kg_error err;
	(void)state;
	for (char c = 'a'; c <= 'g'; c++) {
		char line[200];
		snprintf(line, sizeof(line), T("1.0") "F %c\n", c);
		put("web.0.log", line);
		assert_int_equal(kg_log_rotate(log, 1000, 3, &err), 0);
		assert_int_equal(kg_log_rotate(log, 10, 3, &err), 1);
	}
	put("web.0.log", T("1.0") "F now\n");
	struct kg_log_request q = {.uid = "aa", .tail = -1};
	expect(&q, "f\ng\nnow\n");
	q.tail = 2;
	expect(&q, "g\nnow\n");
}

/* What is written between the look for the tail and the reading is none of it. */
static void test_tail_of_what_grows(void **state)
{
	static const struct {
		int64_t tail;
		const char *end, *text;
	} cases[] = {
		{2, three, "two\nthree\n"},
		{1, three, "three\n"},
		{0, three, ""},
		{9, three, "one\ntwo\nthree\nmore\nand more\n"},
		{2, T("1.1") "F one\n" T("2.2") "P tw\n", "one\ntwmore\n"},
	};

	(void)state;
	for (size_t i = 0; i < KG_ARRAY_LEN(cases); i++) {
		struct kg_log_request q = {.uid = "aa", .tail = cases[i].tail};
		KG_AUTOBUF struct kg_buf b = KG_BUF_INIT;
		struct kg_log_reader *r;
		struct kg_error err;

		put("web.0.log", cases[i].end);
		assert_int_equal(kg_log_open_in(&r, base, &q, &err), 0);
		append("web.0.log", T("4.0") "F more\n" T("5.0") "F and more\n");
		read_all(&b, r, 0);
		assert_string_equal(kg_buf_str(&b), cases[i].text);
		kg_log_close(r);
	}
}

static void say_phase(int phase)
{
	char text[200];
	snprintf(text, sizeof(text),
		"{\"state\":{\"containers\":[{\"name\":\"web\",\"phase\":%d,\"restarts\":0}]}}",
		phase);
	put("../../run/pods/aa/record.json", text);
}

/* Of a container's attempts the last two stay; others' files are not touched. */
static void test_forgetting(void **state)
{
	static const char *const files[] = {"web.0.log", "web.0.log.1", "web.1.log", "web.2.log.4",
		"web.9.log", "web.10.log", "web-x.0.log", "x.0.log", "web.upper", "web.0.logs",
		"web.log"};
	KG_AUTOFREE char *dir = path_of("");
	struct kg_error err;
	(void)state;
	for (size_t i = 0; i < KG_ARRAY_LEN(files); i++)
		put(files[i], "");
	assert_int_equal(kg_logs_forget(dir, "web", -1, &err), 0);
	for (int first = 0; first <= 9; first += 9) {
		assert_int_equal(kg_logs_forget(dir, "web", first, &err), 0);
		for (size_t i = 0; i < KG_ARRAY_LEN(files); i++) {
			KG_AUTOFREE char *p = path_of(files[i]);
			assert_int_equal(access(p, F_OK), first && i < 4 ? -1 : 0);
		}
	}
}

/* Writes, rotates, writes and ends, as conmon and the agent do. */
static void *writer(void *arg)
{
	KG_AUTOFREE char *log = path_of("web.0.log");
	struct kg_error err;
	(void)arg;
	append("web.0.log", T("2.0") "F more\n");
	kg_log_rotate(log, 1, 3, &err);
	put("web.0.log", T("3.0") "F rotated\n");
	append("web.0.log", T("4.0") "F last\n");
	say_phase(3);
	return NULL;
}

static void test_follow(void **state)
{
	struct kg_log_request q = {.uid = "aa", .tail = -1, .follow = true};
	struct kg_log_reader *r;
	struct kg_error err;
	KG_AUTOBUF struct kg_buf b = KG_BUF_INIT;
	char buf[100];
	pthread_t t;
	(void)state;
	say_phase(2);
	put("web.0.log", T("1.0") "F first\n");
	assert_int_equal(kg_log_open_in(&r, base, &q, &err), 0);
	assert_int_equal(kg_log_read(r, buf, sizeof(buf), 1000), 6);
	assert_int_equal(kg_log_read(r, buf, sizeof(buf), 1), -1);
	assert_int_equal(pthread_create(&t, NULL, writer, NULL), 0);
	read_all(&b, r, 10000);
	assert_string_equal(kg_buf_str(&b), "more\nrotated\nlast\n");
	pthread_join(t, NULL);
	kg_log_close(r);
}

/* Writes, rotates and writes while the reader waits for the record, which then says that the
 * container has ended. */
static void *late_writer(void *arg)
{
	static const char record[] =
		"{\"state\":{\"containers\":[{\"name\":\"web\",\"phase\":3,\"restarts\":0}]}}";
	KG_AUTOFREE char *log = path_of("web.0.log");
	struct kg_error err;
	int fd = open(arg, O_WRONLY | O_CLOEXEC); /* when the reader opens it, too */
	append("web.0.log", T("2.0") "F more\n");
	kg_log_rotate(log, 1, 3, &err);
	put("web.0.log", T("3.0") "F rotated\n");
	unlink(arg);
	put("../../run/pods/aa/record.json", record);
	(void)!write(fd, record, strlen(record));
	close(fd);
	return NULL;
}

static void test_follow_to_the_end(void **state)
{
	struct kg_log_request q = {.uid = "aa", .tail = -1, .follow = true};
	KG_AUTOFREE char *record = path_of("../../run/pods/aa/record.json");
	KG_AUTOBUF struct kg_buf b = KG_BUF_INIT;
	struct kg_log_reader *r;
	struct kg_error err;
	char buf[100];
	pthread_t t;
	(void)state;
	say_phase(2);
	put("web.0.log", T("1.0") "F first\n");
	assert_int_equal(kg_log_open_in(&r, base, &q, &err), 0);
	assert_int_equal(kg_log_read(r, buf, sizeof(buf), 1000), 6);
	assert_int_equal(unlink(record), 0);
	assert_int_equal(mkfifo(record, 0600), 0);
	assert_int_equal(pthread_create(&t, NULL, late_writer, record), 0);
	read_all(&b, r, 1000);
	pthread_join(t, NULL);
	kg_log_close(r);
	assert_string_equal(kg_buf_str(&b), "more\nrotated\n");
}

static void test_messages(void **state)
{
	KG_AUTOFREE char *term = path_of("web.term"), *log = path_of("web.0.log");
	(void)state;
	put("web.0.log", three);
	assert_null(kg_term_message(term, log, "File", true));
	assert_null(kg_term_message(term, log, "FallbackToLogsOnError", false));
	KG_AUTOFREE char *m = kg_term_message(term, log, "FallbackToLogsOnError", true);
	assert_string_equal(m, "one\ntwo\nthree\n");
	put("web.term", "a\xff\xc3\xa4\xed\xa0\x80.");
	KG_AUTOFREE char *u = kg_term_message(term, log, "File", false);
	assert_string_equal(u, "a?\xc3\xa4???.");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_reads, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_refusals, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_tail_of_what_grows, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_rotation, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_forgetting, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_follow, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_follow_to_the_end, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_messages, set_up, tear_down),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
