#include "nodeagent/podjob.h"

#include "nodeagent/apiaccess.h"
#include "nodeagent/hostports.h"
#include "nodeagent/logs.h"
#include "nodeagent/netns.h"
#include "nodeagent/pidns.h"
#include "nodeagent/propagation.h"
#include "nodeagent/subpath.h"
#include "nodeagent/user.h"
#include "nodeagent/volumes.h"
#include "sys/file.h"
#include "sys/loop.h"
#include "value/json.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

void kg_pod_event_free(void *event)
{
	struct kg_pod_event *e = event;
	free(e->image_id);
	free(e);
}

void kg_podjob_free(void *arg)
{
	struct kg_podjob *j = arg;
	for (size_t i = 0; i < j->nc; i++)
		free(j->c[i].name);
	free(j->c);
	kg_doc_unref(j->pod);
	kg_doc_unref(j->configmaps);
	kg_podpaths_release(&j->paths);
	free(j->uid);
	free(j->ns);
	free(j->name);
	free(j);
}

static struct kg_pod_event *event_new(
	const struct kg_podjob *j, enum kg_pod_event_kind kind, int rc, const struct kg_error *err)
{
	struct kg_pod_event *e = kg_alloc(sizeof(*e));
	*e = (struct kg_pod_event){.kind = kind, .owner = j->owner, .ok = rc >= 0};
	if (rc < 0)
		e->err = *err;
	return e;
}

static void post(const struct kg_podjob *j, struct kg_pod_event *e)
{
	kg_mailbox_post(j->env->mailbox, j->event, kg_pod_event_free, e);
}

static void tell(
	const struct kg_podjob *j, enum kg_pod_event_kind kind, int rc, const struct kg_error *err)
{
	post(j, event_new(j, kind, rc, err));
}

/* ---- the network, beside everything else ---- */

struct netjob {
	const struct kg_podjob *job;
	pthread_t thread;
	bool running; /* the thread is to be joined */
	bool told;    /* SETUP was posted */
	int rc;
	struct kg_error err;
};

static struct kg_podnet_pod net_pod(const struct kg_podjob *j)
{
	return (struct kg_podnet_pod){.uid = j->uid,
		.ns = j->ns,
		.name = j->name,
		.ip = kg_string(kg_get(kg_doc_value(j->pod), "podIP"), ""),
		.netns = j->paths.netns};
}

static void *set_up_network(void *arg)
{
	struct netjob *n = arg;
	struct kg_podnet_pod pod = net_pod(n->job);
	n->rc = n->job->env->net->setup(n->job->env->net_self, &pod, &n->err);
	return NULL;
}

static void net_begin(struct netjob *n, const struct kg_podjob *j)
{
	*n = (struct netjob){.job = j};
	if (!j->env->net || kg_pod_host_network(kg_doc_value(j->pod)))
		return;
	n->running = pthread_create(&n->thread, NULL, set_up_network, n) == 0;
	if (!n->running)
		set_up_network(n);
}

static int net_end(struct netjob *n, struct kg_error *err)
{
	if (n->running)
		pthread_join(n->thread, NULL);
	n->running = false;
	if (n->rc < 0) {
		*err = n->err;
		return kg_wrap(err, "pod network");
	}
	if (n->job->setup && !n->told)
		tell(n->job, KG_PE_SETUP, 0, NULL);
	n->told = true;
	return 0;
}

/* ---- setup and teardown ---- */

static bool shares_ipc(const struct kg_value *pod)
{
	size_t n =
		kg_len(kg_at(pod, "spec.containers")) + kg_len(kg_at(pod, "spec.initContainers"));
	return n > 1 && !kg_pod_host_ipc(pod);
}

static int make_namespaces(
	const struct kg_podjob *j, const struct kg_value *pod, struct kg_error *err)
{
	int rc = kg_mkdir_p(j->paths.ns_dir, 0700, err);
	if (rc == 0 && !kg_pod_host_network(pod))
		rc = kg_netns_create(j->paths.netns, err);
	if (rc == 0 && shares_ipc(pod))
		rc = kg_ns_pin(CLONE_NEWIPC, j->paths.ipcns, err);
	if (rc == 0 && shares_ipc(pod))
		rc = kg_podfiles_mount_shm(&j->paths, err);
	return rc;
}

static struct kg_volume_source volume_source(const struct kg_podjob *j)
{
	return (struct kg_volume_source){.pod = kg_doc_value(j->pod),
		.objects = kg_doc_value(j->configmaps),
		.node_name = j->env->node_name,
		.node_dir = j->env->dir,
		.pod_dir = j->paths.dir,
		.run_dir = j->paths.run,
		.tokens = j->env->tokens};
}

