#include "nodeagent/pods.h"

#include "base/log.h"
#include "nodeagent/admit.h"
#include "nodeagent/apiaccess.h"
#include "nodeagent/logs.h"
#include "nodeagent/nodeinfo.h"
#include "nodeagent/pods_private.h"
#include "nodeagent/preempt.h"
#include "nodeagent/volumes.h"
#include "sys/file.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/inotify.h>
#include <unistd.h>

#define ROTATE_MS (10 * 1000)
#define QUIET_MS  150

static void on_exit_file(void *ctx, uint32_t events)
{
	struct kg_pods *pods = ctx;
	char buf[16384] __attribute__((aligned(__alignof__(struct inotify_event))));
	(void)events;
	ssize_t n = read(pods->inotify, buf, sizeof(buf));
	for (ssize_t at = 0; at < n;) {
		const struct inotify_event *e = (const void *)(buf + at);
		struct live *l = e->len ? kg_map_get(&pods->ids, e->name) : NULL;
		if (l)
			kg_pod_check_exit(l);
		at += (ssize_t)(sizeof(*e) + e->len);
		if (!(e->mask & IN_Q_OVERFLOW))
			continue;
		/* Some were lost: look at all. The ids change under way, so they are taken first.
		 */
		KG_AUTOFREE struct kg_map_entry **all = kg_map_sorted(&pods->ids);
		size_t count = pods->ids.count;
		KG_AUTOFREE struct live **lives = kg_alloc((count + 1) * sizeof(*lives));
		for (size_t i = 0; i < count; i++)
			lives[i] = all[i]->value;
		for (size_t i = 0; i < count; i++)
			kg_pod_check_exit(lives[i]);
	}
}

/* Logs that grew: renamed, and conmon told to begin anew. */
static void rotate(void *ctx)
{
	struct kg_pods *pods = ctx;
	struct kg_map_entry *e;
	for (size_t i = 0; (e = kg_map_next(&pods->ids, &i));) {
		struct live *l = e->value;
		struct kg_error err;
		int rc = kg_log_rotate(l->log, KG_LOG_MAX_BYTES, KG_LOG_FILES, &err);
		if (rc > 0)
			rc = pods->env.runtime->reopen_log(pods->env.runtime_self, &l->c, &err);
		if (rc < 0)
			kg_warn("rotate %s: %s", l->log, err.msg);
	}
	kg_timer_set(pods->rotate, pods->pods.count ? ROTATE_MS : -1);
}

static int watch_exits(struct kg_pods *pods, struct kg_error *err)
{
	const char *dir = pods->env.runtime->exit_dir(pods->env.runtime_self);
	pods->inotify = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	if (pods->inotify < 0 ||
		inotify_add_watch(pods->inotify, dir, IN_MOVED_TO | IN_CLOSE_WRITE) < 0)
		return kg_fail_errno(err, "watch %s", dir);
	pods->exit_watch = kg_loop_watch(pods->loop, pods->inotify, EPOLLIN, on_exit_file, pods);
	return pods->exit_watch ? 0 : kg_fail_errno(err, "watch %s", dir);
}

/* ---- tokens that came ---- */

struct token_news {
	struct kg_pods *pods;
	char uid[80];
};

static void token_came(void *msg)
{
	struct token_news *n = msg;
	struct pod *p = kg_map_get(&n->pods->pods, n->uid);
	free(n);
	if (!p)
		return;
	if (p->st.sandbox == KG_SANDBOX_READY)
		p->refresh = true;
	p->news = p->st.busy;
	p->st.sandbox_not_before_mono = 0;
	kg_pod_evaluate(p);
}

static void on_token_news(void *ctx, const char *uid)
{
	struct kg_pods *pods = ctx;
	struct token_news *n = kg_alloc(sizeof(*n));
	n->pods = pods;
	snprintf(n->uid, sizeof(n->uid), "%s", uid);
	kg_mailbox_post(pods->env.mailbox, token_came, free, n);
}

