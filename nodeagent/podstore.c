/*
 * What lies on disk of each pod, and finding it again. Nothing here is synced: it says how to find
 * what runs, and that dies with the machine; after a reboot the pods are made anew from what the
 * master wants.
 */
#include "base/log.h"
#include "nodeagent/netns.h"
#include "nodeagent/pods_private.h"
#include "sys/file.h"
#include "value/json.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define MAX_JSON (64 << 20)

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

void kg_pod_save(struct pod *p)
{
	struct kg_arena a KG_CLEANUP(kg_arena_release) = KG_ARENA_INIT;
	struct kg_value v = kg_pstate_save(&a, &p->st);
	if (!p->purging)
		write_json(p->paths.dir, "state.json", &v);
}

void kg_pod_save_doc(struct pod *p)
{
	if (!p->purging)
		write_json(p->paths.dir, "pod.json", kg_doc_value(p->st.pod));
}

void kg_pod_save_status(struct pod *p)
{
	if (!p->purging)
		write_json(p->paths.dir, "status.json", kg_doc_value(p->status));
}

void kg_pods_save_configmaps(struct kg_pods *pods)
{
	write_json(pods->env.dir, "configmaps.json", kg_doc_value(pods->configmaps));
}

static int read_json(struct kg_value *out, struct kg_arena *a, const char *dir, const char *name,
	struct kg_error *err)
{
	KG_AUTOBUF struct kg_buf b = KG_BUF_INIT;
	KG_AUTOFREE char *path = kg_asprintf("%s/%s", dir, name);
	int rc = kg_file_read(&b, path, MAX_JSON, err);
	return rc < 0 ? rc : kg_json_parse(out, a, kg_buf_str(&b), b.len, err);
}

/* ---- after a reboot ---- */

int kg_pods_check_boot(const char *dir, bool *same, struct kg_error *err)
{
	static const char *const sub[] = {"runc", "exits", "s", "ns", "shm"};
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

static void recover_container(struct pod *p, size_t i)
{
	struct kg_cstate *c = &p->st.c[i];
	struct kg_podenv *env = &p->pods->env;
	if (c->phase == KG_C_RUNNING) {
		kg_pod_watch(&p->live[i]);
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
	if (c->term.valid) {
		c->restarts++;
		kg_cterm_clear(&c->last);
		c->last = c->term;
		c->term = (struct kg_cterm){0};
	}
	c->phase = KG_C_RUNNING;
	c->pid = s.pid;
	c->pid_start = kg_pid_start(s.pid);
	c->started = kg_realtime_ms();
	c->started_mono = kg_monotonic_ms();
	kg_cstate_wait(c, "", NULL);
	kg_pod_watch(&p->live[i]);
}

static void recover_pod(struct kg_pods *pods, const char *dir, bool same_boot)
{
	struct kg_arena a KG_CLEANUP(kg_arena_release) = KG_ARENA_INIT;
	struct kg_value v;
	struct kg_error err;
	if (read_json(&v, &a, dir, "pod.json", &err) < 0) {
		/* It was being removed, or never got to anything: records come first. */
		if (kg_remove_tree(dir, &err) < 0)
			kg_warn("%s", err.msg);
		return;
	}
	struct kg_doc *doc = kg_doc_new(&v, NULL, 0);
	struct pod *p = kg_pod_new(pods, doc);
	kg_doc_unref(doc);
	if (read_json(&v, &a, dir, "state.json", &err) == 0)
		kg_pstate_load(&p->st, &v, same_boot, kg_realtime_ms());
	if (read_json(&v, &a, dir, "status.json", &err) == 0)
		p->status = kg_doc_new(&v, NULL, 0);
	p->refresh = true;
	for (size_t i = 0; i < p->st.nc; i++)
		recover_container(p, i);
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
		struct kg_error err;
		if (kg_ns_unpin(net, &err) < 0 || kg_ns_unpin(ipc, &err) < 0)
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
	KG_AUTOFREE char *dir = kg_asprintf("%s/pods", pods->env.dir);
	struct kg_error ignored; /* none yet: containers that need one wait for the first view */
	read_json(&maps, &a, pods->env.dir, "configmaps.json", &ignored);
	pods->configmaps = kg_doc_new(&maps, NULL, 0);
	int rc = kg_mkdir_p(dir, 0700, err);
	if (rc < 0)
		return rc;
	DIR *d = opendir(dir);
	if (!d)
		return kg_fail_errno(err, "%s", dir);
	for (struct dirent *e; (e = readdir(d));) {
		KG_AUTOFREE char *path = kg_asprintf("%s/%s", dir, e->d_name);
		if (e->d_name[0] != '.')
			recover_pod(pods, path, same_boot);
	}
	closedir(d);
	sweep(pods);
	return 0;
}
