/* Specifications against goldens in testdata/oci_spec: NAME.in.json holds pod, image and what of
 * the host matters, NAME.out.json what becomes of it. `oci_spec_test --update` rewrites them. */
#include "nodeagent/oci_spec.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
/* cmocka wants those first */
#include <cmocka.h>

#include "nodeagent/caps.h"
#include "nodeagent/cgroup.h"
#include "nodeagent/env.h"
#include "nodeagent/resources.h"
#include "nodeagent/seccomp.h"
#include "sys/file.h"
#include "value/json.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <seccomp.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define GOLDENS KGIT_SOURCE_DIR "/nodeagent/testdata/"

static bool update;

static void load(struct kg_value *out, struct kg_arena *a, const char *path)
{
	KG_AUTOBUF struct kg_buf b = KG_BUF_INIT;
	struct kg_error err;
	if (kg_file_read(&b, path, 1 << 20, &err) < 0 ||
		kg_json_parse(out, a, kg_buf_str(&b), b.len, &err) < 0)
		fail_msg("%s: %s", path, err.msg);
}

/* The seccomp profile depends on the libseccomp that is installed: only its shape is kept. */
static struct kg_value without_names(struct kg_arena *a, const struct kg_value *spec)
{
	const struct kg_value *s = kg_at(spec, "linux.seccomp");
	if (kg_is_null(s))
		return *spec;
	return kg_with(a, spec, "linux.seccomp", *kg_get(s, "defaultAction"));
}

static void golden(const char *name)
{
	static const char *const layers[] = {"top"}, *const dirs[] = {"/nonexistent"};
	struct kg_arena a KG_CLEANUP(kg_arena_release) = KG_ARENA_INIT;
	struct kg_value in, spec;
	struct kg_error err;
	struct kg_image image = {.layers = layers, .dirs = dirs, .nlayers = 1};
	struct kg_spec_host host = {
		.capabilities = (UINT64_C(1) << 41) - 1, .memory_bytes = (int64_t)8 << 30};
	KG_AUTOBUF struct kg_buf got = KG_BUF_INIT;
	KG_AUTOBUF struct kg_buf want = KG_BUF_INIT;
	KG_AUTOFREE char *from = kg_asprintf(GOLDENS "%s.in.json", name);
	KG_AUTOFREE char *to = kg_asprintf(GOLDENS "%s.out.json", name);
	load(&in, &a, from);
	image.config = *kg_get(&in, "image");
	host.cgroup_v2 = kg_bool(kg_at(&in, "host.cgroupV2"), false);
	if (kg_bool(kg_at(&in, "host.hugetlb"), false))
		host.hugepages = (struct kg_hugepages){
			.sizes = {{.resource = "hugepages-2Mi", .group = "2MB"},
				{.resource = "hugepages-1Gi", .group = "1GB"}},
			.n = 2};
	const struct kg_value *pod = kg_get(&in, "pod");
	struct kg_spec_in si = {
		.pod = pod,
		.container = kg_at(pod, "spec.containers.0"),
		.configmaps = kg_get(&in, "configmaps"),
		.image = &image,
		.host = &host,
		.node_name = "n1",
		.pod_dir = "/state/pods/uid",
		.files_dir = "/state/run/files/uid",
		.upper = "../upper",
		.work = "../work",
		.term_log = "/state/run/files/uid/web.term",
		.cgroup = "/kgit/n1/poduid/id",
		.netns = kg_pod_host_network(pod) ? NULL : "/state/run/ns/uid/net",
	};
	if (kg_oci_spec(&spec, &a, &si, &err) < 0) {
		kg_buf_addf(&got, "error: %s\n", err.msg);
	} else {
		spec = without_names(&a, &spec);
		kg_json_write_pretty(&got, &spec);
		kg_buf_addc(&got, '\n');
	}
	if (update) {
		assert_int_equal(kg_file_replace(to, got.data, got.len, 0644, &err), 0);
		return;
	}
	if (kg_file_read(&want, to, 1 << 20, &err) < 0)
		fail_msg("%s", err.msg);
	assert_string_equal(kg_buf_str(&got), kg_buf_str(&want));
}

