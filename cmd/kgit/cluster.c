/* Which cluster, with which credential: kubeconfig files and clones. */
#include "kinds/cluster.h"
#include "base/hash.h"
#include "kgit/kgit.h"
#include "kinds/endpoints.h"
#include "sys/file.h"
#include "sys/spawn.h"
#include "value/json.h"
#include "value/yaml.h"

#include <stdio.h>
#include <string.h>

#define MAX_KUBECONFIG (1 << 20)

void kgit_cluster_release(struct kgit_cluster *c)
{
	free(c->url);
	free(c->ca_pem);
	free(c->cert_pem);
	free(c->key_pem);
	free(c->token);
	free(c->found);
	*c = (struct kgit_cluster){0};
}

struct kg_http_client *kgit_connect(const struct kgit_cluster *c, int timeout_ms)
{
	struct kg_http_client_options opts = {
		.url = c->url,
		.ca_pem = c->ca_pem,
		.cert_pem = c->cert_pem,
		.key_pem = c->key_pem,
		.bearer = c->token,
		.timeout_ms = timeout_ms,
	};

	return kg_http_client_new(&opts);
}

/* ---- kubeconfig ---- */

/* KEY-data (base64) or the file that KEY names, relative to the kubeconfig. */
static int pem_field(char **out, const struct kg_value *v, const char *key, const char *path,
	struct kg_error *err)
{
	char *data_key KG_AUTOFREE = kg_asprintf("%s-data", key);
	const char *data = kg_string(kg_get(v, data_key), NULL);
	const char *file = kg_string(kg_get(v, key), NULL);
	struct kg_buf text = KG_BUF_INIT;
	size_t n;

	if (data) {
		*out = (char *)kg_base64_decode(data, strlen(data), &n);
		return *out ? 0
			    : kg_fail(err, KG_E_INVALID, "%s: %s is not base64", path, data_key);
	}
	if (!file)
		return 0;
	const char *slash = strrchr(path, '/');
	char *full KG_AUTOFREE = *file == '/' || !slash
					 ? kg_strdup(file)
					 : kg_asprintf("%.*s/%s", (int)(slash - path), path, file);
	int rc = kg_file_read(&text, full, MAX_KUBECONFIG, err);
	if (rc == 0)
		*out = kg_buf_steal(&text);
	kg_buf_release(&text);
	return rc;
}

static const struct kg_value *named(
	const struct kg_value *doc, const char *list, const char *name, const char *member)
{
	return kg_get(kg_find(kg_get(doc, list), "name", name), member);
}

static int from_kubeconfig(struct kgit_cluster *out, const char *path, struct kg_error *err)
{
	struct kg_arena a KG_CLEANUP(kg_arena_release) = KG_ARENA_INIT;
	struct kg_buf text KG_AUTOBUF = KG_BUF_INIT;
	struct kg_value doc;
	int rc = kg_file_read(&text, path, MAX_KUBECONFIG, err);

	if (rc == 0)
		rc = kg_yaml_load(&doc, &a, kg_buf_str(&text), text.len, err);
	if (rc < 0)
		return kg_wrap(err, "kubeconfig %s", path);
	const char *current = kg_string(kg_get(&doc, "current-context"), "");
	const struct kg_value *context = named(&doc, "contexts", current, "context");
	const struct kg_value *cluster =
		named(&doc, "clusters", kg_string(kg_get(context, "cluster"), ""), "cluster");
	const struct kg_value *user =
		named(&doc, "users", kg_string(kg_get(context, "user"), ""), "user");
	const char *server = kg_string(kg_get(cluster, "server"), NULL);
	if (!server)
		return kg_fail(err, KG_E_INVALID,
			"kubeconfig %s: its current context (\"%s\") names no cluster with a "
			"server",
			path, current);
	size_t n = strlen(server);
	while (n && server[n - 1] == '/')
		n--;
	out->url = kg_strndup(server, n);
	out->token = kg_strdup(kg_string(kg_get(user, "token"), NULL));
	rc = pem_field(&out->ca_pem, cluster, "certificate-authority", path, err);
	if (rc == 0)
		rc = pem_field(&out->cert_pem, user, "client-certificate", path, err);
	if (rc == 0)
		rc = pem_field(&out->key_pem, user, "client-key", path, err);
	return rc;
}

/* ---- clones ---- */

static char *git_line(const char *dir, const char *const *argv)
{
	struct kg_buf out = KG_BUF_INIT;
	struct kg_run run = {.spawn = KG_SPAWN_INIT, .output = &out, .timeout_ms = 10000};
	struct kg_error err;

	run.spawn.argv = argv;
	run.spawn.cwd = dir;
	if (kg_run(&run, NULL, &err) < 0) {
		kg_buf_release(&out);
		return NULL;
	}
	while (out.len && out.data[out.len - 1] == '\n')
		kg_buf_remove(&out, out.len - 1, 1);
	return kg_buf_steal(&out);
}

char *kgit_git_dir(const char *dir)
{
	const char *argv[] = {"git", "rev-parse", "--absolute-git-dir", NULL};

	return git_line(dir, argv);
}

static int read_text(char **out, const char *path, struct kg_error *err)
{
	struct kg_buf text = KG_BUF_INIT;
	int rc = kg_file_read(&text, path, MAX_KUBECONFIG, err);

	if (rc < 0) {
		kg_buf_release(&text);
		return rc;
	}
	while (text.len && text.data[text.len - 1] == '\n')
		kg_buf_remove(&text, text.len - 1, 1);
	*out = kg_buf_steal(&text);
	return 0;
}

