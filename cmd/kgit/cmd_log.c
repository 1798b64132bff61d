/* The log of revisions, and the history of one object. */
#include "kgit/fields.h"
#include "kgit/kgit.h"
#include "value/json.h"

#include <getopt.h>
#include <stdio.h>
#include <string.h>

#define SHOWN_LINES 20
#define PAGE        500

struct log_options {
	unsigned long count;
	bool full, pushes, patch, json, all;
	uint64_t from;
	const char *ns, *at;
};

/* ---- revisions ---- */

static void print_entry(const struct kg_value *e, bool all_lines)
{
	const char *body = kg_string(kg_get(e, "body"), "");
	const char *pushed = kg_string(kg_get(e, "pushed"), "");
	struct kg_buf out KG_AUTOBUF = KG_BUF_INIT;
	int lines = 0;

	kg_buf_addf(&out, "revision %lld  ", (long long)kg_int(kg_get(e, "revision"), 0));
	kgit_time_write(&out, kg_get(e, "time"));
	kg_buf_addf(&out, "  %s%s%.12s\n", kg_string(kg_get(e, "author"), ""), *pushed ? "  " : "",
		pushed);
	while (*body) {
		const char *end = strchrnul(body, '\n');

		if (end > body && (all_lines || lines < SHOWN_LINES))
			kg_buf_addf(&out, "    %.*s\n", (int)(end - body), body);
		lines += end > body;
		body = *end ? end + 1 : end;
	}
	if (!lines) /* nothing that has words of its own */
		kg_buf_addf(&out, "    %s\n", kg_string(kg_get(e, "subject"), ""));
	if (!all_lines && lines > SHOWN_LINES)
		kg_buf_addf(&out, "    ... %d more lines (--full)\n", lines - SHOWN_LINES);
	kgit_print(out.data, out.len);
}

/* A list on standard output, item by item as it comes. */
struct json_list {
	bool on, any;
};

static void json_begin(struct json_list *l, bool on)
{
	l->on = on;
	if (on)
		fputs("[", stdout);
}

static void json_item(struct json_list *l, const struct kg_value *v)
{
	struct kg_buf text KG_AUTOBUF = KG_BUF_INIT;

	kg_json_write(&text, v);
	printf("%s\n%s", l->any ? "," : "", kg_buf_str(&text));
	l->any = true;
}

static void json_end(const struct json_list *l)
{
	if (l->on)
		puts("\n]");
}

/* One page; *from is where to go on, 0 at the end. */
static int page_of_log(struct json_list *list, struct kg_http_client *http, uint64_t *from,
	unsigned long *left, const struct log_options *o, struct kg_error *err)
{
	struct kg_arena a KG_CLEANUP(kg_arena_release) = KG_ARENA_INIT;
	unsigned long want = o->pushes || *left > PAGE ? PAGE : *left;
	struct kg_value reply;
	char path[100];

	snprintf(path, sizeof(path), "/kgit/v1/log?limit=%lu&from=%llu", want,
		(unsigned long long)*from);
	int rc = kgit_call(&reply, &a, http, "GET", path, NULL, err);
	if (rc < 0)
		return rc;
	const struct kg_value *entries = kg_get(&reply, "entries");
	for (uint32_t i = 0; i < kg_len(entries) && *left > 0; i++) {
		const struct kg_value *e = &entries->items[i];

		if (o->pushes && kg_is_null(kg_get(e, "pushed")))
			continue;
		if (o->json)
			json_item(list, e);
		else
			print_entry(e, o->full);
		--*left;
	}
	*from = (uint64_t)kg_int(kg_get(&reply, "next"), 0);
	return 0;
}

static int log_revisions(
	struct kg_http_client *http, const struct log_options *o, struct kg_error *err)
{
	unsigned long left = o->count;
	uint64_t from = o->from;
	struct json_list list = {0};
	int rc;

	json_begin(&list, o->json);
	do {
		rc = page_of_log(&list, http, &from, &left, o, err);
	} while (rc == 0 && from && left);
	json_end(&list);
	return rc;
}

/* ---- one object ---- */

