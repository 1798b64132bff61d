/* kgit-node's commands; each returns the program's exit code. */
#ifndef KGIT_NODE_NODE_H
#define KGIT_NODE_NODE_H

#include "dns/limits.h"

struct kgn_options {
	const char *state, *master, *join, *name, *node_ip, *labels;
	const char *cluster_dns, *cluster_domain; /* NULL: the node's own, cluster.local */
	struct kg_dns_limits dns;
	bool dns_unconfined;
	unsigned max_pods, gc_high, gc_low;
	int64_t gc_ttl; /* milliseconds */
	char **args;    /* what is no flag, NULL-terminated */
};

int kgn_run(const struct kgn_options *o);
int kgn_image(const struct kgn_options *o);
int kgn_reset(const struct kgn_options *o);
/* Prints "kgit-node: message" and returns 1. */
int kgn_fail(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
/* The lock that says that an agent works on a state directory: a fd, or < 0 (and it has said why)
 * where another has it. It lasts as long as the fd. */
int kgn_lock(const char *state);
/* DIR/node holds the name under which the agent ran last: its cgroup is /kgit/NAME. */
int kgn_remember_name(const char *state, const char *name);
/* Ends the node's name server. */
int kgn_end_dns(const char *state);
unsigned kgn_count_pods(const char *state); /* those that have a directory below DIR/pods */
void kgn_trim(void);                        /* gives back what only starting needed */

#endif