static int init(struct kg_pods *pods, const struct kg_pods_options *o, struct kg_error *err)
{
	struct kg_podenv *env = &pods->env;
	bool same_boot;
	if (o->dir[0] != '/')
		return kg_fail(
			err, KG_E_INVALID, "the state directory \"%s\" is not absolute", o->dir);
	KG_AUTOFREE char *helpers = kg_asprintf("%s/" KG_CGROUP_HELPERS, env->cgroup_parent);
	int rc = kg_cgroups_detect(&env->cgroups, err);
	if (rc == 0)
		rc = kg_pods_check_boot(o->dir, &same_boot, err);
	if (rc == 0)
		rc = kg_runc_new(&pods->runc, o->dir, &env->cgroups, helpers, err);
	if (rc == 0)
		rc = kg_images_new(&env->images, o->dir, pods->loop, err);
	if (rc < 0)
		return rc;
	env->runtime = &kg_runc;
	env->runtime_self = pods->runc;
	env->mailbox = kg_mailbox_new(pods->loop);
	env->tokens = o->tokens;
	env->hostports = o->hostports;
	if (env->tokens)
		kg_podtokens_on_news(env->tokens, on_token_news, pods);
	kg_spec_host_read(&env->host);
	env->host.cgroup_v2 = env->cgroups.v2;
	kg_hugepages_read(&pods->hugepages, NULL);
	if (kg_cgroup_has(&env->cgroups, "hugetlb"))
		env->host.hugepages = pods->hugepages;
	pods->work = kg_work_new(o->workers ? o->workers : 8, pods->max_pods + 8);
	pods->rotate = kg_timer_new(pods->loop, rotate, pods);
	rc = watch_exits(pods, err);
	return rc < 0 ? rc : kg_pods_recover(pods, same_boot, err);
}

/* Recovered pods go on by themselves, once the caller's loop runs. */
static void evaluate_all(struct kg_pods *pods)
{
	struct kg_map_entry *e;
	for (size_t i = 0; (e = kg_map_next(&pods->pods, &i));)
		kg_timer_set(((struct pod *)e->value)->timer, 0);
	kg_timer_set(pods->rotate, ROTATE_MS);
}

int kg_pods_new(struct kg_pods **out, struct kg_loop *loop, const struct kg_pods_options *o,
	struct kg_error *err)
{
	struct kg_pods *pods = kg_alloc(sizeof(*pods));
	pods->loop = loop;
	pods->settle = kg_timer_new(loop, kg_pods_settle, pods);
	pods->inotify = -1;
	pods->on_status = o->on_status;
	pods->ctx = o->ctx;
	pods->max_pods = o->max_pods ? o->max_pods : 250;
	pods->env.dir = kg_strdup(o->dir);
	pods->env.node_name = kg_strdup(o->node_name);
	pods->env.cgroup_parent = o->cgroup_parent ? kg_strdup(o->cgroup_parent)
						   : kg_asprintf("/kgit/%s", o->node_name);
	pods->env.net = o->net;
	pods->env.net_self = o->net_self;
	int rc = init(pods, o, err);
	if (rc < 0) {
		kg_pods_free(pods);
		return kg_wrap(err, "pods");
	}
	evaluate_all(pods);
	kg_pods_release_held(pods); /* the last of the others may have ended meanwhile */
	pods->gc = kg_image_gc_new(pods, &o->image_gc);
	*out = pods;
	return 0;
}

const struct kg_hugepages *kg_pods_hugepages(const struct kg_pods *pods)
{
	return &pods->hugepages;
}

void kg_pods_free(struct kg_pods *pods)
{
	if (!pods)
		return;
	if (pods->env.tokens)
		kg_podtokens_on_news(pods->env.tokens, NULL, NULL);
	kg_runc_cancel(pods->runc);
	kg_work_free(pods->work);
	pods->work = NULL;
	kg_images_free(pods->env.images);
	kg_image_gc_free(pods->gc);
	kg_mailbox_close(pods->env.mailbox);
	kg_pods_settle(pods);
	struct kg_map_entry *e;
	for (size_t i = 0; (e = kg_map_next(&pods->pods, &i));)
		kg_pod_free(e->value);
	kg_map_release(&pods->pods);
	kg_map_release(&pods->ids);
	kg_map_release(&pods->reclaiming);
	kg_usage_free(pods->usage);
	kg_watch_free(pods->exit_watch);
	kg_closep(&pods->inotify);
	kg_timer_free(pods->rotate);
	kg_timer_free(pods->settle);
	kg_runc_free(pods->runc);
	kg_cgroups_release(&pods->env.cgroups);
	kg_doc_unref(pods->configmaps);
	free(pods->env.dir);
	free(pods->env.node_name);
	free(pods->env.cgroup_parent);
	free(pods);
}

