/*
 * GET /metrics: Prometheus' text. What Kubernetes' API server counts has its names here, so that
 * dashboards made for it work; what is kgit's own begins with kgit_.
 */
#include "api/metrics.h"

#include "api/internal.h"
#include "api/reply.h"
#include "api/request.h"

#include <ctype.h>
#include <dirent.h>
#include <stdio.h>
#include <sys/resource.h>
#include <unistd.h>

static const char *const verbs[METRIC_VERBS] = {
	"GET", "LIST", "WATCH", "POST", "PUT", "PATCH", "DELETE", "DELETECOLLECTION", "other"};
static const char *const names[METRIC_VERBS] = {
	"get", "list", "watch", "create", "update", "patch", "delete", "deletecollection", ""};
static const int codes[METRIC_CODES] = {101, 200, 201, 202, 304, 400, 401, 403, 404, 405, 406, 409,
	410, 413, 415, 422, 429, 500, 501, 503, 504,
	0 /* any other, or none: the peer went away */};

static struct request_series *series_of(struct kg_api *api, size_t verb, size_t kind)
{
	_Atomic(struct request_series *) *at = &api->metrics.series[verb][kind];
	struct request_series *s = atomic_load(at), *none = NULL;

	if (s)
		return s;
	s = kg_alloc(sizeof(*s));
	if (atomic_compare_exchange_strong(at, &none, s))
		return s;
	free(s);
	return none;
}

void kg_api_metrics_request(const struct request *r)
{
	int code = kg_http_status(r->http);
	size_t verb = 0, i = 0;

	while (r->verb && verb < METRIC_VERBS - 1 && strcmp(names[verb], r->verb) != 0)
		verb++;
	while (i < METRIC_CODES - 1 && codes[i] != code)
		i++;
	struct request_series *s = series_of(r->api, verb, r->kind ? r->kind->id : KG_KIND_COUNT);

	atomic_fetch_add_explicit(&s->codes[i], 1, memory_order_relaxed);
	if (!r->watch)
		kg_histogram_observe(&s->duration, kg_monotonic_ns() - r->began_ns);
}

void kg_api_metrics_release(struct kg_api *api)
{
	for (size_t v = 0; v < METRIC_VERBS; v++)
		for (size_t k = 0; k <= KG_KIND_COUNT; k++)
			free(atomic_load(&api->metrics.series[v][k]));
}

/* ---- the text ---- */

static void labels_of(char out[256], size_t verb, size_t kind, const char *more)
{
	const struct kg_kind *k = kind < KG_KIND_COUNT ? &kg_kinds[kind] : NULL;

	snprintf(out, 256, "verb=\"%s\",group=\"%s\",version=\"%s\",resource=\"%s\"%s", verbs[verb],
		k ? k->group : "", k ? k->version : "", k ? k->plural : "", more);
}

static void write_requests(struct kg_buf *out, struct kg_api *api, bool durations)
{
	char labels[256], more[32];

	for (size_t v = 0; v < METRIC_VERBS; v++) {
		for (size_t k = 0; k <= KG_KIND_COUNT; k++) {
			const struct request_series *s = atomic_load(&api->metrics.series[v][k]);

			if (!s)
				continue;
			if (durations) {
				labels_of(labels, v, k, "");
				if (kg_histogram_count(&s->duration))
					kg_metric_histogram(out,
						"apiserver_request_duration_seconds", labels,
						&s->duration);
				continue;
			}
			for (size_t c = 0; c < METRIC_CODES; c++) {
				uint64_t n = atomic_load(&s->codes[c]);

				snprintf(more, sizeof(more), ",code=\"%d\"", codes[c]);
				labels_of(labels, v, k, more);
				if (n)
					kg_metric_count(out, "apiserver_request_total", labels, n);
			}
		}
	}
}

static void write_watchers(struct kg_buf *out, struct kg_api *api)
{
	char labels[256];
	size_t n[KG_KIND_COUNT];

	pthread_mutex_lock(&api->watch_lock);
	for (size_t k = 0; k < KG_KIND_COUNT; k++)
		n[k] = api->watchers[k].len;
	pthread_mutex_unlock(&api->watch_lock);
	kg_metric_head(out, "apiserver_longrunning_requests", "gauge", "Watches that are open.");
	for (size_t k = 0; k < KG_KIND_COUNT; k++) {
		labels_of(labels, 2, k, "");
		if (n[k])
			kg_metric_count(out, "apiserver_longrunning_requests", labels, n[k]);
	}
}

