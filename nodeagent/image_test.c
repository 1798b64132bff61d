/* The image store: references, imports, a registry. Root (owners of files), skopeo, busybox. */
#include "nodeagent/image.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
/* cmocka wants those first */
#include <cmocka.h>

#include "nodeagent/user.h"
#include "sys/file.h"
#include "sys/spawn.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static char base[64], layout[96], archive[96];

static void run(const char *const *argv)
{
	struct kg_error err;
	struct kg_run r = {.spawn = KG_SPAWN_INIT};
	r.spawn.argv = argv;
	if (kg_run(&r, NULL, &err) < 0)
		fail_msg("%s", err.msg);
}

static int set_up(void **state)
{
	(void)state;
	snprintf(base, sizeof(base), "/tmp/kgit-image-test-XXXXXX");
	assert_non_null(mkdtemp(base));
	snprintf(layout, sizeof(layout), "%s/layout", base);
	snprintf(archive, sizeof(archive), "%s/image.tar", base);
	run((const char *const[]){KGIT_SOURCE_DIR "/testdata/make-busybox-image", layout, NULL});
	run((const char *const[]){KGIT_SOURCE_DIR "/testdata/make-busybox-image", archive, NULL});
	return 0;
}

static int tear_down(void **state)
{
	struct kg_error err;
	(void)state;
	return kg_remove_tree(base, &err);
}

static void test_references(void **state)
{
	static const struct {
		const char *in, *out; /* NULL: refused */
		bool loopback;
	} cases[] = {
		{"busybox", "docker.io/library/busybox:latest", false},
		{"a/b:1", "docker.io/a/b:1", false},
		{"docker.io/busybox", "docker.io/library/busybox:latest", false},
		{"kgit.local/busybox:1", "kgit.local/busybox:1", false},
		{"localhost:5000/a", "localhost:5000/a:latest", true},
		{"localhost/a:2", "localhost/a:2", true},
		{"127.0.0.1:5000/a:2", "127.0.0.1:5000/a:2", true},
		{"127.9.0.1/a:2", "127.9.0.1/a:2", true},
		{"127.evil.example/a:2", "127.evil.example/a:2", false},
		{"localhost.example/a:2", "localhost.example/a:2", false},
		{"[::1]:5000/a:2", "[::1]:5000/a:2", true},
		{"10.0.0.1:5000/a", "10.0.0.1:5000/a:latest", false},
		{"", NULL, false},
		{"A/b", NULL, false},
		{"-v", NULL, false},
		{"a b", NULL, false},
		{"a/../b", NULL, false},
		{"a:", NULL, false},
		{"/etc", NULL, false},
	};
	(void)state;
	for (size_t i = 0; i < KG_ARRAY_LEN(cases); i++) {
		struct kg_error err;
		KG_AUTOFREE char *got = kg_image_normalize(cases[i].in, &err);
		if (!cases[i].out) {
			assert_null(got);
			continue;
		}
		assert_non_null(got);
		assert_string_equal(got, cases[i].out);
		assert_int_equal(kg_image_is_loopback(got), cases[i].loopback);
	}
	assert_string_equal(kg_image_default_policy("a"), "Always");
	assert_string_equal(kg_image_default_policy("a:latest"), "Always");
	assert_string_equal(kg_image_default_policy("h:5000/a"), "Always");
	assert_string_equal(kg_image_default_policy("a:1"), "IfNotPresent");
}

static void check_image(struct kg_images *im, const char *ref)
{
	struct kg_image *image = kg_images_get(im, ref);
	struct stat st;
	char path[300];
	assert_non_null(image);
	assert_int_equal(image->nlayers, 1);
	snprintf(path, sizeof(path), "%s/bin/sh", image->dirs[0]);
	assert_int_equal(lstat(path, &st), 0);
	assert_true(S_ISLNK(st.st_mode));
	assert_string_equal(kg_string(kg_at(&image->config, "Cmd.0"), ""), "sh");
	struct kg_user u;
	struct kg_error err;
	assert_int_equal(kg_user_lookup(&u, image, "www", &err), 0);
	assert_int_equal(u.uid, 33);
	assert_int_equal(u.ngroups, 1);
	assert_int_equal(u.groups[0], 100);
	assert_string_equal(u.home, "/var/www");
	assert_int_equal(kg_user_lookup(&u, image, "1234:shared", &err), 0);
	assert_int_equal(u.uid, 1234);
	assert_int_equal(u.gid, 100);
	assert_int_equal(kg_user_lookup(&u, image, "nosuch", &err), -KG_E_INVALID);
	kg_image_unref(image);
}

static void test_imports(void **state)
{
	struct kg_loop *loop = kg_loop_new();
	struct kg_images *im;
	struct kg_error err;
	(void)state;
	assert_int_equal(kg_images_new(&im, base, loop, &err), 0);
	assert_null(kg_images_get(im, "kgit.local/busybox:1"));
	/* As another process does: the store that is open sees it. */
	if (kg_image_import(base, layout, NULL, &err) < 0)
		fail_msg("%s", err.msg);
	check_image(im, "kgit.local/busybox:1");
	if (kg_image_import(base, archive, NULL, &err) < 0)
		fail_msg("%s", err.msg);
	if (kg_image_import(base, archive, "kgit.local/other:2", &err) < 0)
		fail_msg("%s", err.msg);
	check_image(im, "kgit.local/other:2");
	check_image(im, "kgit.local/busybox:1");
	assert_true(kg_image_import(base, "/no/such", "a:1", &err) < 0);
	kg_images_free(im);
	kg_loop_free(loop);
}

