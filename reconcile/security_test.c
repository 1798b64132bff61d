/* The Pod Security Standards check by check and version by version: what of a pod fails. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants those first */
#include <cmocka.h>

#include "reconcile/security.h"
#include "value/json.h"

#include <limits.h>
#include <string.h>

enum { BASELINE = 1, RESTRICTED = 2 };
#define LATEST INT_MAX

/* Whatever restricted asks of a pod and of a container. */
#define GOOD                                                                                       \
	"\"securityContext\":{\"runAsNonRoot\":true,\"seccompProfile\":{\"type\":"                 \
	"\"RuntimeDefault\"}}"
#define GOOD_C                                                                                     \
	"\"securityContext\":{\"allowPrivilegeEscalation\":false,\"capabilities\":{\"drop\":["     \
	"\"ALL\"]}"
#define C(name, more)        "{\"name\":\"" name "\",\"image\":\"i\"" more "}"
#define POD(pod, containers) "{\"metadata\":{},\"spec\":{\"containers\":[" containers "]" pod "}}"
#define SC(text)             ",\"securityContext\":{" text "}"
#define NOTE(key, value)                                                                           \
	"{\"metadata\":{\"annotations\":{\"" key "\":\"" value                                     \
	"\"}},\"spec\":{\"containers\":[" C("a", "") "]}}"

