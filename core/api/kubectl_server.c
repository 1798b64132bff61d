/* The server behind kubectl_test.sh: `kubectl_server CLUSTER.yaml KUBECONFIG`, then one command a
 * line on standard input, each answered with "ok"; it ends with its input.
 *   ready POD            the pod's containers become ready
 *   rollout              the Deployment web is all available
 *   delete KIND NS NAME  (KIND by name)
 *   event POD REASON     an Event about the pod
 *   watchers N           waits until N watches are open */
#include "testserver.h"

#include <stdio.h>
#include <time.h>

static const struct kg_object *find(struct kg_snapshot *s, const char *kind, const char *name)
{
	return kg_snapshot_get(s, kg_kind_by_name(kind)->id, "default", name);
}

/* One member of an object set, as JSON text would say it. */
static void set(struct test_server *s, const char *kind, const char *name, const char *path,
	const char *yaml)
{
	struct kg_arena a = KG_ARENA_INIT;
	struct kg_snapshot *now = kg_hub_snapshot(s->hub);
	const struct kg_object *obj = find(now, kind, name);
	struct kg_value v;
	struct kg_error err;

	if (!obj || kg_yaml_load(&v, &a, yaml, strlen(yaml), &err))
		abort();
	v = kg_with(&a, kg_obj(obj), path, v);
	test_put(s, &v);
	kg_snapshot_unref(now);
	kg_arena_release(&a);
}

static void pod_ready(struct test_server *s, const char *pod)
{
	set(s, "pod", pod, "status",
		"phase: Running\npodIP: 10.244.0.3\npodIPs: [{ip: 10.244.0.3}]\n"
		"conditions:\n- {type: Ready, status: \"True\"}\n"
		"containerStatuses:\n"
		"- {name: http, image: \"demo/web:1\", ready: true, restartCount: 0, "
		"state: {running: {startedAt: \"2026-01-01T00:00:50Z\"}}}\n");
}

static void rollout(struct test_server *s)
{
	set(s, "deployment", "web", "status",
		"observedGeneration: 1\nreplicas: 2\nupdatedReplicas: 2\nreadyReplicas: 2\n"
		"availableReplicas: 2\nconditions:\n"
		"- {type: Available, status: \"True\", reason: MinimumReplicasAvailable}\n"
		"- {type: Progressing, status: \"True\", reason: NewReplicaSetAvailable}\n");
}

static void event(struct test_server *s, const char *pod, const char *reason)
{
	struct kg_snapshot *now = kg_hub_snapshot(s->hub);
	const struct kg_object *obj = find(now, "pod", pod);

	kg_api_event_add(s->api, &(struct kg_api_event){.type = "Normal",
					 .reason = reason,
					 .message = "said by the test",
					 .component = "kgit-node",
					 .host = "n1",
					 .api_version = "v1",
					 .kind = "Pod",
					 .ns = "default",
					 .name = pod,
					 .uid = kg_object_uid(obj),
					 .time = s->now - 5000});
	kg_snapshot_unref(now);
}

static void await_watchers(struct test_server *s, size_t n)
{
	struct timespec pause = {.tv_nsec = 5 * 1000000};
	struct kg_api_stats stats;

	for (int i = 0; i < 4000; i++) {
		kg_api_stats(s->api, &stats);
		if (stats.watchers >= n)
			return;
		nanosleep(&pause, NULL);
	}
	abort();
}

static void command(struct test_server *s, char *line)
{
	char a[100] = "", b[100] = "", c[100] = "";

	line[strcspn(line, "\n")] = '\0';
	if (sscanf(line, "ready %99s", a) == 1)
		pod_ready(s, a);
	else if (!strcmp(line, "rollout"))
		rollout(s);
	else if (sscanf(line, "delete %99s %99s %99s", a, b, c) == 3)
		test_delete(s, kg_kind_by_name(a)->id, b, c);
	else if (sscanf(line, "event %99s %99s", a, b) == 2)
		event(s, a, b);
	else if (sscanf(line, "watchers %99s", a) == 1)
		await_watchers(s, strtoul(a, NULL, 10));
	else
		abort();
	test_commit(s);
	printf("ok\n");
	fflush(stdout);
}

int main(int argc, char **argv)
{
	struct test_server s;
	char line[400];

	if (argc != 3)
		return 2;
	kg_kinds_init();
	test_server_start(&s, (struct kg_api_options){0}, 0);
	KG_AUTOFREE char *text = test_read_file(argv[1]);
	test_put_yaml(&s, text);
	test_commit(&s);
	test_kubeconfig(&s, argv[2]);
	printf("ready\n");
	fflush(stdout);
	while (fgets(line, sizeof(line), stdin))
		command(&s, line);
	test_server_stop(&s);
	return 0;
}
