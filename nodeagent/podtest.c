#include "nodeagent/podtest.h"
#include "base/hash.h"
#include "kinds/object.h"
#include "nodeagent/cgroup.h"
#include "nodeagent/image.h"
#include "nodeagent/rundir.h"
#include "sys/file.h"
#include "sys/spawn.h"
#include "value/testing.h"

#include <dirent.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

void kg_podtest_require(void)
{
	static const char *const need[] = {"/bin/busybox", "/usr/bin/conmon", "/usr/bin/skopeo"};
	bool ok = geteuid() == 0 &&
		  (access("/usr/sbin/runc", X_OK) == 0 || access("/usr/bin/runc", X_OK) == 0);
	for (size_t i = 0; i < KG_ARRAY_LEN(need); i++)
		ok = ok && access(need[i], X_OK) == 0;
	if (ok)
		return;
	fprintf(stderr, "skipped: needs root, runc, conmon, skopeo, busybox-static\n");
	exit(77);
}

static char cache[64];

static void drop_cache(void)
{
	struct kg_error err;
	kg_remove_tree(cache, &err);
}

void kg_podtest_image(const char *dir)
{
	struct kg_error err;
	if (!*cache) {
		snprintf(cache, sizeof(cache), "/tmp/kgit-image-XXXXXX");
		assert_non_null(mkdtemp(cache));
		atexit(drop_cache);
		const char *argv[] = {KGIT_SOURCE_DIR "/testdata/make-busybox-image", cache, NULL};
		struct kg_run run = {.spawn = KG_SPAWN_INIT};
		run.spawn.argv = argv;
		if (kg_run(&run, NULL, &err) < 0)
			fail_msg("%s", err.msg);
	}
	if (kg_image_import(dir, cache, NULL, &err) < 0)
		fail_msg("%s", err.msg);
}

static void on_status(void *ctx, const char *ns, const char *name, const char *uid,
	const struct kg_value *status, bool gone)
{
	struct kg_podtest *t = ctx;
	(void)ns;
	(void)uid;
	t->reports++;
	kg_doc_unref(kg_map_remove(&t->statuses, name));
	if (gone)
		kg_map_put(&t->gone, name, t);
	else
		kg_map_put(&t->statuses, name, kg_doc_new(status, NULL, 0));
	if (t->want && t->want(t, t->arg))
		kg_loop_stop(t->loop, 0);
}

static void open_pods(struct kg_podtest *t, const struct kg_podnet *net, void *net_self)
{
	struct kg_error err;
	struct kg_pods_options o = {
		.dir = t->dir,
		.node_name = "n1",
		.node_ip = "127.0.0.1",
		.cgroup_parent = t->dir + strlen("/tmp"),
		.net = net,
		.net_self = net_self,
		.image_gc = t->image_gc,
		.on_status = on_status,
		.ctx = t,
	};
	if (kg_pods_new(&t->pods, t->loop, &o, &err) < 0)
		fail_msg("%s", err.msg);
}

static void time_up(void *ctx)
{
	struct kg_podtest *t = ctx;
	kg_loop_stop(t->loop, 1);
}

void kg_podtest_begin(struct kg_podtest *t, const struct kg_podnet *net, void *net_self)
{
	*t = (struct kg_podtest){0};
	snprintf(t->dir, sizeof(t->dir), "/tmp/kgit-pods-XXXXXX");
	assert_non_null(mkdtemp(t->dir));
	kg_podtest_image(t->dir);
	t->loop = kg_loop_new();
	t->timer = kg_timer_new(t->loop, time_up, t);
	t->configmaps = kg_v_array(&t->arena, NULL, 0);
	open_pods(t, net, net_self);
}

void kg_podtest_restart(struct kg_podtest *t, const struct kg_podnet *net, void *net_self)
{
	kg_pods_free(t->pods);
	open_pods(t, net, net_self);
}

static bool all_gone(struct kg_podtest *t, const char *arg)
{
	(void)arg;
	return t->statuses.count == 0;
}

void kg_podtest_end(struct kg_podtest *t)
{
	struct kg_error err;
	t->n = 0;
	kg_podtest_apply(t);
	kg_podtest_wait(t, all_gone, NULL, 20000);
	kg_pods_free(t->pods);
	kg_timer_free(t->timer);
	kg_loop_free(t->loop);
	kg_map_release(&t->statuses);
	kg_map_release(&t->gone);
	kg_arena_release(&t->arena);
	assert_int_equal(kg_rundir_unmount(t->dir, &err), 0);
	assert_int_equal(kg_podtest_traces(t->dir), 0);
	if (kg_remove_tree(t->dir, &err) < 0)
		fail_msg("%s", err.msg);
}

