/*
 * http_bench [connections] [seconds] [streams]: how many TLS requests a second kgit's HTTP server
 * answers (GET of 1 KB, kept-alive connections, on loopback, clients in a child process),
 * what a handshake costs, what a sleeping stream costs in memory, and that a server at rest uses
 * no processor time. Prints NAME VALUE UNIT lines.
 */
#include "base/mem.h"
#include "http/client.h"
#include "http/server.h"
#include "pki/pki.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static char *ca, *ca_key, *cert, *key;
static char url[64];
static atomic_ulong served;
static atomic_bool stop;

static double now_s(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static double cpu_s(void)
{
	struct rusage u;

	getrusage(RUSAGE_SELF, &u);
	return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) +
	       (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6;
}

static long resident_kb(void)
{
	FILE *f = fopen("/proc/self/statm", "re");
	long size = 0, resident = 0;

	if (!f || fscanf(f, "%ld %ld", &size, &resident) != 2)
		resident = 0;
	if (f)
		fclose(f);
	return resident * (sysconf(_SC_PAGESIZE) / 1024);
}

static void fatal(const char *what, const struct kg_error *err)
{
	fprintf(stderr, "%s: %s\n", what, err->msg);
	exit(1);
}

static void handle(struct kg_http_req *req, void *ctx)
{
	struct kg_buf b = KG_BUF_INIT;

	(void)ctx;
	kg_buf_reserve(&b, 1024);
	while (b.len < 1024)
		kg_buf_addc(&b, 'x');
	kg_http_reply(req, 200, "application/json", &b);
}

static ssize_t sleep_on(struct kg_http_req *req, char *buf, size_t max, void *ctx)
{
	bool *said = kg_http_user(req);

	(void)max;
	(void)ctx;
	if (*said)
		return 0;
	*said = true;
	buf[0] = '\n';
	return 1;
}

static void stream(struct kg_http_req *req, void *ctx)
{
	(void)ctx;
	kg_http_set_user(req, kg_alloc(sizeof(bool)), free);
	kg_http_stream(req, 200, "application/json", sleep_on, NULL);
}

static bool router(struct kg_http_req *req, struct kg_http_route *route, void *ctx)
{
	(void)ctx;
	route->handle = strcmp(kg_http_path(req), "/stream") == 0 ? stream : handle;
	return true;
}

static void *load(void *arg)
{
	struct kg_http_client *c =
		kg_http_client_new(&(struct kg_http_client_options){.url = url, .ca_pem = ca});
	struct kg_buf reply KG_AUTOBUF = KG_BUF_INIT;
	struct kg_error err;

	(void)arg;
	while (!atomic_load(&stop)) {
		if (kg_http_call(c, "GET", "/x", NULL, NULL, 0, &reply, &err))
			fatal("GET", &err);
		atomic_fetch_add(&served, 1);
	}
	kg_http_client_free(c);
	return NULL;
}

/* Clients are a child process, so that memory and time are the server's alone. */
static unsigned long in_child(
	unsigned long (*run)(unsigned n, unsigned seconds), unsigned n, unsigned seconds)
{
	unsigned long result = 0;
	int fds[2];

	if (pipe(fds))
		exit(1);
	fflush(stdout);
	pid_t child = fork();
	if (child == 0) {
		result = run(n, seconds);
		_exit(write(fds[1], &result, sizeof(result)) != sizeof(result));
	}
	if (read(fds[0], &result, sizeof(result)) != sizeof(result))
		exit(1);
	waitpid(child, NULL, 0);
	close(fds[0]);
	close(fds[1]);
	return result;
}

static unsigned long run_requests(unsigned connections, unsigned seconds)
{
	pthread_t *threads = kg_alloc(connections * sizeof(*threads));

	for (unsigned i = 0; i < connections; i++)
		pthread_create(&threads[i], NULL, load, NULL);
	sleep(seconds);
	atomic_store(&stop, true);
	for (unsigned i = 0; i < connections; i++)
		pthread_join(threads[i], NULL);
	free(threads);
	return served;
}

static void bench_requests(unsigned connections, unsigned seconds)
{
	double before = now_s(), cpu = cpu_s();
	unsigned long n = in_child(run_requests, connections, seconds);

	printf("http_get_1k_%u_connections %.0f requests/s\n", connections,
		(double)n / (now_s() - before));
	printf("http_get_1k_server_cpu %.1f us\n", (cpu_s() - cpu) * 1e6 / (double)n);
}

static unsigned long run_handshakes(unsigned n, unsigned seconds)
{
	struct kg_buf reply KG_AUTOBUF = KG_BUF_INIT;
	struct kg_error err;

	(void)seconds;
	for (unsigned i = 0; i < n; i++) {
		struct kg_http_client *c = kg_http_client_new(
			&(struct kg_http_client_options){.url = url, .ca_pem = ca});
		if (kg_http_call(c, "GET", "/x", NULL, NULL, 0, &reply, &err))
			fatal("GET", &err);
		kg_http_client_free(c);
	}
	return n;
}

static void bench_handshakes(void)
{
	double before = now_s(), cpu = cpu_s();
	unsigned long n = in_child(run_handshakes, 300, 0);

	printf("http_new_connection %.2f ms\n", (now_s() - before) * 1000 / (double)n);
	printf("http_new_connection_server_cpu %.2f ms\n", (cpu_s() - cpu) * 1000 / (double)n);
}

static bool said(void *ctx, const char *p, size_t n)
{
	(void)p;
	(void)n;
	if (write(*(int *)ctx, "x", 1) != 1)
		return false;
	return true;
}

static void *hold(void *arg)
{
	struct kg_http_client *c =
		kg_http_client_new(&(struct kg_http_client_options){.url = url, .ca_pem = ca});
	struct kg_error err;

	if (kg_http_get_stream(c, "/stream", 0, said, arg, &err))
		fprintf(stderr, "stream: %s\n", err.msg);
	kg_http_client_free(c);
	return NULL;
}

static void bench_streams(unsigned streams)
{
	int fds[2];
	char c;
	long before = resident_kb();

	if (pipe(fds))
		exit(1);
	fflush(stdout);
	pid_t child = fork();
	if (child == 0) {
		pthread_attr_t attr;
		pthread_attr_init(&attr);
		pthread_attr_setstacksize(&attr, 128 * 1024);
		for (unsigned i = 0; i < streams; i++) {
			pthread_t t;
			pthread_create(&t, &attr, hold, &fds[1]);
		}
		pause();
		_exit(0);
	}
	for (unsigned i = 0; i < streams; i++)
		if (read(fds[0], &c, 1) != 1)
			exit(1);
	printf("http_asleep_stream_of_%u %.1f KB\n", streams,
		(double)(resident_kb() - before) / streams);
	double cpu = cpu_s();
	sleep(5);
	printf("http_rest_5s_cpu %.1f ms\n", (cpu_s() - cpu) * 1000);
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
}

int main(int argc, char **argv)
{
	static const char *const sans[] = {"127.0.0.1", NULL};
	const kg_time now = (kg_time)time(NULL) * 1000, day = 86400000;
	struct kg_pki_cert c = {.cn = "bench",
		.sans = sans,
		.server = true,
		.not_before = now - day,
		.not_after = now + day};
	struct kg_http_server *s = NULL;
	struct kg_error err;
	struct rlimit files;

	signal(SIGPIPE, SIG_IGN);
	getrlimit(RLIMIT_NOFILE, &files);
	files.rlim_cur = files.rlim_max;
	setrlimit(RLIMIT_NOFILE, &files);
	if (kg_pki_ca_new(&ca, &ca_key, "bench", now, &err) || kg_pki_key_new(&key, &err) ||
		kg_pki_issue(&cert, ca, ca_key, key, &c, &err))
		fatal("keys", &err);
	struct kg_http_server_options opts = {.listen = "127.0.0.1:0",
		.cert_pem = cert,
		.key_pem = key,
		.client_ca_pem = ca,
		.router = router};
	if (kg_http_server_new(&s, &opts, &err))
		fatal("server", &err);
	snprintf(url, sizeof(url), "https://127.0.0.1:%d", kg_http_server_port(s));
	printf("http_resident_at_start %ld KB\n", resident_kb());
	bench_streams(argc > 3 ? (unsigned)atoi(argv[3]) : 500);
	bench_handshakes();
	bench_requests(
		argc > 1 ? (unsigned)atoi(argv[1]) : 32, argc > 2 ? (unsigned)atoi(argv[2]) : 5);
	printf("http_resident_at_end %ld KB\n", resident_kb());
	kg_http_server_free(s);
	free(ca);
	free(ca_key);
	free(cert);
	free(key);
	return 0;
}
