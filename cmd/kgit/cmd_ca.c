/* The cluster's CA: what it is, its replacement in two steps, and the trust of a clone in it. */
#include "kgit/kgit.h"
#include "sys/file.h"

#include <getopt.h>
#include <stdio.h>
#include <string.h>

#define MAX_PEM (64 << 10)

static void list(const char *what, const struct kg_value *names)
{
	printf("%s", what);
	for (uint32_t i = 0; i < kg_len(names); i++)
		printf("%s%s", i ? ", " : ": ", kg_string(&names->items[i], ""));
	putchar('\n');
}

static void print_status(const struct kg_value *v)
{
	const char *old = kg_string(kg_get(v, "retiring"), NULL);
	const struct kg_value *behind = kg_get(v, "nodesBehind");

	printf("CA %s, %s\n", kg_string(kg_get(v, "ca"), "?"), kg_string(kg_get(v, "pin"), "?"));
	if (!old)
		return;
	printf("it takes over from %s, which is trusted until `kgit ca retire`. Before that:\n",
		old);
	if (kg_len(behind))
		list("- nodes that have no certificate of it yet; they fetch one by themselves",
			behind);
	else
		puts("- every node has a certificate of it");
	puts("- in each clone: kgit ca trust");
	printf("- kubeconfigs that name the CA before: take %s/admin.kubeconfig anew, or let\n"
	       "  certificate-authority-data be what `kgit ca show | base64 -w0` prints\n"
	       "- client certificates that you had made by hand: have them made anew\n",
		kg_string(kg_get(v, "state"), "DIR"));
}

static int ask(const char *kubeconfig, const char *action, bool force)
{
	struct kg_arena a KG_CLEANUP(kg_arena_release) = KG_ARENA_INIT;
	struct kgit_cluster c KG_CLEANUP(kgit_cluster_release) = {0};
	struct kg_value reply;
	struct kg_error err;

	if (kgit_cluster_find(&c, kubeconfig, &err) < 0)
		return kgit_fail(&err);
	struct kg_http_client *http = kgit_connect(&c, 0);
	struct kg_value body =
		kg_v_obj(&a, "action", kg_v_lit(action), "force", kg_v_bool(force), (char *)NULL);
	bool post = *action != '\0';
	int rc = kgit_call(&reply, &a, http, post ? "POST" : "GET", "/kgit/v1/authority",
		post ? &body : NULL, &err);
	kg_http_client_free(http);
	if (rc < 0)
		return kgit_fail(&err);
	print_status(&reply);
	return 0;
}

/* What the master, known by what is trusted now, says is to be trusted. */
static int fetch(struct kg_buf *pem, const struct kgit_cluster *c, struct kg_error *err)
{
	struct kg_http_client *http = kgit_connect(c, 0);
	int rc = kg_http_call(http, "GET", "/kgit/v1/ca", NULL, NULL, 0, pem, err);

	kg_http_client_free(http);
	if (rc == 0 && (pem->len > MAX_PEM || !strstr(kg_buf_str(pem), "BEGIN CERTIFICATE")))
		rc = kg_fail(err, KG_E_CORRUPT, "%s/kgit/v1/ca: this is no certificate", c->url);
	return rc;
}

static int show(const char *kubeconfig)
{
	struct kgit_cluster c KG_CLEANUP(kgit_cluster_release) = {0};
	struct kg_buf pem KG_AUTOBUF = KG_BUF_INIT;
	struct kg_error err;

	if (kgit_cluster_find(&c, kubeconfig, &err) < 0 || fetch(&pem, &c, &err) < 0)
		return kgit_fail(&err);
	fputs(kg_buf_str(&pem), stdout);
	return 0;
}

/* The clone must be one of this cluster. */
static int store(const char *git_dir, const struct kgit_cluster *c, const struct kg_buf *pem,
	struct kg_error *err)
{
	char *server KG_AUTOFREE = kg_asprintf("%s/kgit/server", git_dir);
	char *ca KG_AUTOFREE = kg_asprintf("%s/kgit/ca.crt", git_dir);
	struct kg_buf url KG_AUTOBUF = KG_BUF_INIT;
	int rc = kg_file_read(&url, server, 4096, err);

	if (rc < 0)
		return kg_wrap(err, "%s is no clone that `kgit clone` made", git_dir);
	if (strncmp(kg_buf_str(&url), c->url, strlen(c->url)) != 0)
		return kg_fail(err, KG_E_INVALID, "%s is a clone of %s, and %s names %s", git_dir,
			kg_buf_str(&url), c->found, c->url);
	return kg_file_write(ca, pem->data, pem->len, 0600, err);
}

static int trust(const char *kubeconfig, const char *dir)
{
	struct kgit_cluster c KG_CLEANUP(kgit_cluster_release) = {0};
	struct kg_buf pem KG_AUTOBUF = KG_BUF_INIT;
	char *git_dir KG_AUTOFREE = kgit_git_dir(dir);
	struct kg_error err;

	if (!git_dir) {
		kg_fail(&err, KG_E_NOT_FOUND, "%s is in no git repository", dir);
		return kgit_fail(&err);
	}
	if (kgit_cluster_find(&c, kubeconfig, &err) < 0 || fetch(&pem, &c, &err) < 0 ||
		store(git_dir, &c, &pem, &err) < 0)
		return kgit_fail(&err);
	printf("%s trusts what %s says now\n", git_dir, c.url);
	return 0;
}

static int run(int argc, char **argv, const char *kubeconfig)
{
	static const struct option options[] = {{"force", no_argument, NULL, 'f'}, {0}};
	bool force = false;
	int c;

	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (c != 'f')
			return 2;
		force = true;
	}
	const char *what = optind < argc ? argv[optind] : "";
	const char *more = optind + 1 < argc ? argv[optind + 1] : NULL;
	bool is_trust = strcmp(what, "trust") == 0;
	if (argc - optind > (is_trust ? 2 : 1) || (force && strcmp(what, "retire") != 0))
		return kgit_bad_usage(&kgit_ca_verb, "unexpected \"%s\"", more ? more : "--force");
	if (is_trust)
		return trust(kubeconfig, more ? more : ".");
	if (strcmp(what, "show") == 0)
		return show(kubeconfig);
	if (strcmp(what, "status") == 0)
		return ask(kubeconfig, "", false);
	if (strcmp(what, "rotate") == 0 || strcmp(what, "retire") == 0)
		return ask(kubeconfig, what, force);
	return kgit_bad_usage(
		&kgit_ca_verb, "expected status, show, rotate, retire or trust, got \"%s\"", what);
}

const struct kgit_verb kgit_ca_verb = {
	.name = "ca",
	.summary = "the cluster's CA, and its replacement",
	.usage =
		"kgit ca status | show | rotate | retire [--force] | trust [CLONE]\n"
		"\n"
		"rotate makes a new CA, which takes over at once, and new keys for "
		"ServiceAccounts'\n"
		"tokens. The one before is trusted beside it, nothing stops working: nodes fetch "
		"new\n"
		"certificates, pods get the new ca.crt and new tokens, all by themselves. In each\n"
		"clone `kgit ca trust` makes git trust the new one; show prints what to trust.\n"
		"retire ends that: what the CA before made is refused. Not before every node has "
		"a\n"
		"certificate of the new one, but with --force, and not by a credential of the old "
		"one.\n",
	.run = run,
};