/* ---- what is wanted ---- */

static bool uses_objects(const struct pod *p)
{
	const struct kg_value *volumes = kg_at(kg_doc_value(p->st.pod), "spec.volumes");
	for (uint32_t i = 0; i < kg_len(volumes); i++)
		if (kg_volume_is_projection(&volumes->items[i]))
			return true;
	return false;
}

static bool is_deleting(const struct kg_value *pod)
{
	return !kg_is_null(kg_at(pod, "metadata.deletionTimestamp"));
}

static void set_deleting(struct pod *p, const struct kg_value *v)
{
	int64_t grace = kg_int(kg_at(v, "spec.terminationGracePeriodSeconds"), 30);
	grace = kg_int(kg_at(v, "metadata.deletionGracePeriodSeconds"), grace) * 1000;
	if (p->st.deleting && grace >= p->st.grace_ms)
		return;
	p->st.deleting = true;
	p->st.grace_ms = grace;
	kg_pod_save(p);
}

/* Volumes follow; containers that could not be made for want of one are tried at once. */
static void objects_changed(struct pod *p)
{
	if (uses_objects(p))
		p->refresh = true;
	p->st.sandbox_not_before_mono = 0;
	for (size_t i = 0; i < p->st.nc; i++)
		if (!strcmp(p->st.c[i].reason, "CreateContainerConfigError"))
			p->st.c[i].not_before_mono = 0;
}

/* Written now, not when others are: what failed is not to run after a reboot. (Not synced: after a
 * power cut it may be judged again.) */
static void reject(struct pod *p, const struct kg_admit_refusal *why)
{
	kg_info("pod %s/%s is not taken in: %s: %s", p->st.ns, p->st.name, why->reason,
		why->message);
	p->st.start_time = kg_realtime_ms();
	kg_pstate_reject(&p->st, why->reason, why->message);
	kg_pod_save(p);
	kg_pod_settle(p);
}

/* Those that are in the view, have not ended, and do not have to go. */
static bool is_active(const struct pod *p)
{
	return p->wanted && !p->st.preempted && !kg_plan_finished(&p->st);
}

static void count_active(struct kg_admit *node, const struct kg_pods *pods)
{
	struct kg_map_entry *e;

	for (size_t i = 0; (e = kg_map_next(&pods->pods, &i));) {
		const struct pod *p = e->value;
		if (is_active(p))
			kg_admit_count(node, kg_doc_value(p->st.pod));
	}
}

static void preempt(struct pod *p, const struct pod *for_it)
{
	kg_info("pod %s/%s is preempted in order to admit the critical pod %s/%s", p->st.ns,
		p->st.name, for_it->st.ns, for_it->st.name);
	p->st.preempted = true;
	kg_pod_save(p);
}

/* Others go for a critical one. */
static bool make_room(struct pod *p, struct kg_admit *node)
{
	size_t most = p->pods->pods.count + 1, n = 0;
	KG_AUTOFREE struct pod **there = kg_alloc(most * sizeof(struct pod *));
	KG_AUTOFREE const struct kg_value **values = kg_alloc(most * sizeof(values[0]));
	KG_AUTOFREE bool *goes = kg_alloc(most * sizeof(*goes));
	struct kg_map_entry *e;

	for (size_t i = 0; (e = kg_map_next(&p->pods->pods, &i));) {
		there[n] = e->value;
		values[n] = kg_doc_value(there[n]->st.pod);
		n += is_active(there[n]);
	}
	if (!kg_preempt(goes, node, kg_doc_value(p->st.pod), values, n))
		return false;
	for (size_t i = 0; i < n; i++)
		if (goes[i])
			preempt(there[i], p);
	kg_admit_recount(node);
	count_active(node, p->pods);
	return true;
}

