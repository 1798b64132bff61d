/*
 * The audit log: who asked for what, the verdict, and the revision as of which it was given (of a
 * push: that it made). One JSON object a line:
 *
 *   {"time":"...","id":"...","user":"ann","groups":["dev"],"from":"192.0.2.7","verb":"list",
 *    "resource":"pods","namespace":"default","verdict":"allowed","revision":12}
 *   {"time":"...","user":"ann",...,"verb":"push","ref":"refs/heads/main","old":"...","new":"...",
 *    "verdict":"refused","reason":"...","revision":12}
 *
 * Of a push's objects whose namespace has Pod Security enforce or audit anything there is a line
 * each after that, up to 1,000 ("objectsNoted" of the push's line says how many there are):
 *
 *   {"time":"...","user":"ann",...,"verb":"push",...,"resource":"pods","namespace":"shop",
 *    "name":"web","annotations":{"pod-security.kubernetes.io/enforce-policy":"baseline:latest",
 *    "pod-security.kubernetes.io/audit-violations":"would violate PodSecurity ..."},...}
 *
 * Of who acts as another (`kubectl --as`) the line also has that one: "as" and "asGroups".
 *
 * Health checks, and what nodes do below their own names, are not in it. Lines are handed to a
 * thread that writes them; where it cannot keep up, or the disk is full, lines are dropped and
 * counted ({"dropped":N}), and nobody waits. FILE is renamed FILE.1, .2, ... when it is full.
 * Thread-safe; every function takes NULL, which logs nothing.
 */
#ifndef KGITD_AUDIT_H
#define KGITD_AUDIT_H

#include "auth/auth.h"
#include "http/server.h"

struct kg_admission;
struct kg_hub;
struct kgd_audit;
struct kgd_audit_options {
	const char *path;   /* NULL: there is no log */
	size_t max_bytes;   /* of a file; default 100 MiB */
	size_t max_files;   /* older ones kept; default 10 */
	struct kg_hub *hub; /* borrowed */
};
/* *out is NULL where there is to be none. */
int kgd_audit_open(
	struct kgd_audit **out, const struct kgd_audit_options *opts, struct kg_error *err);
void kgd_audit_close(struct kgd_audit *a); /* what was handed over is written */

/* A request gets the id that its lines have: that which the client gives it (the header Audit-ID,
 * of up to 63 letters, digits, '-', '_' and '.'), or a new one. The answer names it, as Kubernetes'
 * does. */
void kgd_audit_name(struct kgd_audit *a, struct kg_http_req *req);
/* A request's verdict: why is NULL where it is allowed. req may be NULL. */
void kgd_audit_request(struct kgd_audit *a, const struct kg_http_req *req,
	const struct kg_user *user, const struct kg_attributes *what, const struct kg_error *why);
/* Nobody known asked. */
void kgd_audit_unknown(
	struct kgd_audit *a, const struct kg_http_req *req, const struct kg_error *why);
struct kgd_audit_push {
	const struct kg_user *user;
	const char *ref, *old_commit, *new_commit;
	bool dry_run;
	uint64_t revision;                    /* that it made; 0: none */
	const struct kg_error *why;           /* NULL: it was taken */
	const struct kg_admission *admission; /* of one that was admitted; or NULL */
};
void kgd_audit_pushed(struct kgd_audit *a, const struct kgd_audit_push *p);

#endif