static void test_goldens(void **state)
{
	static const char *const names[] = {"spec-plain", "spec-full", "spec-privileged",
		"spec-nonroot", "spec-missing", "spec-host", "spec-hugepages", "spec-propagation"};
	(void)state;
	for (size_t i = 0; i < KG_ARRAY_LEN(names); i++)
		golden(names[i]);
}

#define DEEP8 "/a/b/c/d/e/f/g/h"
#define DEEP  DEEP8 DEEP8 DEEP8 DEEP8 DEEP8 DEEP8 DEEP8 DEEP8 DEEP8

/* A volume is taken away while the pod is there: its claim's path is nobody's, and above all not
 * the directory that holds all of them. */
static void check_claim(const char *volume, const char *claim)
{
	struct kg_arena a KG_CLEANUP(kg_arena_release) = KG_ARENA_INIT;
	const char *text = kg_arena_printf(&a,
		"{\"pod\":{\"metadata\":{\"namespace\":\"default\",\"name\":\"p\"},\"spec\":{"
		"\"containers\":[{\"name\":\"web\",\"image\":\"i\",\"command\":[\"/a\"],"
		"\"volumeMounts\":[{\"name\":\"v\",\"mountPath\":\"/v\"},"
		"{\"name\":\"v\",\"mountPath\":\"" DEEP "\"}]}],"
		"\"volumes\":[{\"name\":\"v\",%s}]}},"
		/* That of a claim of this name that is gone is being removed. */
		"\"objects\":[{\"kind\":\"PersistentVolume\",\"metadata\":{\"name\":\"pvc-0\","
		"\"annotations\":{\"pv.kubernetes.io/provisioned-by\":\"kgit.dev/local-path\"},"
		"\"deletionTimestamp\":\"2026-01-01T00:00:00Z\"},"
		"\"spec\":{\"claimRef\":{\"namespace\":\"default\",\"name\":\"%s\"},"
		"\"local\":{\"path\":\"pvc-0\"}}},"
		"{\"kind\":\"PersistentVolume\",\"metadata\":{\"name\":\"pv\"},"
		"\"spec\":{\"claimRef\":{\"namespace\":\"default\",\"name\":\"%s\"},"
		"\"local\":{\"path\":\"pv\"}}}]}",
		volume, claim, claim);
	static const char *const layers[] = {"top"}, *const dirs[] = {"/nonexistent"};
	struct kg_image image = {.layers = layers, .dirs = dirs, .nlayers = 1};
	struct kg_spec_host host = {.memory_bytes = (int64_t)8 << 30};
	struct kg_value in, spec;
	struct kg_error err;
	assert_int_equal(kg_json_parse(&in, &a, text, strlen(text), &err), 0);
	struct kg_spec_in si = {.pod = kg_get(&in, "pod"),
		.container = kg_at(&in, "pod.spec.containers.0"),
		.configmaps = kg_get(&in, "objects"),
		.image = &image,
		.host = &host,
		.node_name = "n1",
		.node_dir = "/state",
		.pod_dir = "/state/pods/uid",
		.files_dir = "/state/run/files/uid",
		.upper = "../upper",
		.work = "../work",
		.cgroup = "/kgit/n1/poduid/id"};
	if (kg_oci_spec(&spec, &a, &si, &err) < 0)
		fail_msg("%s", err.msg);
	const struct kg_value *mount = kg_find(kg_get(&spec, "mounts"), "destination", "/v");
	assert_string_equal(kg_string(kg_get(mount, "source"), ""), "/state/volumes/pv");
	assert_false(kg_is_null(kg_find(kg_get(&spec, "mounts"), "destination", DEEP)));
	si.configmaps = &kg_null;
	assert_int_equal(kg_oci_spec(&spec, &a, &si, &err), -KG_E_NOT_FOUND);
	assert_string_equal(
		err.msg, kg_arena_printf(&a,
				 "persistentvolumeclaim \"%s\" is not bound to a volume", claim));
}

