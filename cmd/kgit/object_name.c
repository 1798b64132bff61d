/* One object: how people name it, and its history as kgitd tells it. */
#include "base/time.h"
#include "kgit/kgit.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

int kgit_object_parse(struct kgit_object_name *out, int argc, char *const *words, const char *ns,
	struct kg_error *err)
{
	const char *slash = argc > 0 ? strchr(words[0], '/') : NULL;
	const char *name = slash ? slash + 1 : argc == 2 ? words[1] : "";
	char *kind KG_AUTOFREE = NULL;

	if (argc < 1 || argc > 2 || (slash && argc != 1) || !*name || strchr(name, '/'))
		return kg_fail(err, KG_E_BAD_REQUEST,
			"expected one object: KIND/NAME or KIND NAME, as kubectl takes it");
	kind = kg_strndup(words[0], slash ? (size_t)(slash - words[0]) : strlen(words[0]));
	*out = (struct kgit_object_name){.kind = kg_kind_by_name(kind)};
	if (!out->kind)
		return kg_fail(err, KG_E_NOT_FOUND, "\"%s\" is no kind of this cluster", kind);
	if (out->kind->flags & KG_KF_SYNTHETIC)
		return kg_fail(err, KG_E_BAD_REQUEST,
			"%s are not stored: they have no history of their own", out->kind->plural);
	if (!ns)
		ns = "default";
	if (strlen(name) >= sizeof(out->name) || strlen(ns) >= sizeof(out->ns))
		return kg_fail(err, KG_E_BAD_REQUEST, "%.40s...: no name is so long",
			strlen(name) >= sizeof(out->name) ? name : ns);
	snprintf(out->name, sizeof(out->name), "%s", name);
	if (out->kind->flags & KG_KF_NAMESPACED)
		snprintf(out->ns, sizeof(out->ns), "%s", ns);
	return 0;
}

const char *kgit_object_absence(const struct kgit_object_name *o)
{
	return o->kind->id == KG_KIND_ENDPOINTS
		       ? "; Endpoints that no manifest defines are made of their Service's pods "
			 "when they are read: ask for the Service"
		       : "";
}

char *kgit_object_words(const struct kgit_object_name *o)
{
	return kg_asprintf("%s %s%s%s", o->kind->kind, o->ns, *o->ns ? "/" : "", o->name);
}

static void add_parameter(struct kg_buf *out, const char *key, const char *value)
{
	kg_buf_addf(out, "&%s=", key);
	kg_buf_add_uri(out, value);
}

int kgit_history(struct kg_value *out, struct kg_arena *a, struct kg_http_client *http,
	const struct kgit_object_name *o, uint64_t from, unsigned limit, bool namesakes,
	struct kg_error *err)
{
	struct kg_buf path KG_AUTOBUF = KG_BUF_INIT;

	kg_buf_addf(&path, "/kgit/v1/history?limit=%u&from=%llu&namesakes=%s", limit,
		(unsigned long long)from, namesakes ? "true" : "false");
	add_parameter(&path, "kind", kg_kind_resource(o->kind));
	if (*o->ns)
		add_parameter(&path, "namespace", o->ns);
	add_parameter(&path, "name", o->name);
	return kgit_call(out, a, http, "GET", path.data, NULL, err);
}

/* "admin" of "admin <admin@kgit>". */
static int name_len(const char *author)
{
	const char *mail = strstr(author, " <");

	return mail ? (int)(mail - author) : (int)strlen(author);
}

void kgit_cause_write(struct kg_buf *out, const struct kg_value *entry)
{
	const struct kg_value *pushed = kg_get(entry, "pushed");
	const char *author = kg_string(kg_get(entry, "author"), "");
	const char *file = kg_string(kg_get(entry, "file"), "");
	int64_t line = kg_int(kg_get(entry, "line"), 0);

	if (pushed->type != KG_OBJECT) {
		kg_buf_adds(out, kg_string(kg_get(entry, "subject"), ""));
		return;
	}
	kg_buf_addf(out, "push by %.*s: \"%s\" (%.12s, %s)", name_len(author), author,
		kg_string(kg_get(pushed, "subject"), ""), kg_string(kg_get(pushed, "commit"), ""),
		kg_string(kg_get(pushed, "author"), ""));
	if (line)
		kg_buf_addf(out, ", %s:%lld", file, (long long)line);
}

void kgit_time_write(struct kg_buf *out, const struct kg_value *time)
{
	char when[40] = "";
	kg_time t = 0;

	if (kg_time_parse(&t, kg_string(time, "")) == 0) {
		time_t seconds = (time_t)(t / 1000);
		struct tm tm;

		strftime(when, sizeof(when), "%Y-%m-%d %H:%M:%S", localtime_r(&seconds, &tm));
	}
	kg_buf_adds(out, when);
}
