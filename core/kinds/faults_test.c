/*
 * What is said of bad manifests: testdata/NAME.faults. A file is a row of sections, each begun by
 * a line with an '@':
 *   @def NAME      text that a later line "$NAME" stands for
 *   @case TITLE    a manifest
 *   @after         what it becomes: the faults are then those of the change
 *   @faults        one a line; `faults_test --update` rewrites them, and the diff is the review
 */
#include "kinds/test_util.h"
#include "value/yaml.h"

#include <dirent.h>
#include <stdio.h>

enum { DEFS_MAX = 64, CASES_MIN = 200, LINE_SIZE = 8192 };

static bool update;

struct def {
	char *name;
	struct kg_buf text;
};

/* One file on its way through. */
struct run {
	const char *path;
	struct def defs[DEFS_MAX];
	size_t ndefs;
	struct kg_buf before, after, want; /* of the case being read */
	bool in_case, has_after;
	char title[256];
	struct kg_buf out; /* the file, rewritten */
	int cases, failed;
};

static struct def *find_def(struct run *r, const char *name)
{
	for (size_t i = 0; i < r->ndefs; i++) {
		if (!strcmp(r->defs[i].name, name))
			return &r->defs[i];
	}
	return NULL;
}

static void add_line(struct run *r, struct kg_buf *to, const char *line)
{
	char name[64];

	if (sscanf(line, "$%63s", name) == 1 && *line == '$') {
		const struct def *d = find_def(r, name);
		if (!d)
			fail_msg("%s: no @def %s", r->path, name);
		kg_buf_adds(to, kg_buf_str(&d->text));
	} else {
		kg_buf_adds(to, line);
	}
}

static void judge(struct run *r, struct kg_buf *got)
{
	struct kg_test_read a, b;

	kg_test_read(&a, kg_buf_str(&r->before));
	kg_buf_adds(got, kg_buf_str(&a.text));
	if (r->has_after) {
		kg_test_read(&b, kg_buf_str(&r->after));
		kg_buf_adds(got, kg_buf_str(&b.text));
		size_t first = b.faults.len;
		if (a.len == 1 && b.len == 1)
			kg_schema_check_update(b.items[0].kind->schema, &a.items[0].value,
				&b.items[0].value, "", &b.faults);
		for (size_t i = first; i < b.faults.len; i++) {
			kg_fault_format(got, &b.faults.items[i]);
			kg_buf_addc(got, '\n');
		}
		kg_test_read_release(&b);
	}
	kg_test_read_release(&a);
}

static void end_case(struct run *r)
{
	KG_AUTOBUF struct kg_buf got = KG_BUF_INIT;

	if (!r->in_case)
		return;
	judge(r, &got);
	r->cases++;
	kg_buf_adds(&r->out, "@faults\n");
	kg_buf_adds(&r->out, kg_buf_str(&got));
	if (strcmp(kg_buf_str(&got), kg_buf_str(&r->want)) != 0 && !update) {
		r->failed++;
		print_error("%s: %s: got\n%s\nexpected\n%s\n", r->path, r->title, kg_buf_str(&got),
			kg_buf_str(&r->want));
	}
	kg_buf_clear(&r->before);
	kg_buf_clear(&r->after);
	kg_buf_clear(&r->want);
	r->in_case = r->has_after = false;
}

/* Begins the section that a line with '@' names; where its text goes, or NULL. */
static struct kg_buf *begin(struct run *r, const char *line)
{
	char name[64];

	if (!strncmp(line, "@faults", 7))
		return &r->want;
	if (!strncmp(line, "@after", 6)) {
		r->has_after = true;
		kg_buf_adds(&r->out, line);
		return &r->after;
	}
	end_case(r);
	kg_buf_adds(&r->out, line);
	if (sscanf(line, "@case %255[^\n]", r->title) == 1) {
		r->in_case = true;
		return &r->before;
	}
	if (sscanf(line, "@def %63s", name) != 1 || r->ndefs == DEFS_MAX)
		fail_msg("%s: %s", r->path, line);
	r->defs[r->ndefs].name = kg_strdup(name);
	return &r->defs[r->ndefs++].text;
}

static void run_file(struct run *r)
{
	char line[LINE_SIZE];
	struct kg_buf *to = NULL;
	FILE *in = fopen(r->path, "re");

	if (!in)
		fail_msg("%s: cannot be read", r->path);
	while (fgets(line, sizeof(line), in)) {
		if (*line == '@') {
			to = begin(r, line);
			continue;
		}
		if (to != &r->want)
			kg_buf_adds(&r->out, line);
		if (to)
			add_line(r, to, line);
	}
	fclose(in);
	end_case(r);
}

static void run_release(struct run *r)
{
	for (size_t i = 0; i < r->ndefs; i++) {
		free(r->defs[i].name);
		kg_buf_release(&r->defs[i].text);
	}
	kg_buf_release(&r->before);
	kg_buf_release(&r->after);
	kg_buf_release(&r->want);
	kg_buf_release(&r->out);
}

static void rewrite(const struct run *r)
{
	FILE *out = fopen(r->path, "we");

	assert_non_null(out);
	fwrite(r->out.data, 1, r->out.len, out);
	assert_int_equal(fclose(out), 0);
}

static void test_files(void **state)
{
	static const char dir[] = KGIT_SOURCE_DIR "/core/kinds/testdata";
	DIR *d = opendir(dir);
	int cases = 0, failed = 0;

	(void)state;
	assert_non_null(d);
	for (const struct dirent *e; (e = readdir(d));) {
		size_t n = strlen(e->d_name);
		if (n < 8 || strcmp(e->d_name + n - 7, ".faults") != 0)
			continue;
		KG_AUTOFREE char *path = kg_asprintf("%s/%s", dir, e->d_name);
		struct run r = {.path = path};
		run_file(&r);
		if (update)
			rewrite(&r);
		cases += r.cases;
		failed += r.failed;
		run_release(&r);
	}
	closedir(d);
	print_message("%d cases\n", cases);
	assert_int_equal(failed, 0);
	assert_true(cases >= CASES_MIN);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_files),
	};

	update = argc > 1 && !strcmp(argv[1], "--update");

	kg_kinds_init();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