static void test_unbound_claim(void **state)
{
	(void)state;
	check_claim("\"persistentVolumeClaim\":{\"claimName\":\"c\"}", "c");
	check_claim("\"ephemeral\":{\"volumeClaimTemplate\":{}}", "p-v");
}

/* What is to be mounted where, of one container's mounts. */
static void test_subpaths(void **state)
{
	static const struct {
		const char *mount, *wanted;
	} cases[] = {{"", ""}, {"\"subPath\":\"\"", ""}, {"\"subPath\":\"a/b\"", "a/b"},
		{"\"subPath\":\"$(POD)\"", "$(POD)"}, {"\"subPathExpr\":\"x/$(POD)\"", "x/web-0"},
		{"\"subPathExpr\":\"$(NONE)/$(POD)\"",
			"cannot expand subPathExpr \"$(NONE)/$(POD)\": missing value for \"NONE\""},
		{"\"subPathExpr\":\"$(UP)\"", "subPath \"a/../..\" contains '..'"},
		{"\"subPathExpr\":\"$(ROOT)\"", "subPath \"/\" is not relative"},
		{"\"subPathExpr\":\"$(EMPTY)\"", "."}};
	(void)state;
	for (size_t i = 0; i < KG_ARRAY_LEN(cases); i++) {
		struct kg_arena a KG_CLEANUP(kg_arena_release) = KG_ARENA_INIT;
		const char *text = kg_arena_printf(&a,
			"{\"metadata\":{\"name\":\"web-0\"},\"spec\":{\"volumes\":[{\"name\":\"v\","
			"\"emptyDir\":{}}],\"containers\":[{\"env\":[{\"name\":\"POD\","
			"\"valueFrom\":"
			"{\"fieldRef\":{\"fieldPath\":\"metadata.name\"}}},{\"name\":\"UP\","
			"\"value\":"
			"\"a/../..\"},{\"name\":\"ROOT\",\"value\":\"/"
			"\"},{\"name\":\"EMPTY\",\"value\":"
			"\"\"}],\"volumeMounts\":[{\"name\":\"v\",\"mountPath\":\"/v\"%s%s}]}]}}",
			*cases[i].mount ? "," : "", cases[i].mount);
		struct kg_value pod;
		struct kg_error err;
		struct kg_spec_subpath out[KG_SPEC_MOUNTS];
		size_t n;
		if (kg_json_parse(&pod, &a, text, strlen(text), &err) < 0)
			fail_msg("%s", err.msg);
		struct kg_spec_in in = {.pod = &pod,
			.container = kg_at(&pod, "spec.containers.0"),
			.configmaps = &kg_null,
			.node_name = "n",
			.pod_dir = "/pod",
			.sub_dir = "/sub"};
		if (kg_oci_subpaths(out, &n, &a, &in, &err) < 0) {
			assert_string_equal(err.msg, cases[i].wanted);
			continue;
		}
		assert_int_equal(n, *cases[i].wanted ? 1 : 0);
		if (!n)
			continue;
		assert_string_equal(out->path, cases[i].wanted);
		assert_string_equal(out->volume, "/pod/volumes/v");
		assert_string_equal(out->target, "/sub/0");
	}
}