void kg_podtest_add(struct kg_podtest *t, const char *name, const char *spec)
{
	char uid[37], text[8192];
	kg_uuid5(uid, "6ba7b810-9dad-11d1-80b4-00c04fd430c8", name);
	snprintf(text, sizeof(text),
		"{\"apiVersion\":\"v1\",\"kind\":\"Pod\",\"podIP\":\"127.0.0.1\","
		"\"hostIP\":\"127.0.0.1\",\"metadata\":{\"name\":\"%s\",\"namespace\":\"default\","
		"\"uid\":\"%s\",\"labels\":{\"app\":\"test\"}},\"spec\":%s}",
		name, uid, spec);
	t->objects[t->n++] = kg_test_json(&t->arena, text);
}

void kg_podtest_remove(struct kg_podtest *t, const char *name)
{
	for (size_t i = 0; i < t->n; i++)
		if (!strcmp(kg_string(kg_at(&t->objects[i], "metadata.name"), ""), name))
			t->objects[i--] = t->objects[--t->n];
}

void kg_podtest_configmap(struct kg_podtest *t, const char *json)
{
	struct kg_value v = kg_test_json(&t->arena, json);
	t->configmaps = kg_v_array(&t->arena, &v, 1);
}

void kg_podtest_apply(struct kg_podtest *t)
{
	struct kg_value list = kg_v_array(&t->arena, t->objects, t->n);
	kg_pods_apply(t->pods, &list, &t->configmaps);
}

static void print_statuses(struct kg_podtest *t)
{
	struct kg_map_entry *e;
	for (size_t i = 0; (e = kg_map_next(&t->statuses, &i));) {
		KG_AUTOBUF struct kg_buf b = KG_BUF_INIT;
		kg_json_write_pretty(&b, kg_doc_value(e->value));
		fprintf(stderr, "%s: %s\n", e->key, kg_buf_str(&b));
	}
}

void kg_podtest_wait(struct kg_podtest *t, bool (*want)(struct kg_podtest *t, const char *arg),
	const char *arg, int ms)
{
	if (want(t, arg))
		return;
	t->want = want;
	t->arg = arg;
	kg_timer_set(t->timer, ms);
	int rc = kg_loop_run(t->loop);
	kg_timer_set(t->timer, -1);
	t->want = NULL;
	if (rc != 0) {
		print_statuses(t);
		fail_msg("not within %d ms", ms);
	}
}

const struct kg_value *kg_podtest_status(struct kg_podtest *t, const char *name)
{
	struct kg_doc *d = kg_map_get(&t->statuses, name);
	return d ? kg_doc_value(d) : &kg_null;
}

const struct kg_value *kg_podtest_container(struct kg_podtest *t, const char *name)
{
	return kg_at(kg_podtest_status(t, name), "containerStatuses.0");
}

const char *kg_podtest_waits_for(struct kg_podtest *t, const char *name)
{
	return kg_string(kg_at(kg_podtest_container(t, name), "state.waiting.reason"), "");
}

static bool phase_is(struct kg_podtest *t, const char *name, const char *phase)
{
	const struct kg_value *s = kg_podtest_status(t, name);
	return !strcmp(kg_string(kg_get(s, "phase"), ""), phase);
}

bool kg_podtest_running(struct kg_podtest *t, const char *name)
{
	const struct kg_value *s = kg_podtest_status(t, name);
	const struct kg_value *list = kg_get(s, "containerStatuses");
	for (uint32_t i = 0; i < kg_len(list); i++)
		if (kg_is_null(kg_at(&list->items[i], "state.running")))
			return false;
	return kg_len(list) > 0 && phase_is(t, name, "Running");
}

bool kg_podtest_ready(struct kg_podtest *t, const char *name)
{
	return kg_condition_is_true(kg_podtest_status(t, name), "Ready");
}

bool kg_podtest_gone(struct kg_podtest *t, const char *name)
{
	return kg_map_has(&t->gone, name);
}

bool kg_podtest_succeeded(struct kg_podtest *t, const char *name)
{
	return phase_is(t, name, "Succeeded");
}

bool kg_podtest_failed(struct kg_podtest *t, const char *name)
{
	return phase_is(t, name, "Failed");
}

