#include "nodeagent/dns.h"
#include "base/hash.h"
#include "base/map.h"
#include "base/mem.h"
#include "dns/names.h"
#include "dns/server.h"
#include "nodeagent/dns_zone.h"
#include "sys/file.h"
#include "sys/spawn.h"
#include "value/json.h"

#include <arpa/inet.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>

#define SETTLE_MS      20
#define PARTS          (KG_NAMES_PARTS - 1) /* that Services are spread over */
#define RESTART_MS     1000 /* doubling to the next, forgotten when it ran for so long */
#define RESTART_MAX_MS 60000
#define RAN_MS         10000
#define RETRY_MS       2000

struct records {
	char *names, *pointers; /* dns_zone.h */
};

struct kg_dns {
	struct kg_dns_options opts;
	struct kg_dns_limits limits;
	struct kg_loop *loop;
	struct kg_cidr ranges[3];
	bool configured, changed, failing;
	bool moved;    /* the server that runs, if any, is not where it should be */
	bool exposed;  /* the child is in the agent's group still, and ends with it */
	bool settling; /* the timer is set for what changed, not to try again */
	struct part {
		struct kg_map services; /* key -> struct records */
		bool changed;           /* since it was written */
	} parts[PARTS];
	bool anew; /* all of it is to be written, whatever changed */
	struct kg_dns_zones zones;
	struct kg_timer *timer;
	struct kg_child *child;
	pid_t pid; /* the child's */
	int64_t started_ms, wait_ms;
	int64_t restart_ms; /* not before */
};

in_addr_t kg_dns_address(const struct kg_cidr *pods)
{
	return htonl(ntohl(pods->addr & kg_cidr_mask(pods->prefix)) + 1);
}

/* ---- what is served ---- */

static void free_records(struct records *r)
{
	if (!r)
		return;
	free(r->names);
	free(r->pointers);
	free(r);
}

static struct records *make_records(const struct kg_dns *d, const struct kg_value *service)
{
	KG_AUTOBUF struct kg_buf names = KG_BUF_INIT, pointers = KG_BUF_INIT;
	struct records *r;

	kg_dns_records(&names, &pointers, service, d->opts.domain);
	if (names.len == 0)
		return NULL;
	r = kg_alloc(sizeof(*r));
	r->names = kg_buf_steal(&names);
	r->pointers = kg_buf_steal(&pointers);
	return r;
}

static bool same(const struct records *a, const struct records *b)
{
	return a && b ? !strcmp(a->names, b->names) && !strcmp(a->pointers, b->pointers) : a == b;
}

void kg_dns_put(struct kg_dns *d, const char *key, const struct kg_value *service)
{
	struct part *part = &d->parts[kg_hash64(key, strlen(key)) % PARTS];
	struct records *r = service ? make_records(d, service) : NULL;
	struct records *old = kg_map_get(&part->services, key);

	if (same(old, r)) {
		free_records(r);
		return;
	}
	d->changed = part->changed = true;
	free_records(r ? kg_map_put(&part->services, key, r) : kg_map_remove(&part->services, key));
}

void kg_dns_clear(struct kg_dns *d)
{
	for (unsigned i = 0; i < PARTS; i++) {
		struct part *part = &d->parts[i];
		struct kg_map_entry *e;

		for (size_t k = 0; (e = kg_map_next(&part->services, &k));) {
			free_records(e->value);
			d->changed = part->changed = true;
		}
		kg_map_clear(&part->services);
	}
}

/* ---- files ---- */

/* What an earlier agent wrote and is right need not be read again by the server that runs. */
static bool is_there(const char *path, const struct kg_buf *text)
{
	KG_AUTOBUF struct kg_buf had = KG_BUF_INIT;
	struct kg_error ignored; /* then it is written */

	return kg_file_read(&had, path, text->len, &ignored) == 0 && had.len == text->len &&
	       memcmp(kg_buf_str(&had), kg_buf_str(text), had.len) == 0;
}

static int write_file(
	struct kg_dns *d, const char *name, const struct kg_buf *text, struct kg_error *err)
{
	KG_AUTOFREE char *path = kg_asprintf("%s/%s", d->opts.dir, name);

	if (d->anew && is_there(path, text))
		return 0;
	return kg_file_replace(path, kg_buf_str(text), text->len, 0644, err);
}

static int write_part_file(
	struct kg_dns *d, unsigned i, const struct kg_buf *text, struct kg_error *err)
{
	char name[16];

	snprintf(name, sizeof(name), KG_DNS_PART, i);
	return write_file(d, name, text, err);
}