static void test_expansion(void **state)
{
	static const struct {
		const char *in, *out;
	} cases[] = {{"plain", "plain"}, {"$(A)", "1"}, {"x$(A)y$(B)z", "x1y2z"}, {"$(C)", "$(C)"},
		{"$$(A)", "$(A)"}, {"$$$(A)", "$1"}, {"$", "$"}, {"$(A", "$(A"}, {"$A", "$A"},
		{"$()", "$()"}, {"$(AB)", "$(AB)"}};
	struct kg_arena a KG_CLEANUP(kg_arena_release) = KG_ARENA_INIT;
	struct kg_env env = {0};
	(void)state;
	kg_env_set(&env, "A", "1");
	kg_env_set(&env, "B", "2");
	for (size_t i = 0; i < KG_ARRAY_LEN(cases); i++)
		assert_string_equal(kg_env_expand(&a, cases[i].in, &env), cases[i].out);
	kg_env_release(&env);
}

static void test_capabilities(void **state)
{
	static const struct {
		const char *security;
		int count;
		const char *has, *not ;
	} cases[] = {
		{"{}", 14, "CAP_CHOWN", "CAP_SYS_ADMIN"},
		{"{\"capabilities\":{\"drop\":[\"ALL\"]}}", 0, NULL, "CAP_CHOWN"},
		{"{\"capabilities\":{\"drop\":[\"CAP_ALL\"]}}", 0, NULL, "CAP_CHOWN"},
		{"{\"capabilities\":{\"drop\":[\"cap_all\"],\"add\":[\"CAP_KILL\"]}}", 1,
			"CAP_KILL", "CAP_CHOWN"},
		{"{\"capabilities\":{\"drop\":[\"ALL\"],\"add\":[\"NET_ADMIN\"]}}", 1,
			"CAP_NET_ADMIN", "CAP_CHOWN"},
		{"{\"capabilities\":{\"add\":[\"SYS_TIME\"],\"drop\":[\"CHOWN\"]}}", 14,
			"CAP_SYS_TIME", "CAP_CHOWN"},
		{"{\"capabilities\":{\"add\":[\"ALL\"]}}", 40, "CAP_SYS_ADMIN", "CAP_SYS_RESOURCE"},
		{"{\"capabilities\":{\"add\":[\"CAP_ALL\"]}}", 40, "CAP_SYS_ADMIN",
			"CAP_SYS_RESOURCE"},
		{"{\"privileged\":true}", 40, "CAP_SYS_ADMIN", "CAP_SYS_RESOURCE"},
	};
	uint64_t available = ((UINT64_C(1) << 41) - 1) & ~(UINT64_C(1) << CAP_SYS_RESOURCE);
	(void)state;
	for (size_t i = 0; i < KG_ARRAY_LEN(cases); i++) {
		struct kg_arena a KG_CLEANUP(kg_arena_release) = KG_ARENA_INIT;
		struct kg_value v;
		struct kg_error err;
		const char *caps[KG_CAPS_MAX];
		bool has = !cases[i].has;
		assert_int_equal(
			kg_json_parse(&v, &a, cases[i].security, strlen(cases[i].security), &err),
			0);
		size_t n = kg_caps_of(caps, &v, available);
		assert_int_equal(n, cases[i].count);
		for (size_t c = 0; c < n; c++) {
			has = has || !strcmp(caps[c], cases[i].has);
			assert_string_not_equal(caps[c], cases[i].not );
		}
		assert_true(has);
	}
}

static bool profile_names(const struct kg_value *profile, const char *name)
{
	const struct kg_value *names = kg_at(profile, "syscalls.0.names");
	for (uint32_t i = 0; i < kg_len(names); i++)
		if (!strcmp(kg_string(&names->items[i], ""), name))
			return true;
	return false;
}