static int setup(const struct kg_podjob *j, struct netjob *net, struct kg_error *err)
{
	const struct kg_value *pod = kg_doc_value(j->pod);
	struct kg_volume_source volumes = volume_source(j);
	struct kg_cgroup_limits limits;
	/* The disk may have been full when the pod was accepted. */
	int rc = kg_mkdir_p(j->paths.dir, 0755, err);
	if (rc == 0)
		rc = make_namespaces(j, pod, err);
	if (rc < 0)
		return rc;
	kg_hostports_put(j->env->hostports, j->pod);
	net_begin(net, j);
	rc = kg_podfiles_write(&j->paths, pod, kg_doc_value(j->configmaps), err);
	kg_pod_cgroup_limits(&limits, pod);
	if (rc == 0)
		rc = kg_cgroup_make(&j->env->cgroups, j->paths.cgroup, &limits, err);
	if (rc == 0)
		rc = kg_volumes_make(&volumes, err);
	return rc;
}

static int teardown(const struct kg_podjob *j, struct kg_error *err)
{
	struct kg_podnet_pod pod = net_pod(j);
	int rc = 0;
	kg_hostports_remove(j->env->hostports, j->uid);
	if (j->env->net && !kg_pod_host_network(kg_doc_value(j->pod)))
		rc = j->env->net->teardown(j->env->net_self, &pod, err);
	if (rc == 0)
		rc = kg_ns_unpin(j->paths.netns, err);
	if (rc == 0)
		rc = kg_ns_unpin(j->paths.ipcns, err);
	if (rc == 0)
		rc = kg_ns_unpin(j->paths.pidns, err);
	if (rc == 0 && rmdir(j->paths.ns_dir) < 0 && errno != ENOENT)
		rc = kg_fail_errno(err, "remove %s", j->paths.ns_dir);
	if (rc == 0)
		rc = kg_podfiles_unmount(&j->paths, err);
	if (rc == 0)
		rc = kg_cgroup_remove(&j->env->cgroups, j->paths.cgroup, err);
	if (rc == 0)
		rc = kg_volumes_unmount(j->paths.dir, kg_doc_value(j->pod), err);
	return rc;
}

static int refresh(const struct kg_podjob *j, struct kg_error *err)
{
	struct kg_podnet_pod pod = net_pod(j);
	const struct kg_value *v = kg_doc_value(j->pod);
	struct kg_volume_source volumes = volume_source(j);
	int rc = kg_volumes_update(&volumes, err);
	if (rc == 0 && j->env->net && !kg_pod_host_network(v))
		rc = j->env->net->setup(j->env->net_self, &pod, err);
	return rc;
}

/* ---- containers ---- */

struct making {
	char *bundle, *upper, *work, *term, *log, *cgroup, *sub;
	struct kg_runtime_container rc;
};

static void making_init(struct making *m, const struct kg_podjob *j,
	const struct kg_job_container *c, const char *id)
{
	m->bundle = kg_bundle_path(&j->paths, c->name);
	m->sub = kg_asprintf("%s/sub", m->bundle);
	m->upper = kg_upper_path(&j->paths, c->name);
	m->work = kg_work_path(&j->paths, c->name);
	m->term = kg_term_path(&j->paths, c->name);
	m->log = kg_log_path(&j->paths, c->name, c->attempt);
	m->cgroup = kg_asprintf("%s/%s", j->paths.cgroup, id);
	m->rc = (struct kg_runtime_container){
		.id = id, .bundle = m->bundle, .log = m->log, .cgroup = m->cgroup};
}

static void making_release(struct making *m)
{
	free(m->bundle);
	free(m->sub);
	free(m->upper);
	free(m->work);
	free(m->term);
	free(m->log);
	free(m->cgroup);
}

static int clean(const struct kg_podjob *j, const struct kg_job_container *c, struct kg_error *err)
{
	struct making m KG_CLEANUP(making_release);
	making_init(&m, j, c, c->old_id);
	int rc = 0;
	if (*c->old_id)
		rc = j->env->runtime->remove(j->env->runtime_self, &m.rc, err);
	if (rc == 0)
		rc = kg_subpaths_unmount(m.sub, err);
	if (rc == 0)
		rc = kg_remove_tree(m.bundle, err);
	if (rc == 0)
		rc = kg_remove_tree(m.upper, err);
	if (rc == 0)
		rc = kg_remove_tree(m.work, err);
	return rc < 0 ? kg_wrap(err, "clean up container %s", c->name) : 0;
}

static const struct kg_value *container_spec(
	const struct kg_podjob *j, const struct kg_job_container *c)
{
	const struct kg_value *pod = kg_doc_value(j->pod);
	return kg_find(
		kg_at(pod, c->init ? "spec.initContainers" : "spec.containers"), "name", c->name);
}

