/* First start and every start: certificates, the admin's kubeconfig, hooks in the repository. */
#include "base/hash.h"
#include "base/log.h"
#include "kgitd/master.h"
#include "pki/pki.h"
#include "sys/file.h"
#include "sys/spawn.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define DAY_MS        (24LL * 3600 * 1000)
#define CERT_DAYS     365
#define RENEW_DAYS    30
#define MAX_PEM       (64 << 10)
#define CLOCK_SKEW_MS (5LL * 60 * 1000)

static char *in_dir(const struct kgd_master *m, const char *name)
{
	return kg_asprintf("%s/%s", m->dir, name);
}

static bool present(const struct kgd_master *m, const char *name)
{
	char *path KG_AUTOFREE = in_dir(m, name);

	return kg_path_exists(path);
}

/* HOST of "HOST:PORT", brackets off. */
static char *host_of(const char *address)
{
	const char *colon = strrchr(address, ':');
	size_t n = colon ? (size_t)(colon - address) : strlen(address);

	if (n >= 2 && address[0] == '[' && address[n - 1] == ']')
		return kg_strndup(address + 1, n - 2);
	return kg_strndup(address, n);
}

bool kgd_api_address(char out[16], const char *service_cidr)
{
	const char *slash = strchr(service_cidr, '/');
	char *first KG_AUTOFREE =
		kg_strndup(service_cidr, slash ? (size_t)(slash - service_cidr) : 0);
	unsigned long prefix = slash ? strtoul(slash + 1, NULL, 10) : 0;
	struct in_addr in;

	if (inet_pton(AF_INET, first, &in) != 1 || prefix < 8 || prefix > 30)
		return false;
	in.s_addr = htonl((ntohl(in.s_addr) & ~0U << (32 - prefix)) + 1);
	return inet_ntop(AF_INET, &in, out, 16) != NULL;
}

/* In an overlap with what leads to the CA before. */
static int issue_server(struct kgd_master *m, char **cert, char **key, struct kg_error *err)
{
	const struct kgd_authority *a = kgd_authority(m);
	char *host KG_AUTOFREE = host_of(m->named), *own KG_AUTOFREE = NULL;
	char name[256] = "", api[16];
	const char *sans[16];
	size_t n = 0;
	kg_time now = kg_realtime_ms();

	gethostname(name, sizeof(name) - 1);
	sans[n++] = "localhost";
	sans[n++] = "127.0.0.1";
	sans[n++] = "::1";
	if (kgd_api_address(api, m->service_cidr))
		sans[n++] = api;
	sans[n++] = "kubernetes";
	sans[n++] = "kubernetes.default";
	sans[n++] = "kubernetes.default.svc";
	sans[n++] = "kubernetes.default.svc.cluster.local";
	if (*name)
		sans[n++] = name;
	if (*host && strcmp(host, "127.0.0.1") != 0 && strcmp(host, "localhost") != 0 &&
		strcmp(host, "::1") != 0)
		sans[n++] = host;
	sans[n] = NULL;
	struct kg_pki_cert c = {
		.cn = "kgitd",
		.sans = sans,
		.server = true,
		.not_before = now - CLOCK_SKEW_MS,
		.not_after = now + CERT_DAYS * DAY_MS,
	};
	int rc = kg_pki_key_new(key, err);
	if (rc == 0)
		rc = kg_pki_issue(&own, a->cert_pem, a->key_pem, *key, &c, err);
	if (rc == 0)
		*cert = kg_asprintf("%s%s", own, a->cross_pem ? a->cross_pem : "");
	return rc;
}

/* A start must not fail for want of room where what is there, or in memory, will do. */
static int unless_full(int rc, const char *what, const struct kg_error *err)
{
	if (rc != -KG_E_NO_SPACE)
		return rc;
	kg_warn("%s was not written anew: %s", what, err->msg);
	return 0;
}

/* The server's certificate is made anew at every start: it costs a millisecond, never expires
 * unseen, and names what is listened on now. The files are for who wants to look at it. */