static void test_seccomp(void **state)
{
	static const char *const denied[] = {"mount", "unshare", "setns", "keyctl", "bpf",
		"kexec_load", "init_module", "io_uring_setup", "userfaultfd", "reboot", "clone3",
		"open_by_handle_at", "perf_event_open", "add_key", "swapon", "pivot_root",
		"pidfd_getfd"};
	static const char *const allowed[] = {"read", "openat", "execve", "futex", "epoll_wait",
		"accept4", "clock_gettime", "rseq", "statx", "pidfd_open", "close_range"};
	/* In nobody's list: the first is so even with CAP_SYS_ADMIN. */
	static const char *const nowhere[] = {"pivot_root", "sigsuspend", "readdir", "signal"};
	static const char *const admin[] = {"CAP_SYS_ADMIN"};
	struct kg_arena a KG_CLEANUP(kg_arena_release) = KG_ARENA_INIT;
	struct kg_value v = kg_seccomp_default(&a, NULL, 0, false);
	(void)state;
	assert_true(kg_len(kg_get(&v, "architectures")) <= 2);
	for (size_t i = 0; i < KG_ARRAY_LEN(denied); i++)
		assert_false(profile_names(&v, denied[i]));
	for (size_t i = 0; i < KG_ARRAY_LEN(allowed); i++)
		assert_true(profile_names(&v, allowed[i]));
	v = kg_seccomp_default(&a, admin, 1, true);
	assert_true(profile_names(&v, "mount"));
	assert_int_equal(kg_len(kg_get(&v, "architectures")), 1);
	assert_false(profile_names(&v, "init_module"));
	for (size_t i = 0; i < KG_ARRAY_LEN(nowhere); i++)
		assert_false(profile_names(&v, nowhere[i]));
}

/* The profile as libseccomp compiles it for a machine; all that it names is known there or is
 * another machine's. */
static void compile(uint32_t token, const struct kg_value *profile)
{
	scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ERRNO(EPERM));
	const struct kg_value *names = kg_at(profile, "syscalls.0.names");
	KG_AUTOCLOSE int null = open("/dev/null", O_WRONLY | O_CLOEXEC);

	assert_non_null(filter);
	if (token != seccomp_arch_native()) {
		assert_int_equal(seccomp_arch_remove(filter, seccomp_arch_native()), 0);
		assert_int_equal(seccomp_arch_add(filter, token), 0);
	}
	for (uint32_t i = 0; i < kg_len(names); i++) {
		int nr = seccomp_syscall_resolve_name(kg_string(&names->items[i], ""));

		assert_int_not_equal(nr, __NR_SCMP_ERROR);
		assert_int_equal(seccomp_rule_add(filter, SCMP_ACT_ALLOW, nr, 0), 0);
	}
	assert_int_equal(seccomp_export_bpf(filter, null), 0);
	seccomp_release(filter);
}

static void test_seccomp_machines(void **state)
{
	static const struct {
		uint32_t token;
		uint32_t archs;
		const char *own, *calls[2], *not_its;
		int flags;
	} cases[] = {
		{SCMP_ARCH_X86_64, 2, "SCMP_ARCH_X86_64", {"arch_prctl", "modify_ldt"},
			"cacheflush", 0},
		{SCMP_ARCH_X86, 1, "SCMP_ARCH_X86", {"modify_ldt"}, "arm_fadvise64_64", 0},
		{SCMP_ARCH_AARCH64, 2, "SCMP_ARCH_AARCH64", {NULL}, "modify_ldt", 0},
		{SCMP_ARCH_ARM, 1, "SCMP_ARCH_ARM", {"cacheflush", "set_tls"}, "arch_prctl", 0},
		{SCMP_ARCH_S390X, 2, "SCMP_ARCH_S390X", {"s390_pci_mmio_read"}, "set_tls", 1},
		{SCMP_ARCH_S390, 1, "SCMP_ARCH_S390", {"s390_runtime_instr"}, "set_tls", 1},
		{SCMP_ARCH_PPC64LE, 1, "SCMP_ARCH_PPC64LE", {"swapcontext", "sync_file_range2"},
			"s390_runtime_instr", 0},
		{SCMP_ARCH_RISCV64, 1, "SCMP_ARCH_RISCV64", {"riscv_flush_icache"}, "swapcontext",
			0},
		{SCMP_ARCH_MIPSEL64, 3, "SCMP_ARCH_MIPSEL64", {"cacheflush", "cachectl"}, "set_tls",
			0},
		{SCMP_ARCH_MIPSEL, 1, "SCMP_ARCH_MIPSEL", {"cacheflush"}, "arch_prctl", 0},
	};
	struct kg_arena a KG_CLEANUP(kg_arena_release) = KG_ARENA_INIT;

	(void)state;
	for (size_t i = 0; i < KG_ARRAY_LEN(cases); i++) {
		struct kg_value v = kg_seccomp_of(cases[i].token, &a, NULL, 0, false);
		const struct kg_value *rules = kg_get(&v, "syscalls");
		int64_t flags = -1;

		assert_int_equal(kg_len(kg_get(&v, "architectures")), cases[i].archs);
		assert_string_equal(kg_string(kg_at(&v, "architectures.0"), ""), cases[i].own);
		for (int c = 0; c < 2 && cases[i].calls[c]; c++) {
			assert_true(profile_names(&v, cases[i].calls[c]));
			assert_true(seccomp_syscall_resolve_name_arch(
					    cases[i].token, cases[i].calls[c]) >= 0);
		}
		assert_false(profile_names(&v, cases[i].not_its));
		for (uint32_t r = 0; r < kg_len(rules); r++)
			if (!strcmp(kg_string(kg_at(&rules->items[r], "names.0"), ""), "clone"))
				flags = kg_int(kg_at(&rules->items[r], "args.0.index"), -1);
		assert_int_equal(flags, cases[i].flags);
		compile(cases[i].token, &v);
	}
}