static int write_part(struct kg_dns *d, unsigned i, struct kg_error *err)
{
	struct part *part = &d->parts[i];
	struct kg_map_entry **all KG_AUTOFREE = kg_map_sorted(&part->services);
	KG_AUTOBUF struct kg_buf text = KG_BUF_INIT;

	for (size_t k = 0; k < part->services.count; k++) {
		const struct records *r = all[k]->value;

		kg_buf_adds(&text, r->names);
		kg_dns_zones_pointers(&text, &d->zones, r->pointers);
	}
	int rc = write_part_file(d, i, &text, err);
	part->changed = rc < 0;
	return rc;
}

static int write_parts(struct kg_dns *d, struct kg_error *err)
{
	int rc = 0;

	for (unsigned i = 0; rc == 0 && i < PARTS; i++)
		if (d->anew || d->parts[i].changed)
			rc = write_part(d, i, err);
	return rc;
}

static int write_own(struct kg_dns *d, struct kg_error *err)
{
	KG_AUTOBUF struct kg_buf text = KG_BUF_INIT;

	kg_dns_zones_own(&text, &d->zones, d->opts.domain, kg_dns_address(&d->ranges[0]));
	return write_part_file(d, PARTS, &text, err);
}

static struct kg_value range_text(struct kg_arena *a, const struct kg_cidr *range)
{
	char addr[INET_ADDRSTRLEN];

	inet_ntop(AF_INET, &range->addr, addr, sizeof(addr));
	return kg_v_strf(a, "%s/%u", addr, range->prefix);
}

/* The last one: the server reads all when it sees it. Nodes' own addresses ask by the bridge's. */
static int write_config(struct kg_dns *d, struct kg_error *err)
{
	struct kg_arena a KG_CLEANUP(kg_arena_release) = KG_ARENA_INIT;
	KG_AUTOBUF struct kg_buf text = KG_BUF_INIT;
	struct kg_value ranges[2] = {range_text(&a, &d->ranges[0]), range_text(&a, &d->ranges[1])};
	struct kg_value *zones = kg_arena_alloc(&a, d->zones.n * sizeof(*zones));

	for (size_t i = 0; i < d->zones.n; i++)
		zones[i] = kg_v_lit(d->zones.names[i]);
	struct kg_value config = kg_v_obj(&a, "ranges", kg_v_array(&a, ranges, 2), "zones",
		kg_v_array(&a, zones, d->zones.n), "limits", kg_dns_limits_value(&a, &d->limits),
		(char *)NULL);
	kg_json_write_pretty(&text, &config);
	return write_file(d, KG_DNS_CONFIG, &text, err);
}

static int write_all(struct kg_dns *d, struct kg_error *err)
{
	int rc = write_parts(d, err);

	if (rc == 0 && d->anew)
		rc = write_own(d, err);
	if (rc == 0 && d->anew)
		rc = write_config(d, err);
	if (rc < 0)
		return rc;
	d->anew = d->changed = false;
	return 0;
}

/* ---- the server ---- */

static void tell(struct kg_dns *d, const struct kg_error *err)
{
	if (d->opts.on_event)
		d->opts.on_event(d->opts.ctx, err);
}

static void try_in(struct kg_dns *d, int64_t ms)
{
	if (!d->settling) /* else it is tried before */
		kg_timer_set(d->timer, ms);
}

static void on_end(void *ctx, int status)
{
	struct kg_dns *d = ctx;
	struct kg_error err;

	bool ran = kg_monotonic_ms() - d->started_ms >= RAN_MS;

	d->child = NULL;
	d->exposed = false;
	d->wait_ms = ran || !d->wait_ms ? RESTART_MS : d->wait_ms * 2;
	if (d->wait_ms > RESTART_MAX_MS)
		d->wait_ms = RESTART_MAX_MS;
	bool refused = WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS;
	kg_fail(&err, KG_E_UNAVAILABLE, "the name server %s %d%s; it is started again in %d s",
		WIFSIGNALED(status) ? "was ended by signal" : "ended with status",
		WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status),
		refused ? " (a system call that its filter refuses: the kernel's log has its "
			  "number, --no-dns-seccomp goes without)"
			: "",
		(int)(d->wait_ms / 1000));
	tell(d, &err);
	d->restart_ms = kg_monotonic_ms() + d->wait_ms;
	if (d->configured)
		try_in(d, d->wait_ms);
}

