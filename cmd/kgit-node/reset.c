/* kgit-node reset: what the pods of a stopped agent left is removed, as if all had been deleted. */
#include "base/mem.h"
#include "dns/server.h"
#include "node.h"
#include "nodeagent/bridge.h"
#include "nodeagent/cgroup.h"
#include "nodeagent/dns.h"
#include "nodeagent/hostns.h"
#include "nodeagent/network.h"
#include "nodeagent/pods.h"
#include "nodeagent/rundir.h"
#include "sys/file.h"

#include <dirent.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define LOOK_MS 20
#define MAX_MS  120000

struct reset {
	const struct kgn_options *opts;
	struct kg_loop *loop;
	struct kg_timer *timer;
	int64_t until;
};

unsigned kgn_count_pods(const char *state)
{
	KG_AUTOFREE char *path = kg_asprintf("%s/pods", state);
	DIR *dir = opendir(path);
	struct dirent *e;
	unsigned n = 0;

	while (dir && (e = readdir(dir)))
		n += e->d_name[0] != '.';
	if (dir)
		closedir(dir);
	return n;
}

static void look(void *ctx)
{
	struct reset *r = ctx;

	if (kgn_count_pods(r->opts->state) == 0)
		kg_loop_stop(r->loop, 0);
	else if (kg_monotonic_ms() > r->until)
		kg_loop_stop(r->loop, 1);
	else
		kg_timer_set(r->timer, LOOK_MS);
}

static void on_status(void *ctx, const char *ns, const char *name, const char *uid,
	const struct kg_value *status, bool gone)
{
	(void)ctx;
	(void)uid;
	(void)status;
	if (gone)
		printf("removed pod %s/%s\n", ns, name);
}

int kgn_remember_name(const char *state, const char *name)
{
	char *path KG_AUTOFREE = kg_asprintf("%s/node", state);
	struct kg_error err;

	if (kg_file_replace(path, name, strlen(name), 0644, &err) < 0) {
		kgn_fail("%s", err.msg);
		return -1;
	}
	return 0;
}

/* The name under which the agent ran, and with it where its pods' cgroups are; NULL: it never did.
 */
static char *remembered_name(const char *state)
{
	char *file KG_AUTOFREE = kg_asprintf("%s/node", state);
	struct kg_buf name = KG_BUF_INIT;
	struct kg_error err;

	if (kg_file_read(&name, file, 256, &err) < 0 || name.len == 0) {
		kg_buf_release(&name);
		return NULL;
	}
	return kg_buf_steal(&name);
}

/* What outlived the agent has nobody to care for once no pod is left. Then the node's own cgroup,
 * and the one of all nodes if it is empty. */
static int remove_cgroups(const char *name, bool no_pods)
{
	struct kg_cgroups groups;
	struct kg_error err;
	int rc = 0;

	if (kg_cgroups_detect(&groups, &err) < 0)
		return kgn_fail("%s", err.msg);
	char *helpers KG_AUTOFREE = kg_asprintf("/kgit/%s/" KG_CGROUP_HELPERS, name);
	if (no_pods && kg_cgroup_remove(&groups, helpers, &err) < 0)
		rc = kgn_fail("%s", err.msg);
	for (unsigned i = 0; i < groups.nmounts; i++) {
		char *own KG_AUTOFREE = kg_asprintf("%s/kgit/%s", groups.mounts[i], name);
		char *all KG_AUTOFREE = kg_asprintf("%s/kgit", groups.mounts[i]);

		/* Fails where something is still in it, and that is right. */
		if (rmdir(own) == 0)
			rmdir(all);
	}
	kg_cgroups_release(&groups);
	return rc;
}

int kgn_end_dns(const char *state)
{
	char *dir KG_AUTOFREE = kg_asprintf("%s/" KG_DNS_DIR, state);
	struct kg_error err;

	return kg_dns_end(dir, &err) < 0 ? kgn_fail("%s", err.msg) : 0;
}

static int remove_pods(struct reset *r, const char *name, struct kg_bridge *bridge)
{
	struct kg_arena arena KG_CLEANUP(kg_arena_release) = KG_ARENA_INIT;
	struct kg_value none = kg_v_array(&arena, NULL, 0);
	struct kg_pods_options opts = {.dir = r->opts->state,
		.node_name = name ? name : "reset",
		.node_ip = "127.0.0.1",
		.net = &kg_bridge_podnet,
		.net_self = bridge,
		.image_gc = {.high = 101, .low = 100}, /* images stay */
		.on_status = on_status};
	struct kg_pods *pods;
	struct kg_error err;

	if (kg_pods_new(&pods, r->loop, &opts, &err) < 0)
		return kgn_fail("%s", err.msg);
	kg_pods_apply(pods, &none, &none);
	r->until = kg_monotonic_ms() + MAX_MS;
	kg_timer_set(r->timer, 0);
	int rc = kg_loop_run(r->loop);
	kg_pods_free(pods);
	if (rc)
		kgn_fail("%u pods could not be removed; see %s/pods",
			kgn_count_pods(r->opts->state), r->opts->state);
	return rc;
}

int kgn_reset(const struct kgn_options *o)
{
	struct reset r = {.opts = o};
	struct kg_error err;
	KG_AUTOCLOSE int lock = kgn_lock(o->state);

	if (lock < 0)
		return 1;
	if (kg_hostns_enter(o->state, &err) < 0 || kg_rundir_mount(o->state, &err) < 0)
		return kgn_fail("%s", err.msg);
	kg_signals_block();
	r.loop = kg_loop_new();
	r.timer = kg_timer_new(r.loop, look, &r);
	char *name KG_AUTOFREE = remembered_name(o->state);
	struct kg_bridge *bridge = kg_bridge_new();
	int rc = kgn_count_pods(o->state) ? remove_pods(&r, name, bridge) : 0;
	kg_bridge_free(bridge);
	kg_timer_free(r.timer);
	kg_loop_free(r.loop);
	if (kgn_end_dns(o->state) != 0)
		rc = 1;
	if (name && remove_cgroups(name, kgn_count_pods(o->state) == 0) != 0)
		rc = 1;
	if (kg_network_remove(&err) < 0 || (rc == 0 && kg_rundir_unmount(o->state, &err) < 0))
		return kgn_fail("%s", err.msg);
	return rc;
}