/* Adds a rule as the runtime does: "value" is the mask where there is one. */
static int add_rule(scmp_filter_ctx filter, const struct kg_value *rule)
{
	const struct kg_value *names = kg_get(rule, "names"), *arg = kg_at(rule, "args.0");
	struct scmp_arg_cmp cmp = {
		.arg = (unsigned)kg_int(kg_get(arg, "index"), 0),
		.datum_a = (scmp_datum_t)kg_int(kg_get(arg, "value"), 0),
		.datum_b = (scmp_datum_t)kg_int(kg_get(arg, "valueTwo"), 0),
	};
	const char *op = kg_string(kg_get(arg, "op"), "");
	bool allow = !strcmp(kg_string(kg_get(rule, "action"), ""), "SCMP_ACT_ALLOW");
	uint32_t action = allow ? SCMP_ACT_ALLOW
				: SCMP_ACT_ERRNO((uint32_t)kg_int(kg_get(rule, "errnoRet"), 0));
	int rc = 0;

	cmp.op = !strcmp(op, "SCMP_CMP_EQ")          ? SCMP_CMP_EQ
		 : !strcmp(op, "SCMP_CMP_MASKED_EQ") ? SCMP_CMP_MASKED_EQ
						     : _SCMP_CMP_MIN;
	for (uint32_t i = 0; rc == 0 && i < kg_len(names); i++)
		rc = seccomp_rule_add_array(filter, action,
			seccomp_syscall_resolve_name(kg_string(&names->items[i], "")),
			kg_is_null(arg) ? 0 : 1, &cmp);
	return rc;
}

/* EINVAL where the kernel is asked, which refuses the type before it looks at the family. */
static int answer(long family)
{
	return syscall(SYS_socket, family, -1L, 0L) == -1 ? errno : 0;
}

/* Under the profile; the kernel looks at the lower half alone. */
static const char *wrong_families(void)
{
	for (int family = 0; family < 64; family++) {
		bool plain = family < 46 && family != AF_ALG && family != AF_VSOCK;
		long half = (long)((uint64_t)family | UINT64_C(1) << 32);
		long sign = (long)((uint64_t)family | UINT64_C(0xffffffff) << 32);

		if (answer(family) != (plain ? EINVAL : EPERM))
			return "a family";
		if (!plain && (answer(half) != EPERM || answer(sign) != EPERM))
			return "a family that has an upper half";
	}
	return NULL;
}

