/*
 * What is known of each pod, and finding it again. One record a pod, {pod, state, status}, written
 * at every change below DIR/run, which dies with the machine, as what runs does. A few seconds
 * later it is copied to the pod's directory on disk: after a reboot the pod goes on from there,
 * with its volumes, logs and counts of restarts. Nothing is synced: a pod that was not copied is
 * made anew from what the master wants.
 */
#include "base/log.h"
#include "nodeagent/hostports.h"
#include "nodeagent/netns.h"
#include "nodeagent/pods_private.h"
#include "sys/file.h"
#include "value/json.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define RECORD    "record.json"
#define SETTLE_MS (5 * 1000)

static void on_timer(void *ctx)
{
	kg_pod_evaluate(ctx);
}

struct pod *kg_pod_new(struct kg_pods *pods, struct kg_doc *doc)
{
	struct pod *p = kg_alloc(sizeof(*p));
	p->pods = pods;
	kg_pstate_init(&p->st, doc);
	kg_podpaths_init(&p->paths, pods->env.dir, pods->env.cgroup_parent, p->st.uid);
	p->timer = kg_timer_new(pods->loop, on_timer, p);
	p->live = kg_alloc((p->st.nc + 1) * sizeof(*p->live));
	for (size_t i = 0; i < p->st.nc; i++)
		p->live[i] = (struct live){.pod = p, .index = i, .pidfd = -1};
	kg_map_put(&pods->pods, p->st.uid, p);
	return p;
}

void kg_pod_make_dirs(const struct pod *p)
{
	struct kg_error err;
	/* Where the disk is full there is room for the record yet. */
	if (kg_mkdir_p(p->paths.run, 0700, &err) < 0)
		kg_warn("%s", err.msg);
	if (kg_mkdir_p(p->paths.dir, 0755, &err) < 0)
		kg_warn("%s", err.msg);
}

/* A record that cannot be written is not worth ending a pod for: it is told, and the next change
 * tries again. */
static void write_json(const char *dir, const char *name, const struct kg_value *v)
{
	KG_AUTOBUF struct kg_buf b = KG_BUF_INIT;
	KG_AUTOFREE char *path = kg_asprintf("%s/%s", dir, name);
	struct kg_error err;
	kg_json_write(&b, v);
	if (kg_file_replace(path, b.data, b.len, 0600, &err) < 0)
		kg_warn("%s", err.msg);
}

static void write_record(const struct pod *p, const char *dir)
{
	struct kg_arena a KG_CLEANUP(kg_arena_release) = KG_ARENA_INIT;
	struct kg_value v =
		kg_v_obj(&a, "pod", *kg_doc_value(p->st.pod), "state", kg_pstate_save(&a, &p->st),
			"status", p->status ? *kg_doc_value(p->status) : kg_v_null(), (char *)NULL);
	write_json(dir, RECORD, &v);
}

void kg_pod_save(struct pod *p)
{
	if (p->purging)
		return;
	write_record(p, p->paths.run);
	p->unsettled = true;
	if (!p->pods->settling)
		kg_timer_set(p->pods->settle, SETTLE_MS);
	p->pods->settling = true;
}

void kg_pod_settle(struct pod *p)
{
	if (p->unsettled && !p->purging)
		write_record(p, p->paths.dir);
	p->unsettled = false;
}

void kg_pods_settle(void *ctx)
{
	struct kg_pods *pods = ctx;
	struct kg_map_entry *e;
	pods->settling = false;
	for (size_t i = 0; (e = kg_map_next(&pods->pods, &i));)
		kg_pod_settle(e->value);
}

/* Those that are Secrets, or those that are not. */
static struct kg_value filtered(struct kg_arena *a, const struct kg_value *objects, bool secrets)
{
	struct kg_value *items = kg_arena_alloc(a, (kg_len(objects) + 1) * sizeof(*items));
	size_t n = 0;
	for (uint32_t i = 0; i < kg_len(objects); i++)
		if (secrets == !strcmp(kg_string(kg_get(&objects->items[i], "kind"), ""), "Secret"))
			items[n++] = objects->items[i];
	return kg_v_array(a, items, n);
}

/* Secrets only in memory. */
void kg_pods_save_configmaps(struct kg_pods *pods)
{
	struct kg_arena a KG_CLEANUP(kg_arena_release) = KG_ARENA_INIT;
	const struct kg_value *objects = kg_doc_value(pods->configmaps);
	struct kg_value plain = filtered(&a, objects, false), secret = filtered(&a, objects, true);
	KG_AUTOFREE char *run = kg_asprintf("%s/run", pods->env.dir);
	write_json(pods->env.dir, "configmaps.json", &plain);
	write_json(run, "secrets.json", &secret);
}

