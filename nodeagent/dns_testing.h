/*
 * For the tests of the name server: it runs as a process of its own, which the test's program is,
 * too, as kgit-node is; another one of the same kind, with the zone "example.", is the host's
 * resolver. In a network of its own (nettest.h). What goes wrong here fails the test.
 */
#ifndef KG_NODEAGENT_DNS_TESTING_H
#define KG_NODEAGENT_DNS_TESTING_H

#include "nodeagent/dns.h"

#include <arpa/nameser.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define DT_SERVER   "127.1.0.1"
#define DT_UPSTREAM "127.2.0.1"
#define DT_MANY     100 /* addresses of many.example */

extern struct dt {
	char *own_dir, program[4096];
	struct kg_loop *loop;
	struct kg_dns *dns;
	struct kg_dns_limits limits;      /* of the next start */
	const struct kg_cgroups *cgroups; /* likewise */
	int ended;                        /* times the server did */
	pid_t left;                       /* by the dns before */
	uint8_t answer[65536];            /* the last one, and what it says */
	ns_msg msg;
} dt;

/* The program's whole main: it runs the tests, or is the server that one of them started. */
int dt_main(int argc, char **argv, int (*run)(void));
void dt_must(int rc, const struct kg_error *err);
int dt_set_up(void **state);
int dt_tear_down(void **state);
void dt_loop_new(void); /* dt.loop, where it was freed */
void dt_start(void);    /* dt.dns, anew */
/* Runs the loop until fn says so. */
void dt_run_until(bool (*fn)(void), const char *what);
/* A Service of the zone, or NULL: none any more. Not committed. */
void dt_put(const char *key, const char *json);
void dt_put_web(const char *ip); /* web.shop, committed */
void dt_write(const char *path, const char *text);
/* /etc/resolv.conf names a resolver that never answers: the socket goes to *mute. */
void dt_silence(int *mute);

/* ---- asking ---- */

/* A question into out; its length. */
size_t dt_query(uint8_t *out, const char *name, int type);
int dt_open(int type, const char *from, const char *to); /* a connected socket; -1: refused */
ssize_t dt_read(int fd, void *p, size_t n, int wait_ms); /* -1: nothing came */
ssize_t dt_read_tcp(int fd);                             /* one answer, into dt.answer */
/* The rcode; -1: no answer. */
int dt_ask_by(int type, const char *from, const char *name, int rrtype, int wait_ms);
int dt_ask(const char *name, int rrtype);
int dt_ask_by_tcp(const char *from);  /* for the server's own name */
bool dt_is_refused(const char *from); /* a connection from there */
bool dt_is(const char *name, const char *address);
bool dt_serves(void);
bool dt_forwards(void);

#endif