/* The writable layer. The root directory's owner and mode are its own: they must be the image's. */
static int make_layer(const struct making *m, const struct kg_image *image, struct kg_error *err)
{
	struct stat st;
	if (mkdir(m->upper, 0755) < 0 && errno != EEXIST)
		return kg_fail_errno(err, "make %s", m->upper);
	if (mkdir(m->work, 0755) < 0 && errno != EEXIST)
		return kg_fail_errno(err, "make %s", m->work);
	if (stat(image->dirs[0], &st) < 0 || chown(m->upper, st.st_uid, st.st_gid) < 0 ||
		chmod(m->upper, st.st_mode & 07777) < 0)
		return kg_fail_errno(err, "%s", m->upper);
	return 0;
}

static int put_link(const struct making *m, const char *name, const char *to, struct kg_error *err)
{
	KG_AUTOFREE char *path = kg_asprintf("%s/%s", m->bundle, name);
	if (symlink(to, path) < 0 && errno != EEXIST)
		return kg_fail_errno(err, "link %s", path);
	return 0;
}

/* The links are what the overlay's options name, relative to rootfs: one page holds them all. */
static int make_dirs(const struct kg_podjob *j, const struct making *m, struct kg_error *err)
{
	KG_AUTOFREE char *layers = kg_asprintf("%s/images/l", j->env->dir);
	KG_AUTOFREE char *rootfs = kg_asprintf("%s/rootfs", m->bundle);
	int rc = kg_mkdir_p(rootfs, 0755, err);
	if (rc == 0)
		rc = put_link(m, "l", layers, err);
	if (rc == 0)
		rc = put_link(m, "upper", m->upper, err);
	if (rc == 0)
		rc = put_link(m, "work", m->work, err);
	KG_AUTOCLOSE int fd =
		rc < 0 ? -1 : open(m->term, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
	if (rc == 0 && (fd < 0 || fchmod(fd, 0666) < 0))
		rc = kg_fail_errno(err, "%s", m->term);
	return rc;
}

/* Until the container is created, and has mounts of its own. */
static int mount_subpaths(
	const struct making *m, const struct kg_spec_subpath *subs, size_t n, struct kg_error *err)
{
	int rc = n ? kg_mkdir_p(m->sub, 0700, err) : 0;
	for (size_t i = 0; rc == 0 && i < n; i++)
		rc = kg_subpath_mount(subs[i].volume, subs[i].path, subs[i].target, err);
	return rc;
}

static int make_bundle(const struct kg_podjob *j, const struct kg_job_container *c,
	const struct making *m, const struct kg_image *image, bool *config, struct kg_error *err)
{
	struct kg_arena a KG_CLEANUP(kg_arena_release) = KG_ARENA_INIT;
	const struct kg_value *pod = kg_doc_value(j->pod);
	struct kg_spec_in in = {
		.pod = pod,
		.container = container_spec(j, c),
		.configmaps = kg_doc_value(j->configmaps),
		.image = image,
		.host = &j->env->host,
		.node_name = j->env->node_name,
		.pod_dir = j->paths.dir,
		.run_dir = j->paths.run,
		.node_dir = j->env->dir,
		.files_dir = j->paths.files,
		.sub_dir = m->sub,
		.upper = "../upper",
		.work = "../work",
		.term_log = m->term,
		.cgroup = m->cgroup,
		.netns = kg_pod_host_network(pod) ? NULL : j->paths.netns,
		.ipcns = shares_ipc(pod) ? j->paths.ipcns : NULL,
		.pidns = kg_pod_shares_pid(pod) ? j->paths.pidns : NULL,
		.shm = shares_ipc(pod) ? j->paths.shm : NULL,
	};
	struct kg_spec_subpath subs[KG_SPEC_MOUNTS];
	struct kg_value spec;
	size_t nsubs;
	int rc = kg_oci_spec(&spec, &a, &in, err);
	if (rc == 0)
		rc = kg_oci_subpaths(subs, &nsubs, &a, &in, err);
	if (rc == 0)
		rc = kg_propagation_check(j->env->dir,
			&(struct kg_volume_source){.pod = pod, .objects = in.configmaps},
			in.container, err);
	*config = rc < 0;
	if (rc == 0)
		rc = make_dirs(j, m, err);
	if (rc == 0) {
		rc = mount_subpaths(m, subs, nsubs, err);
		*config = rc < 0;
	}
	if (rc == 0)
		rc = make_layer(m, image, err);
	if (rc < 0)
		return rc;
	KG_AUTOBUF struct kg_buf json = KG_BUF_INIT;
	kg_json_write(&json, &spec);
	KG_AUTOFREE char *path = kg_asprintf("%s/config.json", m->bundle);
	return kg_file_replace(path, json.data, json.len, 0600, err);
}

/* For each container that starts: whoever ended the first process ended all, and they come again.
 */
static int make_pidns(const struct kg_podjob *j, struct kg_error *err)
{
	if (!kg_pod_shares_pid(kg_doc_value(j->pod)))
		return 0;
	int rc = kg_pidns_make(j->paths.pidns, &j->env->cgroups, j->paths.cgroup, err);
	if (rc < 0)
		err->code = KG_E_UNAVAILABLE; /* tried again */
	return rc;
}

static int create(const struct kg_podjob *j, const struct kg_job_container *c,
	const struct making *m, struct kg_pod_event *e, struct kg_error *err)
{
	const char *ref = kg_string(kg_get(container_spec(j, c), "image"), "");
	struct kg_image *image = kg_images_get(j->env->images, ref);
	if (!image)
		return kg_fail(err, KG_E_UNAVAILABLE, "image \"%s\" is not there any more", ref);
	e->image_id = kg_strdup(image->id);
	int rc = make_pidns(j, err);
	if (rc == 0)
		rc = make_bundle(j, c, m, image, &e->config, err);
	kg_image_unref(image);
	if (rc == 0)
		rc = j->env->runtime->create(j->env->runtime_self, &m->rc, &e->pid, err);
	if (rc == 0)
		rc = kg_subpaths_unmount(m->sub, err);
	return rc;
}

/* Creates it while the network is being made; lets it go when that is there. */
static int start(const struct kg_podjob *j, const struct kg_job_container *c, struct netjob *net,
	struct kg_pod_event *e, struct kg_error *err)
{
	struct making m KG_CLEANUP(making_release);
	making_init(&m, j, c, c->id);
	m.rc.terminal = kg_bool(kg_get(container_spec(j, c), "tty"), false);
	m.rc.input = kg_bool(kg_get(container_spec(j, c), "stdin"), false);
	int rc = clean(j, c, err);
	if (rc == 0)
		rc = kg_logs_forget(j->paths.dir, c->name, c->attempt - 1, err);
	if (rc == 0)
		rc = create(j, c, &m, e, err);
	if (rc < 0)
		return rc;
	rc = net_end(net, err);
	e->sandbox = rc < 0;
	if (rc < 0)
		return rc;
	e->pid_start = kg_pid_start(e->pid);
	rc = j->env->runtime->start(j->env->runtime_self, &m.rc, e->pid, err);
	e->started = kg_realtime_ms();
	return rc;
}

static void start_one(
	const struct kg_podjob *j, const struct kg_job_container *c, struct netjob *net)
{
	struct kg_pod_event *e = event_new(j, KG_PE_STARTED, 0, NULL);
	e->container = c->index;
	int rc = start(j, c, net, e, &e->err);
	e->ok = rc == 0;
	if (rc < 0)
		e->kind = KG_PE_FAILED;
	post(j, e);
}

static void clean_one(const struct kg_podjob *j, const struct kg_job_container *c)
{
	struct kg_error err;
	int rc = clean(j, c, &err);
	struct kg_pod_event *e = event_new(j, KG_PE_CLEANED, rc, &err);
	e->container = c->index;
	post(j, e);
}

/* The record of now goes last: until then it says that the pod is being removed. */
static int purge(const struct kg_podjob *j, struct kg_error *err)
{
	int rc = kg_remove_tree(j->paths.dir, err);
	return rc < 0 ? rc : kg_remove_tree(j->paths.run, err);
}

static void run(struct kg_podjob *j)
{
	struct netjob net = {.job = j};
	struct kg_error err;
	int rc = 0;
	if (j->setup)
		rc = setup(j, &net, &err);
	for (size_t i = 0; rc == 0 && i < j->nc; i++) {
		if (j->c[i].start && net.rc == 0)
			start_one(j, &j->c[i], &net);
		else if (!j->c[i].start)
			clean_one(j, &j->c[i]);
	}
	if (j->setup && rc < 0) {
		struct kg_error ignored;
		net.told = true;
		net_end(&net, &ignored);
		tell(j, KG_PE_SETUP, rc, &err);
	} else if (j->setup && (rc = net_end(&net, &err)) < 0) {
		tell(j, KG_PE_SETUP, rc, &err);
	}
	if (j->refresh)
		tell(j, KG_PE_REFRESH, refresh(j, &err), &err);
	if (j->teardown)
		tell(j, KG_PE_TEARDOWN, rc = teardown(j, &err), &err);
	if (j->purge && rc == 0)
		tell(j, KG_PE_PURGED, purge(j, &err), &err);
}

void kg_podjob_run(void *arg)
{
	struct kg_podjob *j = arg;
	run(j);
	tell(j, KG_PE_DONE, 0, NULL);
	kg_podjob_free(j);
}