/* Does any pod still run that went for a critical one? */
static bool preempting(const struct kg_pods *pods)
{
	struct kg_map_entry *e;

	for (size_t i = 0; (e = kg_map_next(&pods->pods, &i));) {
		const struct pod *p = e->value;
		if (p->st.preempted && !kg_plan_finished(&p->st))
			return true;
	}
	return false;
}

void kg_pods_release_held(struct kg_pods *pods)
{
	struct kg_map_entry *e;

	if (preempting(pods))
		return;
	for (size_t i = 0; (e = kg_map_next(&pods->pods, &i));) {
		struct pod *p = e->value;
		if (!p->st.held)
			continue;
		p->st.held = false;
		kg_pod_save(p);
		kg_timer_set(p->timer, 0);
	}
}

static struct pod *begin(struct kg_pods *pods, const struct kg_value *v, struct kg_admit *node)
{
	struct kg_admit_refusal why;
	struct kg_doc *doc = kg_doc_new(v, NULL, 0);
	struct pod *p = kg_pod_new(pods, doc);
	kg_doc_unref(doc);
	kg_pod_make_dirs(p);
	if (!kg_admit_pod(node, v, &why) && !make_room(p, node)) {
		reject(p, &why);
		return p;
	}
	kg_admit_count(node, v);
	/* Whoever comes now may have been given what they still hold: also the critical one that
	 * is judged again since the agent ended before it was saved. */
	p->st.held = preempting(pods);
	kg_pod_save(p);
	if (pods->env.tokens)
		kg_podtokens_want(pods->env.tokens, kg_doc_value(p->st.pod));
	p->quiet_mono = kg_monotonic_ms() + QUIET_MS;
	return p;
}

/* A uid names a directory: it must be one component. */
static bool uid_ok(const char *uid)
{
	size_t n = strlen(uid);
	return n > 0 && n <= 64 && uid[0] != '.' && strspn(uid, "0123456789abcdefABCDEF-") == n;
}

/* Whether a pod gets access to the API is settled when it is accepted. */
static struct kg_value with_access(
	struct kg_arena *a, const struct pod *p, const struct kg_value *v)
{
	bool access = p ? kg_api_access_has(kg_doc_value(p->st.pod))
			: kg_bool(kg_get(v, "apiAccess"), false);
	struct kg_value plain = kg_with_key(a, v, "apiAccess", kg_v_null());
	return access ? kg_api_access_add(a, &plain) : plain;
}

/* A pod that is there already: what is wanted of it. */
static void follow(struct pod *p, const struct kg_value *view)
{
	struct kg_arena a KG_CLEANUP(kg_arena_release) = KG_ARENA_INIT;
	struct kg_value v = with_access(&a, p, view);

	if (!kg_equal(&v, kg_doc_value(p->st.pod))) {
		struct kg_doc *old = p->st.pod;
		p->st.pod = kg_doc_new(&v, NULL, 0);
		kg_doc_unref(old);
		if (uses_objects(p)) /* its labels may be a file */
			p->refresh = true;
		kg_pod_save(p);
	}
	p->wanted = true;
	if (is_deleting(&v))
		set_deleting(p, &v);
}

static void take_in(struct kg_pods *pods, const struct kg_value *view, struct kg_admit *node)
{
	struct kg_arena a KG_CLEANUP(kg_arena_release) = KG_ARENA_INIT;
	struct kg_value v = with_access(&a, NULL, view);
	const struct kg_value *md = kg_get(&v, "metadata");
	const char *uid = kg_string(kg_get(md, "uid"), "");

	if (is_deleting(&v))
		pods->on_status(pods->ctx, kg_string(kg_get(md, "namespace"), "default"),
			kg_string(kg_get(md, "name"), ""), uid, &kg_null, true);
	else if (!kg_map_has(&pods->pods, uid))
		begin(pods, &v, node)->wanted = true;
}

/* ---- the node, as it judges pods that are new to it ---- */