static char *read_log(struct kg_podtest *t, const char *name, const char *container, bool previous)
{
	char uid[37], buf[4096];
	struct kg_error err;
	struct kg_log_reader *r;
	KG_AUTOBUF struct kg_buf b = KG_BUF_INIT;
	kg_uuid5(uid, "6ba7b810-9dad-11d1-80b4-00c04fd430c8", name);
	struct kg_log_request req = {
		.uid = uid, .container = container, .previous = previous, .tail = -1};
	if (kg_log_open(&r, t->pods, &req, &err) < 0)
		fail_msg("%s", err.msg);
	for (ssize_t n; (n = kg_log_read(r, buf, sizeof(buf), 0)) > 0;)
		kg_buf_add(&b, buf, (size_t)n);
	kg_log_close(r);
	return kg_buf_steal(&b);
}

char *kg_podtest_log(struct kg_podtest *t, const char *name, bool previous)
{
	return read_log(t, name, NULL, previous);
}

char *kg_podtest_log_of(struct kg_podtest *t, const char *name, const char *container)
{
	return read_log(t, name, container, false);
}

static unsigned count_lines(const char *path, const char *text)
{
	KG_AUTOBUF struct kg_buf b = KG_BUF_INIT;
	unsigned n = 0;
	if (kg_file_read(&b, path, 16 << 20, NULL) < 0 || !b.len)
		return 0;
	for (const char *p = b.data; (p = strstr(p, text)); p++)
		n++;
	return n;
}

static bool process_names(const char *pid, const char *text)
{
	KG_AUTOFREE char *path = kg_asprintf("/proc/%s/cmdline", pid);
	KG_AUTOBUF struct kg_buf b = KG_BUF_INIT;
	return atoi(pid) > 0 && atoi(pid) != getpid() &&
	       kg_file_read(&b, path, 1 << 20, NULL) == 0 && b.len &&
	       memmem(b.data, b.len, text, strlen(text));
}

void kg_podtest_sheltered(struct kg_podtest *t, pid_t pid)
{
	struct kg_cgroups groups KG_CLEANUP(kg_cgroups_release) = {0};
	KG_AUTOFREE char *path = kg_asprintf("/proc/%d/cgroup", (int)pid);
	KG_AUTOBUF struct kg_buf text = KG_BUF_INIT;
	struct kg_error err;
	assert_int_equal(kg_cgroups_detect(&groups, &err), 0);
	if (!groups.v2 && access("/sys/fs/cgroup/systemd", W_OK) < 0)
		return;
	assert_int_equal(kg_file_read(&text, path, 65536, &err), 0);
	KG_AUTOFREE char *line =
		kg_asprintf("%s%s/", groups.v2 ? "0::" : ":name=systemd:", t->dir + strlen("/tmp"));
	if (!strstr(kg_buf_str(&text), line))
		fail_msg("process %d is not below %s but:\n%s", (int)pid, line, kg_buf_str(&text));
}

pid_t kg_podtest_conmon(struct kg_podtest *t, const char *pod)
{
	char uid[37];
	KG_AUTOBUF struct kg_buf text = KG_BUF_INIT;
	struct kg_error err;
	kg_uuid5(uid, "6ba7b810-9dad-11d1-80b4-00c04fd430c8", pod);
	KG_AUTOFREE char *path = kg_asprintf("%s/run/pods/%s/c/conmon.pid", t->dir, uid);
	if (kg_file_read(&text, path, 64, &err) < 0)
		fail_msg("%s", err.msg);
	return (pid_t)atoi(kg_buf_str(&text));
}

unsigned kg_podtest_traces(const char *dir)
{
	const char *tag = dir + strlen("/tmp");
	unsigned n = count_lines("/proc/self/mountinfo", tag);
	DIR *d = opendir("/sys/fs/cgroup");
	for (struct dirent *e; d && (e = readdir(d));) {
		/* The node's own parent group may stay; no pod's below it. */
		KG_AUTOFREE char *path = kg_asprintf("/sys/fs/cgroup/%s%s", e->d_name, tag);
		DIR *sub = opendir(path);
		for (struct dirent *s; sub && (s = readdir(sub));)
			n += s->d_type == DT_DIR && !strncmp(s->d_name, "pod", 3);
		if (sub)
			closedir(sub);
		KG_AUTOFREE char *helpers = kg_asprintf("%s/" KG_CGROUP_HELPERS, path);
		rmdir(helpers);
		rmdir(path);
	}
	if (d)
		closedir(d);
	d = opendir("/proc");
	for (struct dirent *e; d && (e = readdir(d));)
		n += process_names(e->d_name, tag);
	if (d)
		closedir(d);
	return n;
}