static int shelter(struct kg_dns *d, struct kg_error *err)
{
	if (!d->exposed)
		return 0;
	int rc = kg_cgroup_shelter(d->opts.cgroups, d->opts.cgroup, d->pid, err);
	d->exposed = rc < 0;
	return rc;
}

/* It takes over from the one that runs, be it this agent's or an earlier one's. */
static int start(struct kg_dns *d, struct kg_error *err)
{
	char address[INET_ADDRSTRLEN];
	in_addr_t addr = kg_dns_address(&d->ranges[0]);
	const char *argv[] = {d->opts.program, "dns", d->opts.dir, address,
		d->opts.unconfined ? KG_DNS_UNCONFINED : NULL, NULL};
	struct kg_spawn spawn = KG_SPAWN_INIT;
	pid_t pid;

	inet_ntop(AF_INET, &addr, address, sizeof(address));
	spawn.argv = argv;
	spawn.new_session = true;
	int rc = kg_spawn(&pid, &spawn, err);
	if (rc < 0)
		return rc;
	kg_child_free(d->child); /* the one before; still reaped */
	d->child = kg_loop_child(d->loop, pid, on_end, d);
	d->pid = pid;
	d->moved = false;
	d->started_ms = kg_monotonic_ms();
	d->exposed = d->opts.cgroups;
	return shelter(d, err);
}

static int make_dir(struct kg_dns *d, struct kg_error *err)
{
	int rc = kg_mkdir_p(d->opts.dir, 0755, err);

	/* The server reads it as nobody, whatever the umask. */
	if (rc == 0 && chmod(d->opts.dir, 0755) < 0)
		rc = kg_fail_errno(err, "chmod %s", d->opts.dir);
	return rc;
}

/* A server that ended is started again whatever there is to write: what was written last is better
 * than no names. */
static void try(struct kg_dns *d)
{
	struct kg_error err, ignored;
	int rc = make_dir(d, &err);

	if (rc == 0 && d->changed)
		rc = write_all(d, &err);
	int64_t left = d->restart_ms - kg_monotonic_ms();
	bool due = left <= 0;
	if (rc == 0 && (d->moved || (!d->child && due)))
		rc = start(d, &err);
	else if (rc < 0 && !d->child && due)
		start(d, &ignored);
	else if (!d->child)
		try_in(d, left);
	else if (rc == 0)
		rc = shelter(d, &err);
	if (rc < 0 && !d->failing)
		tell(d, &err);
	if (rc < 0)
		try_in(d, RETRY_MS);
	d->failing = rc < 0;
}

static void on_timer(void *ctx)
{
	struct kg_dns *d = ctx;

	d->settling = false;
	try(d);
}

void kg_dns_configure(struct kg_dns *d, const struct kg_cidr ranges[3])
{
	bool moved = !d->configured || kg_dns_address(&ranges[0]) != kg_dns_address(&d->ranges[0]);

	if (d->configured && memcmp(ranges, d->ranges, sizeof(d->ranges)) == 0)
		return;
	memcpy(d->ranges, ranges, sizeof(d->ranges));
	kg_dns_zones_release(&d->zones);
	kg_dns_zones_init(&d->zones, d->opts.domain, ranges, 3);
	d->configured = d->changed = d->anew = true;
	d->moved |= moved;
	if (moved)
		try(d);
	else
		kg_dns_commit(d);
}

void kg_dns_commit(struct kg_dns *d)
{
	if (!d->configured || !d->changed || d->settling)
		return;
	d->settling = true;
	kg_timer_set(d->timer, SETTLE_MS);
}

/* ---- life ---- */

struct kg_dns *kg_dns_new(struct kg_loop *loop, const struct kg_dns_options *opts)
{
	struct kg_dns *d = kg_alloc(sizeof(*d));

	d->opts = *opts;
	if (opts->limits)
		d->limits = *opts->limits;
	else
		kg_dns_limits_default(&d->limits);
	d->loop = loop;
	d->timer = kg_timer_new(loop, on_timer, d);
	if (opts->left && *opts->left > 0) {
		d->pid = *opts->left;
		d->child = kg_loop_child(loop, d->pid, on_end, d);
	}
	return d;
}

void kg_dns_free(struct kg_dns *d)
{
	if (!d)
		return;
	kg_dns_clear(d);
	for (unsigned i = 0; i < PARTS; i++)
		kg_map_release(&d->parts[i].services);
	kg_dns_zones_release(&d->zones);
	kg_timer_free(d->timer);
	if (d->opts.left)
		*d->opts.left = d->child ? d->pid : 0;
	kg_child_free(d->child);
	free(d);
}