static int read_json(struct kg_value *out, struct kg_arena *a, const char *dir, const char *name,
	struct kg_error *err)
{
	KG_AUTOBUF struct kg_buf b = KG_BUF_INIT;
	KG_AUTOFREE char *path = kg_asprintf("%s/%s", dir, name);
	int rc = kg_file_read(&b, path, KG_RECORD_MAX, err);
	return rc < 0 ? rc : kg_json_parse(out, a, kg_buf_str(&b), b.len, err);
}

/* ---- after a reboot ---- */

int kg_pods_check_boot(const char *dir, bool *same, struct kg_error *err)
{
	static const char *const sub[] = {"runc", "exits", "s", "ns", "shm", "files", "pods"};
	KG_AUTOBUF struct kg_buf now = KG_BUF_INIT;
	KG_AUTOBUF struct kg_buf before = KG_BUF_INIT;
	KG_AUTOFREE char *run = kg_asprintf("%s/run", dir);
	KG_AUTOFREE char *path = kg_asprintf("%s/boot", run);
	int rc = kg_mkdir_p(run, 0700, err);
	if (rc == 0)
		rc = kg_file_read(&now, "/proc/sys/kernel/random/boot_id", 100, err);
	if (rc < 0)
		return rc;
	*same = kg_file_read(&before, path, 100, NULL) == 0 &&
		!strcmp(kg_buf_str(&now), kg_buf_str(&before));
	for (size_t i = 0; !*same && rc == 0 && i < KG_ARRAY_LEN(sub); i++) {
		KG_AUTOFREE char *p = kg_asprintf("%s/%s", run, sub[i]);
		rc = kg_remove_tree(p, err);
	}
	if (rc == 0 && !*same)
		rc = kg_file_replace(path, now.data, now.len, 0600, err);
	return rc;
}

/* ---- finding pods again ---- */

static void watch_again(struct live *l)
{
	struct kg_podenv *env = &l->pod->pods->env;
	struct kg_error err;
	kg_pod_watch(l);
	if (l->c.id && /* else it has ended */
		env->runtime->adopt(env->runtime_self, &l->c, &err) < 0)
		kg_warn("%s", err.msg);
}

static void recover_container(struct pod *p, size_t i)
{
	struct kg_cstate *c = &p->st.c[i];
	struct kg_podenv *env = &p->pods->env;
	if (c->phase == KG_C_RUNNING) {
		watch_again(&p->live[i]);
		return;
	}
	if (c->phase != KG_C_STARTING)
		return;
	/* The agent went down while it was being started. */
	KG_AUTOFREE char *bundle = kg_bundle_path(&p->paths, c->name);
	struct kg_runtime_container rc = {.id = c->id, .bundle = bundle};
	struct kg_runtime_state s;
	env->runtime->look(env->runtime_self, &rc, &s);
	if (s.pid == 0) {
		c->phase = c->term.valid ? KG_C_EXITED : KG_C_WAITING;
		return;
	}
	kg_cstate_next(c);
	c->phase = KG_C_RUNNING;
	c->pid = s.pid;
	c->pid_start = kg_pid_start(s.pid);
	c->started = kg_realtime_ms();
	c->started_mono = kg_monotonic_ms();
	kg_cstate_wait(c, "", NULL);
	watch_again(&p->live[i]);
}

/* Returns false where there is no record: the pod was being removed, or never got to anything. */
static bool recover_pod(struct kg_pods *pods, const char *dir, bool same_boot)
{
	struct kg_arena a KG_CLEANUP(kg_arena_release) = KG_ARENA_INIT;
	struct kg_value v;
	struct kg_error err;
	if (read_json(&v, &a, dir, RECORD, &err) < 0)
		return false;
	struct kg_doc *doc = kg_doc_new(kg_get(&v, "pod"), NULL, 0);
	struct pod *p = kg_pod_new(pods, doc);
	kg_doc_unref(doc);
	kg_pod_make_dirs(p);
	kg_pstate_load(&p->st, kg_get(&v, "state"), same_boot, kg_realtime_ms());
	if (!same_boot)
		kg_plan_new_sandbox(&p->st, kg_realtime_ms());
	if (!kg_is_null(kg_get(&v, "status")))
		p->status = kg_doc_new(kg_get(&v, "status"), NULL, 0);
	if (p->st.sandbox == KG_SANDBOX_READY)
		kg_hostports_put(pods->env.hostports, p->st.pod);
	p->refresh = true;
	for (size_t i = 0; i < p->st.nc; i++)
		recover_container(p, i);
	kg_pod_save(p);
	return true;
}

