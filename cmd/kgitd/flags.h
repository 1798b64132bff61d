/* kgitd's command line. */
#ifndef KGITD_FLAGS_H
#define KGITD_FLAGS_H

#include "kgitd/audit.h"
#include "kgitd/identity.h"
#include "kgitd/master.h"

#define KGD_MAX_ORIGINS 16
struct kgd_flags {
	const char *state, *listen, *advertise, *pod_cidr, *service_cidr;
	int64_t grace_ms, eviction_ms;
	size_t keep_revisions;
	int64_t keep_age_ms, compact_every_ms, compact_grace_ms;
	const char *origins[KGD_MAX_ORIGINS + 1]; /* NULL-terminated */
	bool verbose, accept_unsigned, unconfined;
	enum kg_api_gzip gzip;
	int64_t node_cert_ms;
	struct kgd_limits limits;
	struct kgd_identity_options identity;
	struct kgd_audit_options audit;
};

/* Fills in the defaults and what argv says; texts are argv's. 0; else kgitd ends with that minus
 * one as its exit status, and what was wrong (or asked for: --help, --version) was printed. */
int kgd_flags_parse(struct kgd_flags *f, int argc, char **argv);

#endif