static const struct {
	const char *pod;
	int level, version;
	const char *want; /* "" passes */
} cases[] = {
	{POD("", C("a", "")), BASELINE, LATEST, ""},
	{POD("," GOOD, C("a", "," GOOD_C "}")), RESTRICTED, LATEST, ""},
	{POD("", C("a", "")), RESTRICTED, LATEST,
		"allowPrivilegeEscalation != false (container \"a\" must set "
		"securityContext.allowPrivilegeEscalation=false), unrestricted capabilities "
		"(container \"a\" must set securityContext.capabilities.drop=[\"ALL\"]), "
		"runAsNonRoot != true (pod or container \"a\" must set "
		"securityContext.runAsNonRoot=true), seccompProfile (pod or container \"a\" must "
		"set securityContext.seccompProfile.type to \"RuntimeDefault\" or \"Localhost\")"},
	/* each came with a version */
	{POD("", C("a", "")), RESTRICTED, 7,
		"runAsNonRoot != true (pod or container \"a\" must set "
		"securityContext.runAsNonRoot=true)"},
	{POD("", C("a", "")), RESTRICTED, 18,
		"allowPrivilegeEscalation != false (container \"a\" must set "
		"securityContext.allowPrivilegeEscalation=false), runAsNonRoot != true (pod or "
		"container \"a\" must set securityContext.runAsNonRoot=true)"},
	/* AppArmor */
	{POD(SC("\"appArmorProfile\":{\"type\":\"Unconfined\"}"),
		 C("a", SC("\"appArmorProfile\":{\"type\":\"Unconfined\"}"))),
		BASELINE, LATEST,
		"forbidden AppArmor profile (pod and container \"a\" must not set AppArmor profile "
		"type to \"Unconfined\")"},
	{POD(SC("\"appArmorProfile\":{\"type\":\"Localhost\"}"), C("a", "")), BASELINE, LATEST, ""},
	{NOTE("container.apparmor.security.beta.kubernetes.io/a", "unconfined"), BASELINE, LATEST,
		"forbidden AppArmor profile (annotation must not set AppArmor profile type to "
		"\"container.apparmor.security.beta.kubernetes.io/a=\"unconfined\"\")"},
	{NOTE("container.apparmor.security.beta.kubernetes.io/a", "localhost/x"), BASELINE, LATEST,
		""},
	/* capabilities */
	{POD("", C("a", SC("\"capabilities\":{\"add\":[\"SYS_TIME\",\"CHOWN\",\"NET_RAW\"]"
			   "}")) "," C("b", SC("\"capabilities\":{\"add\":[\"NET_RAW\"]}"))),
		BASELINE, LATEST,
		"non-default capabilities (containers \"a\", \"b\" must not include \"NET_RAW\", "
		"\"SYS_TIME\" in securityContext.capabilities.add)"},
	{POD("," GOOD, C("a", "," GOOD_C "},\"lifecycle\":{}")), RESTRICTED, 21, ""},
	{POD("," GOOD, C("a", ",\"securityContext\":{\"allowPrivilegeEscalation\":false,"
			      "\"capabilities\":{\"add\":[\"CHOWN\"],\"drop\":[\"ALL\"]}}")),
		RESTRICTED, 22,
		"unrestricted capabilities (container \"a\" must not include \"CHOWN\" in "
		"securityContext.capabilities.add)"},
	/* the host's */
	{POD(",\"hostNetwork\":true,\"hostIPC\":true", C("a", "")), BASELINE, LATEST,
		"host namespaces (hostNetwork=true, hostIPC=true)"},
	{POD(",\"volumes\":[{\"name\":\"v\",\"hostPath\":{\"path\":\"/\"}},{\"name\":\"w\","
	     "\"hostPath\":{\"path\":\"/\"}}]",
		 C("a", "")),
		BASELINE, LATEST, "hostPath volumes (volumes \"v\", \"w\")"},
	{POD("", C("a", ",\"ports\":[{\"hostPort\":80},{\"hostPort\":443},{\"containerPort\":1}]")),
		BASELINE, LATEST, "hostPort (container \"a\" uses hostPorts 443, 80)"},
	{POD("", C("b", ",\"readinessProbe\":{\"httpGet\":{\"port\":1,\"host\":\"x\"}}") "," C(
			 "a", ",\"lifecycle\":{\"preStop\":{\"tcpSocket\":{\"host\":\"w\"}}}")),
		BASELINE, 34,
		"probe or lifecycle host (containers \"a\", \"b\" use probe or lifecycle hosts "
		"\"w\", \"x\")"},
	{POD("", C("b", ",\"livenessProbe\":{\"tcpSocket\":{\"port\":1,\"host\":\"x\"}}")),
		BASELINE, LATEST,
		"probe or lifecycle host (container \"b\" uses probe or lifecycle host \"x\")"},
	{POD("", C("b", ",\"livenessProbe\":{\"tcpSocket\":{\"port\":1,\"host\":\"x\"}}")),
		BASELINE, 33, ""},
	/* /proc, and user namespaces */
	{POD("", C("a", SC("\"procMount\":\"Unmasked\""))), BASELINE, LATEST,
		"procMount (container \"a\" must not set securityContext.procMount to "
		"\"Unmasked\")"},
	{POD(",\"hostUsers\":false", C("a", SC("\"procMount\":\"Unmasked\""))), BASELINE, 34,
		"procMount (container \"a\" must not set securityContext.procMount to "
		"\"Unmasked\")"},
	{POD(",\"hostUsers\":false", C("a", SC("\"procMount\":\"Unmasked\""))), BASELINE, 35, ""},
	{POD(",\"hostUsers\":false," GOOD, C("a", "," GOOD_C ",\"procMount\":\"Unmasked\"}")),
		RESTRICTED, LATEST,
		"procMount (container \"a\" must not set securityContext.procMount to "
		"\"Unmasked\")"},
	{POD(",\"hostUsers\":false,\"securityContext\":{\"runAsUser\":0,\"runAsNonRoot\":false,"
	     "\"seccompProfile\":{\"type\":\"Localhost\"}}",
		 C("a", "," GOOD_C "}")),
		RESTRICTED, LATEST, ""},
	{POD(",\"hostUsers\":false,\"securityContext\":{\"runAsUser\":0,\"runAsNonRoot\":false,"
	     "\"seccompProfile\":{\"type\":\"Localhost\"}}",
		 C("a", "," GOOD_C ",\"runAsUser\":0}")),
		RESTRICTED, 34,
		"runAsNonRoot != true (pod must not set securityContext.runAsNonRoot=false), "
		"runAsUser=0 (pod and container \"a\" must not set runAsUser=0)"},
	/* SELinux */
	{POD(SC("\"seLinuxOptions\":{\"user\":\"u\",\"type\":\"spc_t\"}"),
		 C("a", SC("\"seLinuxOptions\":{\"role\":\"r\",\"type\":\"container_engine_t\"}"))),
		BASELINE, LATEST,
		"seLinuxOptions (pod and container \"a\" set forbidden "
		"securityContext.seLinuxOptions: type \"spc_t\"; user may not be set; role may not "
		"be set)"},
	{POD("", C("a", SC("\"seLinuxOptions\":{\"type\":\"container_engine_t\"}"))), BASELINE, 31,
		""},
	{POD("", C("a", SC("\"seLinuxOptions\":{\"type\":\"container_engine_t\"}"))), BASELINE, 30,
		"seLinuxOptions (container \"a\" set forbidden securityContext.seLinuxOptions: "
		"type \"container_engine_t\")"},
	/* seccomp */
	{POD("", C("a", SC("\"seccompProfile\":{\"type\":\"Unconfined\"}"))), BASELINE, LATEST,
		"seccompProfile (container \"a\" must not set "
		"securityContext.seccompProfile.type to \"Unconfined\")"},
	{POD("", C("a", SC("\"seccompProfile\":{\"type\":\"Unconfined\"}"))), BASELINE, 18, ""},
	{NOTE("seccomp.security.alpha.kubernetes.io/pod", "unconfined"), BASELINE, 18,
		"seccompProfile (forbidden annotation "
		"seccomp.security.alpha.kubernetes.io/pod=\"unconfined\")"},
	{NOTE("container.seccomp.security.alpha.kubernetes.io/a", "docker/default"), BASELINE, 18,
		""},
	{NOTE("seccomp.security.alpha.kubernetes.io/pod", "unconfined"), BASELINE, 19, ""},
	/* sysctls */
	{POD(SC("\"sysctls\":[{\"name\":\"net.ipv4.tcp_rmem\"},{\"name\":\"kernel.msgmax\"},{"
		"\"name\":\"net.ipv4.tcp_notsent_lowat\"}]"),
		 C("a", "")),
		BASELINE, LATEST, "forbidden sysctls (kernel.msgmax)"},
	{POD(SC("\"sysctls\":[{\"name\":\"net.ipv4.tcp_rmem\"},{\"name\":"
		"\"net.ipv4.tcp_notsent_lowat\"}]"),
		 C("a", "")),
		BASELINE, 31, "forbidden sysctls (net.ipv4.tcp_rmem, net.ipv4.tcp_notsent_lowat)"},
	/* volumes */
	{POD(",\"volumes\":[{\"name\":\"i\",\"image\":{}},{\"name\":\"v\",\"nfs\":{}},{\"name\":"
	     "\"w\",\"hostPath\":{}}]," GOOD,
		 C("a", "," GOOD_C "}")),
		RESTRICTED, LATEST,
		"restricted volume types (volumes \"v\", \"w\" use restricted volume types "
		"\"hostPath\", \"nfs\")"},
};