static scmp_filter_ctx filter_of(const struct kg_value *profile, bool both)
{
	const struct kg_value *rules = kg_get(profile, "syscalls");
	scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ERRNO(EPERM));

	assert_non_null(filter);
	if (both)
		assert_int_equal(seccomp_arch_add(filter, SCMP_ARCH_X86), 0);
	for (uint32_t i = 0; i < kg_len(rules); i++)
		assert_int_equal(add_rule(filter, &rules->items[i]), 0);
	return filter;
}

#if defined(__x86_64__)
/* socket() of a 32-bit program, with arguments that are nowhere; a child's status. */
static int call_as_32_bits(scmp_filter_ctx filter)
{
	int status;
	pid_t child = fork();

	if (child == 0) {
		long rc = 102; /* socketcall */

		if (filter && seccomp_load(filter) < 0)
			_exit(255);
		__asm__ volatile("int $0x80" : "+a"(rc) : "b"(1L), "c"(0L) : "memory");
		_exit(rc < 0 ? (int)-rc : 0);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	return status;
}

/* No filter can tell the families of socketcall apart: it is open where an image has 32-bit
 * programs, and not to be had where it has none. */
static void test_seccomp_socketcall(void **state)
{
	struct kg_arena a KG_CLEANUP(kg_arena_release) = KG_ARENA_INIT;

	(void)state;
	int status = call_as_32_bits(NULL);
	if (!WIFEXITED(status))
		skip(); /* this kernel has no 32-bit programs */
	assert_int_equal(WEXITSTATUS(status), EFAULT);
	for (int native = 0; native < 2; native++) {
		struct kg_value v = kg_seccomp_default(&a, NULL, 0, native);
		scmp_filter_ctx filter = filter_of(&v, !native);

		status = call_as_32_bits(filter);
		if (native)
			assert_int_equal(WIFSIGNALED(status) ? WTERMSIG(status) : 0, SIGSYS);
		else
			assert_int_equal(WIFEXITED(status) ? WEXITSTATUS(status) : -1, EFAULT);
		seccomp_release(filter);
	}
}
#endif

static void test_seccomp_sockets(void **state)
{
	struct kg_arena a KG_CLEANUP(kg_arena_release) = KG_ARENA_INIT;
	struct kg_value v = kg_seccomp_default(&a, NULL, 0, true);
	scmp_filter_ctx filter = filter_of(&v, false);
	int status;

	(void)state;
	pid_t child = fork();
	if (child == 0) {
		const char *what = seccomp_load(filter) < 0 ? "the filter" : wrong_families();

		if (what)
			fprintf(stderr, "not as it should be: %s\n", what);
		_exit(what ? 1 : 0);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
	seccomp_release(filter);
}

static void test_cgroup_numbers(void **state)
{
	(void)state;
	assert_int_equal(kg_cgroup_shares(0), 2);
	assert_int_equal(kg_cgroup_shares(1000), 1024);
	assert_int_equal(kg_cgroup_shares(250), 256);
	assert_int_equal(kg_cgroup_quota(500), 50000);
	assert_int_equal(kg_cgroup_quota(1), 1000);
	assert_int_equal(kg_cgroup_weight(2), 1);
	assert_int_equal(kg_cgroup_weight(1024), 39);
	assert_int_equal(kg_cgroup_weight(262144), 10000);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_goldens),
		cmocka_unit_test(test_unbound_claim),
		cmocka_unit_test(test_expansion),
		cmocka_unit_test(test_subpaths),
		cmocka_unit_test(test_capabilities),
		cmocka_unit_test(test_seccomp),
		cmocka_unit_test(test_seccomp_machines),
		cmocka_unit_test(test_seccomp_sockets),
#if defined(__x86_64__)
		cmocka_unit_test(test_seccomp_socketcall),
#endif
		cmocka_unit_test(test_cgroup_numbers),
	};
	update = argc > 1 && !strcmp(argv[1], "--update");
	return cmocka_run_group_tests(tests, NULL, NULL);
}
