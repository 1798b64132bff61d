/*
 * http_bench [connections] [seconds] [streams]: how many TLS requests a second kgit's HTTP server
 * answers (GET of 1 KB, kept-alive connections, client and server in one process on loopback),
 * what a handshake costs, what a sleeping stream costs in memory, and that a server at rest uses
 * no processor time.
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

static void bench_requests(unsigned connections, unsigned seconds)
{
	pthread_t *threads = kg_alloc(connections * sizeof(*threads));
	double before = now_s(), cpu = cpu_s();

	for (unsigned i = 0; i < connections; i++)
		pthread_create(&threads[i], NULL, load, NULL);
	sleep(seconds);
	atomic_store(&stop, true);
	for (unsigned i = 0; i < connections; i++)
		pthread_join(threads[i], NULL);
	double took = now_s() - before;
	printf("requests: %.0f/s over %u connections (%.0f us of CPU each, client included)\n",
		(double)served / took, connections, (cpu_s() - cpu) * 1e6 / (double)served);
	free(threads);
}

static void bench_handshakes(void)
{
	struct kg_buf reply KG_AUTOBUF = KG_BUF_INIT;
	struct kg_error err;
	double before = now_s();

	for (int i = 0; i < 200; i++) {
		struct kg_http_client *c = kg_http_client_new(
			&(struct kg_http_client_options){.url = url, .ca_pem = ca});
		if (kg_http_call(c, "GET", "/x", NULL, NULL, 0, &reply, &err))
			fatal("GET", &err);
		kg_http_client_free(c);
	}
	printf("new connections: %.2f ms each, client included\n", (now_s() - before) * 1000 / 200);
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

/* The clients are a child, so that memory and time are the server's alone. */
static void bench_streams(unsigned streams)
{
	int fds[2];
	char c;
	long before = resident_kb();

	if (pipe(fds))
		exit(1);
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
	printf("streams: %u asleep, %.1f KB each\n", streams,
		(double)(resident_kb() - before) / streams);
	double cpu = cpu_s();
	sleep(5);
	printf("at rest: %.1f ms of CPU in 5 s\n", (cpu_s() - cpu) * 1000);
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
	printf("resident: %ld KB\n", resident_kb());
	bench_streams(argc > 3 ? (unsigned)atoi(argv[3]) : 500);
	bench_handshakes();
	bench_requests(
		argc > 1 ? (unsigned)atoi(argv[1]) : 32, argc > 2 ? (unsigned)atoi(argv[2]) : 5);
	printf("resident: %ld KB\n", resident_kb());
	kg_http_server_free(s);
	free(ca);
	free(ca_key);
	free(cert);
	free(key);
	return 0;
}
