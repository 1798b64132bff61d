/* What the verbs of the CLI share. */
#ifndef KGIT_KGIT_H
#define KGIT_KGIT_H

#include "http/client.h"
#include "kinds/snapshot.h"
#include "reconcile/reconcile.h"

/* The cluster that is spoken to and with which credential; texts are heap, any may be NULL. */
struct kgit_cluster {
	char *url; /* "https://127.0.0.1:6443" */
	char *ca_pem, *cert_pem, *key_pem, *token;
	char *found; /* where it was found, for messages: "$KUBECONFIG (/x/admin.kubeconfig)" */
};
void kgit_cluster_release(struct kgit_cluster *c);
/* By --kubeconfig, $KUBECONFIG, or the clone that the current directory lies in, in that order. */
int kgit_cluster_find(struct kgit_cluster *out, const char *kubeconfig, struct kg_error *err);
struct kg_http_client *kgit_connect(const struct kgit_cluster *c, int timeout_ms);

/* One JSON exchange; the reply is parsed into the arena. body NULL: none. */
int kgit_call(struct kg_value *out, struct kg_arena *a, struct kg_http_client *http,
	const char *method, const char *path, const struct kg_value *body, struct kg_error *err);

/* Every object of the served kinds as a snapshot: of one revision, or, with 0, of now (every list
 * is of that same revision, the first one's). The caller owns it. */
int kgit_load(struct kg_snapshot **out, struct kg_http_client *http, uint64_t revision,
	struct kg_error *err);
/* The log's entry of a revision, from the arena. */
int kgit_log_entry_of(struct kg_value *out, struct kg_arena *a, struct kg_http_client *http,
	uint64_t revision, struct kg_error *err);
/* "42", or a time: RFC 3339, "2026-11-26 05:04:03" of here, "10m ago". */
bool kgit_time_parse(kg_time *out, const char *text); /* such a time */
int kgit_revision_parse(
	uint64_t *out, struct kg_http_client *http, const char *text, struct kg_error *err);

/* An object as people name it. */
struct kgit_object_name {
	const struct kg_kind *kind;
	char ns[256], name[256]; /* ns "" for cluster-scoped */
};
/* "KIND/NAME", or "KIND" "NAME", in kubectl's spelling (short names too). ns NULL: "default". */
int kgit_object_parse(struct kgit_object_name *out, int argc, char *const *words, const char *ns,
	struct kg_error *err);
/* "Pod default/web". */
char *kgit_object_words(const struct kgit_object_name *o);
/* Why there may be no history of it although it is there; "" mostly. Static. */
const char *kgit_object_absence(const struct kgit_object_name *o);

/* A piece of an object's history, newest first: {entries: [{revision, time, author, subject,
 * pushed, file, line, manifest, object}], before, next, cut, head, oldest}; see kgitd's history.c.
 */
int kgit_history(struct kg_value *out, struct kg_arena *a, struct kg_http_client *http,
	const struct kgit_object_name *o, uint64_t from, unsigned limit, bool namesakes,
	struct kg_error *err);
/* What caused an entry, for people: "push by admin: "scale web" (3f2a91c, Jane <j@x>)". */
void kgit_cause_write(struct kg_buf *out, const struct kg_value *entry);
/* A time of the API as the clock on the wall here shows it. */
void kgit_time_write(struct kg_buf *out, const struct kg_value *time);

/* The state as the commit it is, of a revision or, with 0, of now: a snapshot that reconcile can go
 * on from. Fetched by git into a cache of the user's. */
int kgit_fetch_state(struct kg_snapshot **out, const struct kgit_cluster *c, uint64_t revision,
	struct kg_error *err);
/* All of the state's history that the cluster keeps, in a bare repository of the user's cache;
 * heap: its path. */
int kgit_fetch_history(char **repo, const struct kgit_cluster *c, struct kg_error *err);
/* How kgitd's reconciler is set up. */
struct kgit_options {
	struct kg_reconcile_options reconcile; /* borrows the texts */
	char *pod_cidr, *service_cidr;
};
void kgit_options_release(struct kgit_options *o);
int kgit_options_get(struct kgit_options *out, const struct kgit_cluster *c, struct kg_error *err);
/* `kgit diff FROM..TO`; either may be left out: the revision of now. 0: no change; 1: changes. */
int kgit_diff_revisions(
	const struct kgit_cluster *c, const char *range, bool json, struct kg_error *err);

/* git, with the cluster's credential in its settings (c NULL: none); argv ends with NULL. */
int kgit_git(const struct kgit_cluster *c, const char *cwd, const char *const *argv,
	struct kg_buf *output, struct kg_error *err);
/* git as the user has it, where the user stands (or -C); a remote is trusted by the clone's own CA,
 * whatever GIT_SSL_CAINFO says. *out, which may be NULL, is replaced by what
 * it prints, without the last line ends; heap. */
int kgit_git_text(char **out, const char *const *argv, struct kg_error *err);
/* A git that speaks for itself: its exit status. */
int kgit_git_loud(const char *const *argv);
#define KGIT_PUSH_OPTIONS 16
struct kgit_push_options {
	const char *items[KGIT_PUSH_OPTIONS]; /* borrowed */
	size_t n;
};
bool kgit_push_option(struct kgit_push_options *options, const char *text); /* false: too many */
bool kgit_push_is_dry(const struct kgit_push_options *options);             /* -o dry-run */
/* git push of a commit to the cluster's main from the clone at dir: its exit status. */
int kgit_push(const char *dir, const char *commit, const struct kgit_push_options *options);
/* The .git directory of the clone that `dir` lies in; heap; NULL: in none. */
char *kgit_git_dir(const char *dir);

/* A verb: its own argc and argv, argv[0] being its name. Returns the exit status. */
struct kgit_verb {
	const char *name, *summary, *usage;
	int (*run)(int argc, char **argv, const char *kubeconfig);
};
extern const struct kgit_verb kgit_clone_verb, kgit_token_verb, kgit_status_verb, kgit_diff_verb,
	kgit_log_verb, kgit_logs_verb, kgit_rollback_verb, kgit_backup_verb, kgit_restore_verb,
	kgit_why_verb, kgit_scale_verb, kgit_restart_verb, kgit_set_verb, kgit_cordon_verb,
	kgit_uncordon_verb, kgit_evict_verb, kgit_drain_verb, kgit_test_verb, kgit_ca_verb,
	kgit_verify_verb;
/* Prints a text that others may have written: the terminal is told nothing by it. Control
 * characters but line ends and tabs are blanks, whatever the output is. */
void kgit_print(const char *text, size_t len);
void kgit_plain_add(struct kg_buf *out, const char *text, size_t len); /* the text alone */
/* Says what is wrong with the arguments and how the verb is used; returns 2. */
int kgit_bad_usage(const struct kgit_verb *verb, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));
/* Prints the error; returns 1. */
int kgit_fail(const struct kg_error *err);

#endif