static void each_fails_as_in_kubernetes(void **state)
{
	(void)state;
	for (size_t i = 0; i < KG_ARRAY_LEN(cases); i++) {
		struct kg_arena a = KG_ARENA_INIT;
		struct kg_value pod;
		struct kg_error err;
		if (kg_json_parse(&pod, &a, cases[i].pod, strlen(cases[i].pod), &err))
			fail_msg("case %zu: %s: %s", i, err.msg, cases[i].pod);
		struct kg_texts t = kg_security_faults(&a, cases[i].level, cases[i].version,
			kg_get(&pod, "metadata"), kg_get(&pod, "spec"));
		const char *got = kg_texts_joined(&t, ", ");
		if (strcmp(got, cases[i].want) != 0)
			fail_msg("case %zu: wanted \"%s\", got \"%s\"", i, cases[i].want, got);
		kg_arena_release(&a);
	}
}

static void levels_and_versions_are_compared(void **state)
{
	static const struct {
		const char *before, *after;
		bool tightens;
	} table[] = {
		{"{}", "{}", false},
		{"{}", "{\"enforce\":\"baseline\"}", true},
		{"{\"enforce\":\"baseline\"}", "{\"enforce\":\"baseline\"}", false},
		{"{\"enforce\":\"restricted\"}", "{\"enforce\":\"baseline\"}", false},
		{"{\"enforce\":\"restricted\",\"enforce-version\":\"v1.20\"}",
			"{\"enforce\":\"baseline\"}", true},
		{"{\"enforce\":\"baseline\"}", "{}", false},
	};
	(void)state;
	for (size_t i = 0; i < KG_ARRAY_LEN(table); i++) {
		const char *texts[] = {table[i].before, table[i].after};
		struct kg_value labels[2], v;
		struct kg_arena a = KG_ARENA_INIT;
		struct kg_error err;
		for (size_t k = 0; k < 2; k++) {
			labels[k] = kg_v_object(&a, NULL, 0);
			assert_int_equal(
				kg_json_parse(&v, &a, texts[k], strlen(texts[k]), &err), 0);
			for (uint32_t m = 0; m < kg_len(&v); m++)
				labels[k] = kg_with_key(&a, &labels[k],
					kg_arena_printf(&a, "pod-security.kubernetes.io/%s",
						v.members[m].key),
					v.members[m].value);
		}
		if (kg_security_tightens(&labels[0], &labels[1], KG_SECURITY_ENFORCE) !=
			table[i].tightens)
			fail_msg("case %zu", i);
		kg_arena_release(&a);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_fails_as_in_kubernetes),
		cmocka_unit_test(levels_and_versions_are_compared),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