static void write_api(struct kg_buf *out, struct kg_api *api)
{
	struct kg_api_stats s;

	kg_api_stats(api, &s);
	kg_metric_head(out, "apiserver_request_total", "counter", "Requests that were answered.");
	write_requests(out, api, false);
	kg_metric_head(out, "apiserver_request_duration_seconds", "histogram",
		"From a request's header to its end; watches left out.");
	write_requests(out, api, true);
	write_watchers(out, api);
	kg_metric_one(out, "apiserver_watch_events_total", "counter", "Watch events sent.",
		(double)s.events_sent);
	kg_metric_one(out, "kgit_api_encodings_total", "counter",
		"Objects made into JSON that was not kept from before.", (double)s.encoded);
	kg_metric_one(out, "kgit_api_long_lists", "gauge", "Long lists that are being sent.",
		(double)s.lists);
	kg_metric_one(out, "kgit_api_long_lists_max", "gauge", "More than so many are refused.",
		(double)api->opt.max_lists);
	kg_metric_one(out, "kgit_api_long_lists_refused_total", "counter", "Refused for that.",
		(double)s.lists_refused);
	kg_metric_one(out, "kgit_api_long_lists_broken_total", "counter",
		"Long lists broken off because their reader was too slow.", (double)s.lists_broken);
	kg_metric_one(out, "kgit_api_watches_max", "gauge", "More than so many are refused.",
		(double)api->opt.max_watches);
	kg_metric_one(out, "kgit_api_watches_refused_total", "counter", "Refused for that.",
		(double)s.watches_refused);
	kg_metric_one(out, "kgit_api_cached_bytes", "gauge", "JSON of objects that is kept.",
		(double)s.cached);
	kg_metric_one(out, "kgit_api_waiting_requests", "gauge",
		"Requests that wait for a revision ahead of now.", (double)s.waiting);
	kg_metric_one(out, "kgit_api_watches_behind_total", "counter",
		"Watches that fell behind memory and read on from the history on disk.",
		(double)s.behind);
	kg_metric_one(out, "kgit_api_watches_expired_total", "counter",
		"Watches that fell behind the history and were told to list again.",
		(double)s.expired);
	kg_metric_one(out, "kgit_revision", "gauge", "The newest published revision.",
		(double)kg_hub_revision(api->opt.hub));
}

/* Numbers of /proc/self/stat from the fourth field on. */
static bool read_stat(unsigned long long *start, unsigned long long *vsize)
{
	char text[1024];
	FILE *f = fopen("/proc/self/stat", "re");
	size_t n = f ? fread(text, 1, sizeof(text) - 1, f) : 0;

	if (f)
		fclose(f);
	text[n] = '\0';
	const char *p = strrchr(text, ')');
	return p && sscanf(p + 2,
			    "%*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d "
			    "%*d %*d %llu %llu",
			    start, vsize) == 2;
}

static size_t count_fds(void)
{
	DIR *d = opendir("/proc/self/fd");
	size_t n = 0;

	for (struct dirent *e; d && (e = readdir(d));)
		n += isdigit((unsigned char)e->d_name[0]) != 0;
	if (!d)
		return 0;
	closedir(d);
	return n - 1; /* its own */
}

static double resident_bytes(void)
{
	unsigned long long pages = 0;
	FILE *f = fopen("/proc/self/statm", "re");

	if (!f)
		return 0;
	if (fscanf(f, "%*u %llu", &pages) != 1)
		pages = 0;
	fclose(f);
	return (double)pages * (double)sysconf(_SC_PAGESIZE);
}

static double boot_time(void)
{
	struct timespec real, boot;

	clock_gettime(CLOCK_REALTIME, &real);
	clock_gettime(CLOCK_BOOTTIME, &boot);
	return (double)(real.tv_sec - boot.tv_sec) + (double)(real.tv_nsec - boot.tv_nsec) / 1e9;
}

static void write_process(struct kg_buf *out)
{
	unsigned long long start, vsize;
	struct rusage u;
	struct rlimit fds;

	getrusage(RUSAGE_SELF, &u);
	kg_metric_one(out, "process_cpu_seconds_total", "counter", "CPU time, user and system.",
		(double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) +
			(double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6);
	kg_metric_one(out, "process_resident_memory_bytes", "gauge", "Memory that is resident.",
		resident_bytes());
	if (read_stat(&start, &vsize)) {
		kg_metric_one(out, "process_virtual_memory_bytes", "gauge", "Address space.",
			(double)vsize);
		kg_metric_one(out, "process_start_time_seconds", "gauge",
			"When it started, since the epoch.",
			boot_time() + (double)start / (double)sysconf(_SC_CLK_TCK));
	}
	kg_metric_one(out, "process_open_fds", "gauge", "Descriptors that are open.",
		(double)count_fds());
	if (!getrlimit(RLIMIT_NOFILE, &fds))
		kg_metric_one(out, "process_max_fds", "gauge", "Descriptors that may be.",
			(double)fds.rlim_cur);
}

void kg_api_handle_metrics(struct request *r)
{
	struct kg_buf out = KG_BUF_INIT;

	kg_metric_head(&out, "kgit_build_info", "gauge", "The version that runs.");
	kg_metric_count(&out, "kgit_build_info", "version=\"" KGIT_VERSION "\"", 1);
	write_api(&out, r->api);
	if (r->api->opt.metrics)
		r->api->opt.metrics(r->api->opt.ctx, &out);
	write_process(&out);
	kg_api_gzip_body(r, &out, 1400); /* it is asked for often, from elsewhere */
	kg_http_reply(r->http, 200, "text/plain; version=0.0.4; charset=utf-8", &out);
}