/* Of each directory's pods those that are not known yet. */
static int recover_from(
	struct kg_pods *pods, const char *place, bool same_boot, struct kg_error *err)
{
	KG_AUTOFREE char *dir = kg_asprintf("%s/%s", pods->env.dir, place);
	int rc = kg_mkdir_p(dir, 0700, err);
	if (rc < 0)
		return rc;
	DIR *d = opendir(dir);
	if (!d)
		return kg_fail_errno(err, "%s", dir);
	for (struct dirent *e; (e = readdir(d));) {
		KG_AUTOFREE char *path = kg_asprintf("%s/%s", dir, e->d_name);
		struct kg_error left;
		if (e->d_name[0] == '.' || kg_map_has(&pods->pods, e->d_name))
			continue;
		if (!recover_pod(pods, path, same_boot) && kg_remove_tree(path, &left) < 0)
			kg_warn("%s", left.msg);
	}
	closedir(d);
	return 0;
}

/* Exit files and namespaces of nobody. */
static void sweep(struct kg_pods *pods)
{
	const char *exits = pods->env.runtime->exit_dir(pods->env.runtime_self);
	KG_AUTOFREE char *ns = kg_asprintf("%s/run/ns", pods->env.dir);
	DIR *d = opendir(exits);
	for (struct dirent *e; d && (e = readdir(d));) {
		KG_AUTOFREE char *path = kg_asprintf("%s/%s", exits, e->d_name);
		bool known = false;
		struct kg_map_entry *m;
		for (size_t i = 0; (m = kg_map_next(&pods->pods, &i));) {
			struct pod *p = m->value;
			for (size_t n = 0; n < p->st.nc; n++)
				known = known || !strcmp(p->st.c[n].id, e->d_name);
		}
		if (!known && e->d_type == DT_REG && unlink(path) < 0)
			kg_warn("remove %s: %s", path, strerror(errno));
	}
	if (d)
		closedir(d);
	d = opendir(ns);
	for (struct dirent *e; d && (e = readdir(d));) {
		if (e->d_name[0] == '.' || kg_map_has(&pods->pods, e->d_name))
			continue;
		KG_AUTOFREE char *dir = kg_asprintf("%s/%s", ns, e->d_name);
		KG_AUTOFREE char *net = kg_asprintf("%s/net", dir);
		KG_AUTOFREE char *ipc = kg_asprintf("%s/ipc", dir);
		KG_AUTOFREE char *pid = kg_asprintf("%s/pid", dir);
		struct kg_error err;
		if (kg_ns_unpin(net, &err) < 0 || kg_ns_unpin(ipc, &err) < 0 ||
			kg_ns_unpin(pid, &err) < 0)
			kg_warn("%s", err.msg);
		else if (rmdir(dir) < 0)
			kg_warn("remove %s: %s", dir, strerror(errno));
	}
	if (d)
		closedir(d);
}

int kg_pods_recover(struct kg_pods *pods, bool same_boot, struct kg_error *err)
{
	struct kg_arena a KG_CLEANUP(kg_arena_release) = KG_ARENA_INIT;
	struct kg_value maps = kg_v_array(&a, NULL, 0);
	struct kg_error ignored; /* none yet: containers that need one wait for the first view */
	struct kg_value secrets = kg_v_array(&a, NULL, 0);
	KG_AUTOFREE char *run = kg_asprintf("%s/run", pods->env.dir);
	read_json(&maps, &a, pods->env.dir, "configmaps.json", &ignored);
	read_json(&secrets, &a, run, "secrets.json", &ignored);
	for (uint32_t i = 0; i < kg_len(&secrets); i++)
		maps = kg_with_item(&a, &maps, secrets.items[i]);
	pods->configmaps = kg_doc_new(&maps, NULL, 0);
	int rc = recover_from(pods, "run/pods", same_boot, err);
	if (rc == 0)
		rc = recover_from(pods, "pods", false, err);
	if (rc < 0)
		return rc;
	sweep(pods);
	return 0;
}