/* One version: what made it, and what it was before and after. */
struct version {
	const struct kg_value *entry, *before, *after;
	bool unknown; /* what was before is not retained */
};

static void add_change(struct kg_buf *out, const struct version *v)
{
	if (v->unknown)
		kg_buf_adds(out, "(what was before is not retained)");
	else
		kgit_fields_write(out, v->before, v->after);
}

static struct kg_value version_json(struct kg_arena *a, const struct version *x, bool objects)
{
	struct kg_buf change KG_AUTOBUF = KG_BUF_INIT, cause KG_AUTOBUF = KG_BUF_INIT;
	struct kg_value v = kg_with(a, x->entry, "object", kg_v_null());

	add_change(&change, x);
	kgit_cause_write(&cause, x->entry);
	v = kg_with(a, &v, "change", kg_v_str(a, kg_buf_str(&change)));
	v = kg_with(a, &v, "cause", kg_v_str(a, kg_buf_str(&cause)));
	v = kg_with(a, &v, "fields", kgit_fields_value(a, x->before, x->after));
	if (objects) {
		v = kg_with(a, &v, "before", *x->before);
		v = kg_with(a, &v, "after", *x->after);
	}
	return v;
}

static void print_version(const struct version *v, bool patch)
{
	struct kg_buf text KG_AUTOBUF = KG_BUF_INIT;

	kg_buf_addf(&text, "revision %lld  ", (long long)kg_int(kg_get(v->entry, "revision"), 0));
	kgit_time_write(&text, kg_get(v->entry, "time"));
	kg_buf_adds(&text, "  ");
	kgit_cause_write(&text, v->entry);
	kg_buf_adds(&text, "\n    ");
	add_change(&text, v);
	kg_buf_addc(&text, '\n');
	if (patch && !v->unknown)
		kgit_value_diff(&text, v->before, v->after);
	kgit_print(text.data, text.len);
}

static int page_of_object(struct json_list *list, struct kg_http_client *http,
	const struct kgit_object_name *name, uint64_t *from, unsigned long *left,
	const struct log_options *o, struct kg_error *err)
{
	struct kg_arena a KG_CLEANUP(kg_arena_release) = KG_ARENA_INIT;
	struct kg_value reply;
	int rc = kgit_history(
		&reply, &a, http, name, *from, *left < PAGE ? *left : PAGE, o->all, err);

	if (rc < 0)
		return rc;
	const struct kg_value *entries = kg_get(&reply, "entries");
	bool cut = kg_bool(kg_get(&reply, "cut"), false);
	for (uint32_t i = 0, n = kg_len(entries); i < n; i++) {
		struct version v = {.entry = &entries->items[i]};

		v.after = kg_get(v.entry, "object");
		v.before = i + 1 < n ? kg_get(&entries->items[i + 1], "object")
				     : kg_get(&reply, "before");
		v.unknown = cut && i + 1 == n && kg_is_null(v.before);
		if (o->json) {
			struct kg_value item = version_json(&a, &v, o->patch);
			json_item(list, &item);
		} else {
			print_version(&v, o->patch);
		}
		--*left;
	}
	*from = (uint64_t)kg_int(kg_get(&reply, "next"), 0);
	if (cut)
		fprintf(stderr, "kgit: what was before revision %lld is not retained\n",
			(long long)kg_int(kg_get(&reply, "oldest"), 0));
	return 0;
}

static int log_object(struct kg_http_client *http, const struct kgit_object_name *name,
	const struct log_options *o, struct kg_error *err)
{
	unsigned long left = o->count;
	uint64_t from = o->from;
	struct json_list list = {0};
	int rc;

	json_begin(&list, o->json);
	do {
		rc = page_of_object(&list, http, name, &from, &left, o, err);
	} while (rc == 0 && from && left);
	json_end(&list);
	if (rc < 0 || left < o->count)
		return rc;
	char *words KG_AUTOFREE = kgit_object_words(name);
	return kg_fail(err, KG_E_NOT_FOUND, "there was no %s in the history that is retained%s",
		words, kgit_object_absence(name));
}

/* ---- */

