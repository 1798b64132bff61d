/* What containers wait for and follow: ConfigMaps, Secrets and images. */
#include "nodeagent/pidns.h"
#include "nodeagent/podtest.h"
#include "value/testing.h"

#include <stdio.h>
#include <string.h>

static bool config_error(struct kg_podtest *t, const char *pod)
{
	return !strcmp(kg_podtest_waits_for(t, pod), "CreateContainerConfigError");
}

static bool sandbox_error(struct kg_podtest *t, const char *pod)
{
	return strstr(kg_string(kg_at(kg_podtest_container(t, pod), "state.waiting.message"), ""),
		       "secret \"s\" not found") != NULL;
}

static void test_configmaps(void **state)
{
	struct kg_podtest t;
	(void)state;
	kg_podtest_begin(&t, NULL, NULL);
	kg_podtest_add(&t, "late",
		KG_PT_ONE(KG_PT_SLEEPER
			",\"env\":[{\"name\":\"K\",\"valueFrom\":{\"configMapKeyRef\":{"
			"\"name\":\"cm\",\"key\":\"K\"}}}]"));
	/* Ends when it sees the new content. */
	kg_podtest_add(&t, "follows",
		"{\"restartPolicy\":\"Never\",\"volumes\":[{\"name\":\"v\",\"configMap\":{\"name\":"
		"\"cm\",\"optional\":true}}],\"containers\":[{\"name\":\"c\",\"volumeMounts\":[{"
		"\"name\":\"v\",\"mountPath\":\"/v\"}]," KG_PT_SHELL
		"\"until grep -q new /v/K 2>/dev/null; do sleep 0.02; done; readlink /v/K\"]}]}");
	kg_podtest_apply(&t);
	kg_podtest_wait(&t, config_error, "late", 10000);
	kg_podtest_wait(&t, kg_podtest_running, "follows", 10000);
	kg_podtest_configmap(&t, "{\"metadata\":{\"name\":\"cm\",\"namespace\":\"default\"},"
				 "\"data\":{\"K\":\"old\"}}");
	kg_podtest_apply(&t);
	kg_podtest_wait(&t, kg_podtest_ready, "late", 10000);
	kg_podtest_configmap(&t, "{\"metadata\":{\"name\":\"cm\",\"namespace\":\"default\"},"
				 "\"data\":{\"K\":\"new\"}}");
	kg_podtest_apply(&t);
	kg_podtest_wait(&t, kg_podtest_succeeded, "follows", 10000);
	KG_AUTOFREE char *log = kg_podtest_log(&t, "follows", false);
	assert_string_equal(log, "..data/K\n");
	assert_int_equal(kg_int(kg_get(kg_podtest_container(&t, "late"), "restartCount"), -1), 0);
	kg_podtest_end(&t);
}

/* A Secret as variables and as files that follow it; the pod's own fields as files. */
static void test_secrets(void **state)
{
	static const char secret[] = "{\"kind\":\"Secret\",\"metadata\":{\"name\":\"s\","
				     "\"namespace\":\"default\"},\"data\":{\"K\":\"%s\"}}";
	struct kg_podtest t;
	(void)state;
	kg_podtest_begin(&t, NULL, NULL);
	kg_podtest_add(&t, "reads",
		"{\"restartPolicy\":\"Never\",\"volumes\":[{\"name\":\"v\",\"secret\":{"
		"\"secretName\":\"s\",\"defaultMode\":256}},{\"name\":\"p\",\"projected\":{"
		"\"sources\":[{\"downwardAPI\":{\"items\":[{\"path\":\"labels\",\"fieldRef\":{"
		"\"fieldPath\":\"metadata.labels\"}}]}},{\"secret\":{\"name\":\"s\",\"items\":[{"
		"\"key\":\"K\",\"path\":\"a/b\"}]}}]}}],\"containers\":[{\"name\":\"c\",\"env\":[{"
		"\"name\":\"K\",\"valueFrom\":{\"secretKeyRef\":{\"name\":\"s\",\"key\":\"K\"}}}],"
		"\"envFrom\":[{\"secretRef\":{\"name\":\"s\"},\"prefix\":\"P_\"}],"
		"\"volumeMounts\":[{\"name\":\"v\",\"mountPath\":\"/v\"},{\"name\":\"p\","
		"\"mountPath\":\"/p\"}],\"readinessProbe\":{\"exec\":{\"command\":[\"test\","
		"\"-f\",\"/read\"]}}," KG_PT_SHELL
		"\"echo $K $P_K; stat -L -c %a /v/K; stat -f -c %T /v; "
		"cat /p/labels /p/a/b; echo; touch /read; until grep -q new /v/K; do sleep 0.02; "
		"done; cat "
		"/v/K\"]}]}");
	KG_AUTOFREE char *old = kg_asprintf(secret, "b2xk"), *new = kg_asprintf(secret, "bmV3");
	kg_podtest_apply(&t);
	kg_podtest_wait(&t, sandbox_error, "reads", 10000);
	kg_podtest_configmap(&t, old);
	kg_podtest_apply(&t);
	kg_podtest_wait(&t, kg_podtest_ready, "reads", 10000);
	kg_podtest_configmap(&t, new);
	kg_podtest_apply(&t);
	kg_podtest_wait(&t, kg_podtest_succeeded, "reads", 10000);
	KG_AUTOFREE char *log = kg_podtest_log(&t, "reads", false);
	assert_string_equal(log, "old old\n400\ntmpfs\napp=\"test\"old\nnew");
	kg_podtest_end(&t);
}

static bool image_error(struct kg_podtest *t, const char *pod)
{
	return !strncmp(kg_podtest_waits_for(t, pod), "ErrImage", 8);
}

static bool pull_backs_off(struct kg_podtest *t, const char *pod)
{
	return !strcmp(kg_podtest_waits_for(t, pod), "ImagePullBackOff");
}

static void assert_string_prefix(const char *s, const char *prefix)
{
	if (strncmp(s, prefix, strlen(prefix)) != 0)
		fail_msg("\"%s\" does not begin with \"%s\"", s, prefix);
}

static void test_images(void **state)
{
	struct kg_podtest t;
	(void)state;
	kg_podtest_begin(&t, NULL, NULL);
	kg_podtest_add(&t, "never",
		KG_PT_ONE("\"image\":\"kgit.local/none:1\",\"imagePullPolicy\":\"Never\""));
	kg_podtest_add(&t, "refused", KG_PT_ONE("\"image\":\"127.0.0.1:9/none:1\""));
	kg_podtest_apply(&t);
	kg_podtest_wait(&t, image_error, "never", 10000);
	kg_podtest_wait(&t, image_error, "refused", 20000);
	assert_string_equal(kg_podtest_waits_for(&t, "never"), "ErrImageNeverPull");
	assert_string_equal(kg_podtest_waits_for(&t, "refused"), "ErrImagePull");
	kg_podtest_wait(&t, pull_backs_off, "refused", 20000);
	const char *said =
		kg_string(kg_at(kg_podtest_container(&t, "refused"), "state.waiting.message"), "");
	assert_string_prefix(said, "Back-off pulling image \"127.0.0.1:9/none:1\": ErrImagePull: "
				   "skopeo: ");
	assert_null(strstr(said, "level="));
	kg_podtest_end(&t);
}

int main(int argc, char **argv)
{
	if (argc > 2 && !strcmp(argv[1], KG_PIDNS_COMMAND))
		return kg_pidns_main(argc, argv);

	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_configmaps),
		cmocka_unit_test(test_secrets),
		cmocka_unit_test(test_images),
	};
	kg_podtest_require();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