int kgd_setup_pki(struct kgd_master *m, char **cert_pem, char **key_pem, struct kg_error *err)
{
	char *dir KG_AUTOFREE = in_dir(m, "pki");
	int rc = kg_mkdir_p(dir, 0700, err);

	if (rc == 0 && !kgd_authority(m)) {
		struct kgd_authority *a;

		rc = kgd_authority_open(&a, dir, err);
		if (rc == 0)
			atomic_store(&m->authority, a);
	}
	if (rc == 0)
		rc = issue_server(m, cert_pem, key_pem, err);
	if (rc == 0) {
		rc = kgd_pem_write(m->dir, "pki/server.key", *key_pem, 0600, err);
		if (rc == 0)
			rc = kgd_pem_write(m->dir, "pki/server.crt", *cert_pem, 0644, err);
		rc = unless_full(rc, "pki/server.crt", err);
	}
	return rc < 0 ? kg_wrap(err, "certificates in %s", dir) : 0;
}

/* ---- the admin ---- */

static bool still_good(const struct kgd_master *m, const char *cert)
{
	kg_time until;
	struct kg_error err;

	return kg_pki_issued_by(cert, kgd_authority(m)->cert_pem) &&
	       kg_pki_not_after(&until, cert, &err) == 0 &&
	       until - kg_realtime_ms() > RENEW_DAYS * DAY_MS;
}

static int admin_cert(struct kgd_master *m, char **cert, char **key, struct kg_error *err)
{
	static const char *const orgs[] = {"system:masters", NULL};
	kg_time now = kg_realtime_ms();
	struct kg_pki_cert c = {
		.cn = "admin",
		.orgs = orgs,
		.client = true,
		.not_before = now - CLOCK_SKEW_MS,
		.not_after = now + CERT_DAYS * DAY_MS,
	};

	if (present(m, "pki/admin.crt") && present(m, "pki/admin.key")) {
		int rc = kgd_pem_read(cert, m->dir, "pki/admin.crt", err);
		if (rc == 0)
			rc = kgd_pem_read(key, m->dir, "pki/admin.key", err);
		if (rc < 0 || still_good(m, *cert))
			return rc;
		free(kg_steal(cert));
		free(kg_steal(key));
	}
	int rc = kg_pki_key_new(key, err);
	if (rc == 0)
		rc = kg_pki_issue(
			cert, kgd_authority(m)->cert_pem, kgd_authority(m)->key_pem, *key, &c, err);
	if (rc == 0)
		rc = kgd_pem_write(m->dir, "pki/admin.key", *key, 0600, err);
	if (rc == 0)
		rc = kgd_pem_write(m->dir, "pki/admin.crt", *cert, 0644, err);
	return rc;
}

/* Nothing is written where it is as it should be. */
static int write_kubeconfig(const char *path, const struct kg_buf *text, struct kg_error *err)
{
	struct kg_buf now KG_AUTOBUF = KG_BUF_INIT;
	bool there = kg_file_read(&now, path, MAX_PEM, NULL) == 0;

	if (there && now.len == text->len && memcmp(now.data, text->data, now.len) == 0)
		return 0;
	int rc = kg_file_write(path, text->data, text->len, 0600, err);
	return there ? unless_full(rc, path, err) : rc;
}

int kgd_setup_kubeconfig(struct kgd_master *m, struct kg_error *err)
{
	char *cert KG_AUTOFREE = NULL, *key KG_AUTOFREE = NULL;
	struct kg_buf text KG_AUTOBUF = KG_BUF_INIT;
	char *path KG_AUTOFREE = in_dir(m, "admin.kubeconfig");
	int rc = admin_cert(m, &cert, &key, err);

	if (rc < 0)
		return kg_wrap(err, "the admin's certificate");
	const char *ca = kgd_authority(m)->bundle_pem;
	char *ca64 KG_AUTOFREE = kg_base64_encode(ca, strlen(ca));
	char *cert64 KG_AUTOFREE = kg_base64_encode(cert, strlen(cert));
	char *key64 KG_AUTOFREE = kg_base64_encode(key, strlen(key));
	kg_buf_addf(&text,
		"apiVersion: v1\n"
		"kind: Config\n"
		"clusters:\n"
		"- name: kgit\n"
		"  cluster:\n"
		"    certificate-authority-data: %s\n"
		"    server: https://%s\n"
		"users:\n"
		"- name: admin\n"
		"  user:\n"
		"    client-certificate-data: %s\n"
		"    client-key-data: %s\n"
		"contexts:\n"
		"- name: kgit\n"
		"  context:\n"
		"    cluster: kgit\n"
		"    user: admin\n"
		"current-context: kgit\n",
		ca64, m->address, cert64, key64);
	return write_kubeconfig(path, &text, err);
}