/* 0: go on; else the exit status. */
static int parse(struct log_options *o, int argc, char **argv)
{
	static const struct option options[] = {{"max-count", required_argument, NULL, 'c'},
		{"full", no_argument, NULL, 'f'}, {"pushes", no_argument, NULL, 'P'},
		{"patch", no_argument, NULL, 'p'}, {"output", required_argument, NULL, 'o'},
		{"namespace", required_argument, NULL, 'n'}, {"all", no_argument, NULL, 'a'},
		{"at", required_argument, NULL, 't'}, {0}};
	int c;

	*o = (struct log_options){.count = 50};
	while ((c = getopt_long(argc, argv, "n:o:p", options, NULL)) != -1) {
		char *end = NULL;

		/* -n is git's number and kubectl's namespace: a number is no namespace of anybody.
		 */
		if (c == 'c' || c == 'n') {
			unsigned long n = strtoul(optarg, &end, 10);

			if (*end == '\0' && n > 0 && *optarg != '-')
				o->count = n;
			else if (c == 'c' || n || *optarg == '-' || !*optarg)
				return kgit_bad_usage(&kgit_log_verb, "%s: not \"%s\"",
					c == 'c' ? "--max-count: expected a number above 0"
						 : "-n: expected a number or a namespace",
					optarg);
			else
				o->ns = optarg;
		} else if (c == 'o' && strcmp(optarg, "json") != 0) {
			return kgit_bad_usage(
				&kgit_log_verb, "-o: expected json, got \"%s\"", optarg);
		} else if (c == '?') {
			return 2;
		}
		o->json |= c == 'o';
		o->full |= c == 'f';
		o->pushes |= c == 'P';
		o->patch |= c == 'p';
		o->all |= c == 'a';
		if (c == 't')
			o->at = optarg;
	}
	return 0;
}

static int run(int argc, char **argv, const char *kubeconfig)
{
	struct kgit_cluster cluster KG_CLEANUP(kgit_cluster_release) = {0};
	struct kgit_object_name name;
	struct log_options o;
	struct kg_error err;
	int status = parse(&o, argc, argv);

	if (status)
		return status;
	if (optind < argc && kgit_object_parse(&name, argc - optind, argv + optind, o.ns, &err) < 0)
		return kgit_bad_usage(&kgit_log_verb, "%s", err.msg);
	if (optind == argc && o.ns)
		return kgit_bad_usage(&kgit_log_verb,
			"-n: expected a number above 0, got \"%s\" (a namespace goes with an "
			"object)",
			o.ns);
	if (optind == argc && (o.patch || o.all))
		return kgit_bad_usage(&kgit_log_verb, "-p and --all are of one object's log");
	if (kgit_cluster_find(&cluster, kubeconfig, &err) < 0)
		return kgit_fail(&err);
	struct kg_http_client *http = kgit_connect(&cluster, 0);
	int rc = o.at ? kgit_revision_parse(&o.from, http, o.at, &err) : 0;
	if (rc == 0)
		rc = optind < argc ? log_object(http, &name, &o, &err)
				   : log_revisions(http, &o, &err);
	kg_http_client_free(http);
	return rc < 0 ? kgit_fail(&err) : 0;
}

const struct kgit_verb kgit_log_verb = {
	.name = "log",
	.summary = "revisions, or all that happened to one object: when, by whom, what changed",
	.usage =
		"kgit log [-n N] [--pushes] [--full] [--at REV|TIME] [-o json]\n"
		"       kgit log OBJECT [-n NAMESPACE] [-n N] [-p] [--all] [--at REV|TIME] [-o "
		"json]\n"
		"\n"
		"The newest revisions first: number, time, who caused it, the pushed commit, and "
		"what\n"
		"changed. --pushes leaves out what the system did by itself, --full shows every "
		"line.\n"
		"\n"
		"Of an OBJECT (KIND/NAME or KIND NAME, as kubectl takes it): every revision that\n"
		"changed it, why, and which fields. It is followed from version to version, so its "
		"cost\n"
		"is that of its own changes; only to find when a deleted one was there are "
		"revisions\n"
		"looked at one by one. -p adds the difference as YAML; --all goes on to earlier "
		"objects\n"
		"of that name; --at begins there.\n",
	.run = run,
};