static int from_clone(struct kgit_cluster *out, const char *git_dir, struct kg_error *err)
{
	char *ca KG_AUTOFREE = kg_asprintf("%s/kgit/ca.crt", git_dir);
	char *token KG_AUTOFREE = kg_asprintf("%s/kgit/token", git_dir);
	char *server KG_AUTOFREE = kg_asprintf("%s/kgit/server", git_dir);
	int rc = read_text(&out->url, server, err);

	if (rc == 0)
		rc = read_text(&out->ca_pem, ca, err);
	if (rc == 0)
		rc = read_text(&out->token, token, err);
	return rc;
}

int kgit_cluster_find(struct kgit_cluster *out, const char *kubeconfig, struct kg_error *err)
{
	const char *env = getenv("KUBECONFIG");
	int rc;

	*out = (struct kgit_cluster){0};
	if (kubeconfig) {
		out->found = kg_asprintf("--kubeconfig %s", kubeconfig);
		rc = from_kubeconfig(out, kubeconfig, err);
	} else {
		char *git_dir KG_AUTOFREE = NULL, *mark KG_AUTOFREE = NULL;

		if (env && *env) {
			/* kubectl takes a list; the first that is there counts for us. */
			char *first KG_AUTOFREE = kg_strndup(env, strcspn(env, ":"));
			out->found = kg_asprintf("$KUBECONFIG (%s)", first);
			rc = from_kubeconfig(out, first, err);
		} else if ((git_dir = kgit_git_dir(".")) &&
			   (mark = kg_asprintf("%s/kgit/server", git_dir)) &&
			   kg_path_exists(mark)) {
			out->found = kg_asprintf("the clone %s", git_dir);
			rc = from_clone(out, git_dir, err);
		} else {
			rc = kg_fail(err, KG_E_NOT_FOUND,
				"no cluster: give --kubeconfig FILE, set KUBECONFIG, or stand in a "
				"clone "
				"made by `kgit clone` (kgitd writes DIR/admin.kubeconfig)");
		}
	}
	if (rc < 0)
		kgit_cluster_release(out);
	return rc;
}

/* ---- exchanges ---- */

int kgit_call(struct kg_value *out, struct kg_arena *a, struct kg_http_client *http,
	const char *method, const char *path, const struct kg_value *body, struct kg_error *err)
{
	struct kg_buf text KG_AUTOBUF = KG_BUF_INIT, reply KG_AUTOBUF = KG_BUF_INIT;

	if (body)
		kg_json_write(&text, body);
	int rc = kg_http_call(http, method, path, body ? "application/json" : NULL, text.data,
		text.len, &reply, err);
	if (rc == 0)
		rc = kg_json_parse(out, a, kg_buf_str(&reply), reply.len, err);
	return rc;
}

/* With *revision set: as of exactly that one; else as of now, which becomes *revision. */
static int load_kind(struct kg_txn *txn, uint64_t *revision, const struct kg_kind *kind,
	struct kg_http_client *http, struct kg_error *err)
{
	struct kg_arena a KG_CLEANUP(kg_arena_release) = KG_ARENA_INIT;
	struct kg_buf path KG_AUTOBUF = KG_BUF_INIT;
	struct kg_value list;

	kg_buf_addf(&path, "%s/%s/%s/%s", *kind->group ? "/apis" : "/api", kind->group,
		kind->version, kind->plural);
	if (!*kind->group) {
		kg_buf_clear(&path);
		kg_buf_addf(&path, "/api/%s/%s", kind->version, kind->plural);
	}
	if (*revision)
		kg_buf_addf(&path, "?resourceVersionMatch=Exact&resourceVersion=%llu",
			(unsigned long long)*revision);
	int rc = kgit_call(&list, &a, http, "GET", path.data, NULL, err);
	if (rc < 0)
		return kg_wrap(err, "%s", kind->plural);
	const struct kg_value *items = kg_get(&list, "items");
	*revision = strtoull(kg_string(kg_at(&list, "metadata.resourceVersion"), "0"), NULL, 10);
	for (uint32_t i = 0; i < kg_len(items); i++) {
		struct kg_object_spec spec = {
			.kind = kind,
			.ns = kg_string(kg_at(&items->items[i], "metadata.namespace"), ""),
			.name = kg_string(kg_at(&items->items[i], "metadata.name"), ""),
			.value = &items->items[i],
		};
		struct kg_object *obj = kg_object_new(&spec);

		/* No revision has it. */
		if (kg_cluster_is_made(kg_txn_snapshot(txn), obj) ||
			(kind->id == KG_KIND_ENDPOINTS &&
				kg_endpoints_are_made(kg_txn_snapshot(txn), obj)))
			kg_object_unref(obj);
		else
			kg_txn_put(txn, obj);
	}
	return 0;
}

int kgit_load(struct kg_snapshot **out, struct kg_http_client *http, uint64_t revision,
	struct kg_error *err)
{
	struct kg_snapshot *empty = kg_snapshot_new("");
	struct kg_txn *txn = kg_txn_new(empty);
	struct kg_changes changes = {0};
	int rc = 0;

	kg_snapshot_unref(empty);
	for (int i = 0; i < KG_KIND_COUNT && rc == 0; i++)
		if (!(kg_kinds[i].flags & KG_KF_SYNTHETIC))
			rc = load_kind(txn, &revision, &kg_kinds[i], http, err);
	if (rc < 0) {
		kg_txn_free(txn);
		return rc;
	}
	kg_txn_finish(txn, out, &changes);
	kg_changes_release(&changes);
	(*out)->revision = revision;
	return 0;
}