/* A registry on loopback, pulled from over plain HTTP. */

static int free_port(void)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t n = sizeof(a);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(fd, (void *)&a, sizeof(a)), 0);
	getsockname(fd, (void *)&a, &n);
	close(fd);
	return ntohs(a.sin_port);
}

static pid_t start_registry(int port)
{
	char config[128], text[512];
	struct kg_error err;
	pid_t pid;
	snprintf(config, sizeof(config), "%s/registry.yml", base);
	int n = snprintf(text, sizeof(text),
		"version: 0.1\nlog: {level: error}\nstorage: {filesystem: {rootdirectory: "
		"%s/registry}}\nhttp: {addr: 127.0.0.1:%d}\n",
		base, port);
	assert_int_equal(kg_file_replace(config, text, (size_t)n, 0600, &err), 0);
	const char *argv[] = {"docker-registry", "serve", config, NULL};
	struct kg_spawn s = KG_SPAWN_INIT;
	int null = open("/dev/null", O_WRONLY | O_CLOEXEC);
	s.argv = argv;
	s.err = null;
	assert_int_equal(kg_spawn(&pid, &s, &err), 0);
	close(null);
	struct sockaddr_in a = {.sin_family = AF_INET,
		.sin_port = htons((uint16_t)port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	for (int tries = 0; tries < 500; tries++) {
		int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
		int rc = connect(fd, (void *)&a, sizeof(a));
		close(fd);
		if (rc == 0)
			return pid;
		usleep(10000);
	}
	fail_msg("the registry does not listen");
	return -1;
}

struct pulls {
	struct kg_loop *loop;
	int left, failed;
	char msg[300];
};

static void pulled(void *ctx, const char *ref, const struct kg_error *err)
{
	struct pulls *p = ctx;
	(void)ref;
	p->failed += err != NULL;
	if (err)
		snprintf(p->msg, sizeof(p->msg), "%.299s", err->msg);
	if (--p->left == 0)
		kg_loop_stop(p->loop, 0);
}

static void test_registry(void **state)
{
	char ref[96], dest[128], source[128];
	struct kg_loop *loop = kg_loop_new();
	struct kg_images *im;
	struct kg_error err;
	struct pulls p = {.loop = loop, .left = 6};
	(void)state;
	if (access("/usr/bin/docker-registry", X_OK) < 0) {
		kg_loop_free(loop);
		skip();
	}
	int port = free_port();
	pid_t pid = start_registry(port);
	snprintf(ref, sizeof(ref), "127.0.0.1:%d/t/busybox:1", port);
	snprintf(dest, sizeof(dest), "docker://%s", ref);
	snprintf(source, sizeof(source), "oci:%s", layout);
	run((const char *const[]){"skopeo", "--insecure-policy", "copy", "-q",
		"--dest-tls-verify=false", source, dest, NULL});
	assert_int_equal(kg_images_new(&im, base, loop, &err), 0);
	for (int i = 0; i < 5; i++)
		kg_images_pull(im, ref, false, NULL, pulled, &p);
	kg_images_pull(im, ref, true, NULL, pulled, &p);
	kg_loop_run(loop);
	if (p.failed)
		fail_msg("%s", p.msg);
	check_image(im, ref);
	/* Present: asked for again it comes from here, even with the registry away. */
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	p.left = 1;
	kg_images_pull(im, ref, false, NULL, pulled, &p);
	kg_loop_run(loop);
	assert_int_equal(p.failed, 0);
	p.left = 1;
	kg_images_pull(im, ref, true, NULL, pulled, &p);
	kg_loop_run(loop);
	assert_int_equal(p.failed, 1);
	kg_images_free(im);
	kg_loop_free(loop);
}

/* An image whose /proc is a link is not run. */
static void test_odd_root(void **state)
{
	struct kg_loop *loop = kg_loop_new();
	struct kg_images *im;
	struct kg_error err;
	char path[300];
	(void)state;
	assert_int_equal(kg_image_import(base, layout, "kgit.local/odd:1", &err), 0);
	assert_int_equal(kg_images_new(&im, base, loop, &err), 0);
	struct kg_image *image = kg_images_get(im, "kgit.local/odd:1");
	assert_non_null(image);
	snprintf(path, sizeof(path), "%s/proc", image->dirs[0]);
	kg_image_unref(image);
	kg_images_free(im);
	assert_int_equal(rmdir(path), 0);
	assert_int_equal(symlink("/tmp", path), 0);
	assert_int_equal(kg_image_import(base, layout, "kgit.local/odd:2", &err), -KG_E_FORBIDDEN);
	assert_int_equal(kg_images_new(&im, base, loop, &err), 0);
	assert_null(kg_images_get(im, "kgit.local/odd:1"));
	kg_images_free(im);
	kg_loop_free(loop);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_references),
		cmocka_unit_test_setup_teardown(test_imports, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_registry, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_odd_root, set_up, tear_down),
	};
	if (geteuid() != 0 || access("/bin/busybox", X_OK) < 0 ||
		access("/usr/bin/skopeo", X_OK) < 0) {
		fprintf(stderr, "skipped: needs root, skopeo, busybox-static\n");
		return 77;
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