/* ---- hooks ---- */

static int link_hook(const char *repo, const char *name, const char *target, struct kg_error *err)
{
	char *path KG_AUTOFREE = kg_asprintf("%s/hooks/%s", repo, name);
	char *tmp KG_AUTOFREE = kg_asprintf("%s/hooks/.%s.new", repo, name);
	char now[4096];
	ssize_t n = readlink(path, now, sizeof(now) - 1);

	if (n > 0) {
		now[n] = '\0';
		if (strcmp(now, target) == 0)
			return 0;
	}
	unlink(tmp);
	if (symlink(target, tmp) < 0 || rename(tmp, path) < 0)
		return kg_fail_errno(err, "link the hook %s to %s", path, target);
	return 0;
}

/* ---- the repository's settings that are kgitd's ---- */

struct setting {
	const char *key, *value;
	const char *how; /* of git config: "--add" to a list, "--replace-all" of what is there */
};

static int git_config(struct kgd_master *m, const char *const *args, struct kg_buf *out,
	int *status, struct kg_error *err)
{
	char *file KG_AUTOFREE = kg_asprintf("%s/config", m->repo);
	const char *argv[12] = {"git", "config", "--file", file};
	const char *env[] = {"GIT_CONFIG_NOSYSTEM=1", "GIT_CONFIG_GLOBAL=/dev/null", NULL};
	struct kg_run run = {.spawn = KG_SPAWN_INIT, .output = out, .timeout_ms = 10000};

	for (size_t i = 0; args[i]; i++)
		argv[4 + i] = args[i];
	run.spawn.argv = argv;
	run.spawn.env = env;
	return kg_run(&run, status, err);
}

static bool has_line(const char *text, const char *line)
{
	size_t n = strlen(line);

	for (const char *p = text; (p = strstr(p, line)); p++)
		if ((p == text || p[-1] == '\n') && (p[n] == '\n' || !p[n]))
			return true;
	return false;
}

/* A limit of kgitd's flags, and what of git's own behaviour the hooks rely on. */
static int hold_settings(struct kgd_master *m, struct kg_error *err)
{
	char *limit KG_AUTOFREE = kg_asprintf("%zu", m->limits.push_bytes);
	const struct setting settings[] = {
		{"receive.maxinputsize", limit, "--replace-all"},
		{"receive.procreceiverefs", "refs", "--add"},
		/* Of the check of a push's objects: git would run itself twice more to list the
		 * refs of the quarantine's alternate, which is this repository, listed anyway. */
		{"core.alternaterefscommand", "true", "--replace-all"},
	};
	const char *const list[] = {"--list", NULL};
	struct kg_buf now KG_AUTOBUF = KG_BUF_INIT;
	int rc = git_config(m, list, &now, NULL, err);

	for (size_t i = 0; rc == 0 && i < KG_ARRAY_LEN(settings); i++) {
		const struct setting *s = &settings[i];
		const char *const set[] = {s->how, s->key, s->value, NULL};
		char *line KG_AUTOFREE = kg_asprintf("%s=%s", s->key, s->value);

		if (!has_line(kg_buf_str(&now), line))
			rc = git_config(m, set, NULL, NULL, err);
	}
	return rc;
}

int kgd_setup_repo(struct kgd_master *m, struct kg_error *err)
{
	char *self KG_AUTOFREE = kg_self_dir();
	char *hook KG_AUTOFREE = kg_asprintf("%s/kgit-hook", self);
	char *hooks KG_AUTOFREE = kg_asprintf("%s/hooks", m->repo);
	int rc = kg_mkdir_p(hooks, 0755, err);

	if (rc < 0)
		return rc;
	if (access(hook, X_OK) < 0)
		return kg_fail_errno(err, "%s (it must lie beside kgitd)", hook);
	rc = link_hook(m->repo, "pre-receive", hook, err);
	if (rc == 0)
		rc = link_hook(m->repo, "proc-receive", hook, err);
	if (rc == 0)
		rc = kg_sync_dir(hooks, err);
	return rc == 0 ? hold_settings(m, err) : rc;
}
