/*
 * The cluster's state as the commit it is: everything that reconcile goes on from. And how its
 * reconciler is set up.
 */
#include "kgit/kgit.h"
#include "store/store.h"
#include "sys/file.h"
#include "sys/spawn.h"
#include "sys/zone.h"

#include <stdio.h>
#include <string.h>

#define STATE_REF "refs/kgit/state"
#define AT_REF    "refs/kgit/at"

/* A bare repository that keeps the fetched state, so that the next fetch is small. */
static int cache_repo(
	char **out, const struct kgit_cluster *c, const char *what, struct kg_error *err)
{
	const char *base = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");
	char *safe KG_AUTOFREE = kg_strdup(c->url + strlen("https://"));
	char *dir;

	for (char *p = safe; *p; p++)
		if (*p == '/' || *p == ':')
			*p = '_';
	if (base && *base)
		dir = kg_asprintf("%s/kgit/%s%s.git", base, safe, what);
	else
		dir = kg_asprintf(
			"%s/.cache/kgit/%s%s.git", home && *home ? home : "/tmp", safe, what);
	const char *argv[] = {"git", "init", "--quiet", "--bare", dir, NULL};
	struct kg_run run = {.spawn = KG_SPAWN_INIT, .timeout_ms = 60000};
	run.spawn.argv = argv;
	char *objects KG_AUTOFREE = kg_asprintf("%s/objects", dir);
	int rc = kg_path_exists(objects) ? 0 : kg_mkdir_p(dir, 0700, err);
	if (rc == 0 && !kg_path_exists(objects))
		rc = kg_run(&run, NULL, err);
	if (rc < 0) {
		free(dir);
		return rc;
	}
	*out = dir;
	return 0;
}

/* The id of the commit that made a revision. */
static int commit_of(
	char out[41], const struct kgit_cluster *c, uint64_t revision, struct kg_error *err)
{
	struct kg_arena a KG_CLEANUP(kg_arena_release) = KG_ARENA_INIT;
	struct kg_http_client *http = kgit_connect(c, 0);
	struct kg_value e;
	int rc = kgit_log_entry_of(&e, &a, http, revision, err);

	kg_http_client_free(http);
	if (rc < 0)
		return rc;
	const char *commit = kg_string(kg_get(&e, "commit"), "");
	if (strlen(commit) != 40)
		return kg_fail(err, KG_E_IO, "/kgit/v1/log: an entry without a commit");
	memcpy(out, commit, 41);
	return 0;
}

int kgit_fetch_state(struct kg_snapshot **out, const struct kgit_cluster *c, uint64_t revision,
	struct kg_error *err)
{
	char *repo KG_AUTOFREE = NULL;
	char *remote KG_AUTOFREE = kg_asprintf("%s/cluster.git", c->url);
	int rc = cache_repo(&repo, c, "", err);

	if (rc < 0)
		return rc;
	const char *ref = revision ? AT_REF : STATE_REF;
	char commit[41];
	if (revision && (rc = commit_of(commit, c, revision, err)) < 0)
		return rc;
	char *what KG_AUTOFREE = kg_asprintf("+%s:%s", revision ? commit : STATE_REF, ref);
	const char *argv[] = {"git", "fetch", "--quiet", "--no-tags", "--depth=1",
		"--update-shallow", remote, what, NULL};
	rc = kgit_git(c, repo, argv, NULL, err);
	if (rc < 0)
		return kg_wrap(err, "fetch the state of %s", c->url);
	struct kg_store_options opts = {.read_only = true, .state_ref = ref};
	struct kg_store *store;
	rc = kg_store_open(&store, repo, &opts, NULL, err);
	if (rc < 0)
		return rc;
	rc = kg_store_load(out, store, err);
	kg_store_close(store);
	return rc;
}

int kgit_fetch_history(char **out, const struct kgit_cluster *c, struct kg_error *err)
{
	char *repo KG_AUTOFREE = NULL;
	char *remote KG_AUTOFREE = kg_asprintf("%s/cluster.git", c->url);
	const char *argv[] = {"git", "fetch", "--quiet", "--no-tags", "--update-shallow", remote,
		"+" STATE_REF ":" STATE_REF, NULL};
	int rc = cache_repo(&repo, c, "-history", err);

	if (rc == 0)
		rc = kgit_git(c, repo, argv, NULL, err);
	if (rc < 0)
		return kg_wrap(err, "fetch the history of %s", c->url);
	*out = kg_steal(&repo);
	return 0;
}

/* ---- how it is set up ---- */

void kgit_options_release(struct kgit_options *o)
{
	free(o->pod_cidr);
	free(o->service_cidr);
}

int kgit_options_get(struct kgit_options *out, const struct kgit_cluster *c, struct kg_error *err)
{
	struct kg_arena a KG_CLEANUP(kg_arena_release) = KG_ARENA_INIT;
	struct kg_http_client *http = kgit_connect(c, 0);
	struct kg_value v;
	int rc = kgit_call(&v, &a, http, "GET", "/kgit/v1/options", NULL, err);

	kg_http_client_free(http);
	*out = (struct kgit_options){0};
	if (rc < 0)
		return kg_wrap(err, "how the cluster is set up");
	out->pod_cidr = kg_strdup(kg_string(kg_get(&v, "podCIDR"), NULL));
	out->service_cidr = kg_strdup(kg_string(kg_get(&v, "serviceCIDR"), NULL));
	kg_reconcile_options_read(&out->reconcile, &v);
	out->reconcile.pod_cidr = out->pod_cidr;
	out->reconcile.service_cidr = out->service_cidr;
	out->reconcile.zone = kg_zone_rule;
	return 0;
}