static const struct kg_value *node_object(const struct kg_value *objects)
{
	for (uint32_t i = 0; i < kg_len(objects); i++)
		if (!strcmp(kg_string(kg_get(&objects->items[i], "kind"), ""), "Node"))
			return &objects->items[i];
	return &kg_null;
}

/* The oldest first, and of the same second in the view's order. */
static int by_age(const void *pa, const void *pb)
{
	const struct kg_value *a = *(const struct kg_value *const *)pa;
	const struct kg_value *b = *(const struct kg_value *const *)pb;
	int order = strcmp(kg_string(kg_at(a, "metadata.creationTimestamp"), ""),
		kg_string(kg_at(b, "metadata.creationTimestamp"), ""));

	return order ? order : (a > b) - (a < b);
}

static void take_in_all(struct kg_pods *pods, const struct kg_value **fresh, size_t n)
{
	struct kg_arena a KG_CLEANUP(kg_arena_release) = KG_ARENA_INIT;
	struct kg_admit node KG_CLEANUP(kg_admit_release);
	struct kg_value room = kg_node_allocatable(&a, pods->max_pods, &pods->hugepages);
	const struct kg_value *self = node_object(kg_doc_value(pods->configmaps));

	kg_admit_init(&node, pods->env.node_name, kg_at(self, "metadata.labels"),
		kg_at(self, "spec.taints"), &room);
	count_active(&node, pods);
	qsort(fresh, n, sizeof(*fresh), by_age);
	for (size_t i = 0; i < n; i++)
		take_in(pods, fresh[i], &node);
}

static void want_all(struct kg_pods *pods, const struct kg_value *objects)
{
	KG_AUTOFREE const struct kg_value **fresh =
		kg_alloc((kg_len(objects) + 1) * sizeof(const struct kg_value *));
	size_t n = 0;

	for (uint32_t i = 0; i < kg_len(objects); i++) {
		const struct kg_value *v = &objects->items[i], *md = kg_get(v, "metadata");
		const char *uid = kg_string(kg_get(md, "uid"), "");
		struct pod *p = kg_map_get(&pods->pods, uid);

		if (p)
			follow(p, v);
		else if (uid_ok(uid))
			fresh[n++] = v;
		else
			kg_warn("pod %s: its uid \"%s\" is malformed",
				kg_string(kg_get(md, "name"), ""), uid);
	}
	if (n)
		take_in_all(pods, fresh, n);
}

static struct pod **all_pods(struct kg_pods *pods, size_t *n)
{
	struct pod **all = kg_alloc((pods->pods.count + 1) * sizeof(struct pod *));
	struct kg_map_entry *e;
	*n = 0;
	for (size_t i = 0; (e = kg_map_next(&pods->pods, &i));)
		all[(*n)++] = e->value;
	return all;
}

void kg_pods_apply(
	struct kg_pods *pods, const struct kg_value *objects, const struct kg_value *configmaps)
{
	size_t n;
	bool changed = !kg_equal(configmaps, kg_doc_value(pods->configmaps));
	if (changed) {
		struct kg_doc *old = pods->configmaps;
		pods->configmaps = kg_doc_new(configmaps, NULL, 0);
		kg_doc_unref(old);
		kg_pods_save_configmaps(pods);
	}
	KG_AUTOFREE struct pod **before = all_pods(pods, &n);
	for (size_t i = 0; i < n; i++)
		before[i]->wanted = false;
	want_all(pods, objects);
	KG_AUTOFREE struct pod **all = all_pods(pods, &n);
	for (size_t i = 0; i < n; i++) {
		if (!all[i]->wanted)
			set_deleting(all[i], kg_doc_value(all[i]->st.pod));
		if (changed)
			objects_changed(all[i]);
		kg_pod_evaluate(all[i]);
	}
	kg_pods_reclaim(pods);
	kg_timer_set(pods->rotate, ROTATE_MS);
}

void kg_pods_report_all(struct kg_pods *pods)
{
	size_t n;
	KG_AUTOFREE struct pod **all = all_pods(pods, &n);
	for (size_t i = 0; i < n; i++)
		kg_pod_report(all[i], true);
}

const char *kg_pods_dir(const struct kg_pods *pods)
{
	return pods->env.dir;
}
