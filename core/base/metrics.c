#include "base/metrics.h"

#include "base/mem.h"

#include <inttypes.h>
#include <time.h>

static const struct {
	int64_t ns;
	const char *le; /* in seconds */
} bounds[KG_HISTOGRAM_BUCKETS] = {
	{100000, "0.0001"},
	{250000, "0.00025"},
	{500000, "0.0005"},
	{1000000, "0.001"},
	{2500000, "0.0025"},
	{5000000, "0.005"},
	{10000000, "0.01"},
	{25000000, "0.025"},
	{50000000, "0.05"},
	{100000000, "0.1"},
	{250000000, "0.25"},
	{500000000, "0.5"},
	{1000000000, "1"},
	{2500000000, "2.5"},
	{5000000000, "5"},
	{10000000000, "10"},
	{30000000000, "30"},
	{60000000000, "60"},
};

int64_t kg_monotonic_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

void kg_histogram_observe(struct kg_histogram *h, int64_t ns)
{
	size_t i = 0;

	while (i < KG_ARRAY_LEN(bounds) && ns > bounds[i].ns)
		i++;
	atomic_fetch_add_explicit(&h->buckets[i], 1, memory_order_relaxed);
	atomic_fetch_add_explicit(&h->sum_ns, ns > 0 ? (uint64_t)ns : 0, memory_order_relaxed);
}

uint64_t kg_histogram_count(const struct kg_histogram *h)
{
	uint64_t n = 0;

	for (size_t i = 0; i <= KG_HISTOGRAM_BUCKETS; i++)
		n += atomic_load_explicit(&h->buckets[i], memory_order_relaxed);
	return n;
}

void kg_metric_head(struct kg_buf *out, const char *name, const char *type, const char *help)
{
	kg_buf_addf(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

static void add_name(struct kg_buf *out, const char *name, const char *labels)
{
	kg_buf_adds(out, name);
	if (*labels)
		kg_buf_addf(out, "{%s}", labels);
}

void kg_metric_count(struct kg_buf *out, const char *name, const char *labels, uint64_t value)
{
	add_name(out, name, labels);
	kg_buf_addf(out, " %" PRIu64 "\n", value);
}

static void number(struct kg_buf *out, const char *name, const char *labels, double value)
{
	add_name(out, name, labels);
	kg_buf_addf(out, " %.15g\n", value);
}

void kg_metric_histogram(
	struct kg_buf *out, const char *name, const char *labels, const struct kg_histogram *h)
{
	const char *comma = *labels ? "," : "";
	uint64_t n = 0;

	for (size_t i = 0; i <= KG_HISTOGRAM_BUCKETS; i++) {
		n += atomic_load_explicit(&h->buckets[i], memory_order_relaxed);
		kg_buf_addf(out, "%s_bucket{%s%sle=\"%s\"} %" PRIu64 "\n", name, labels, comma,
			i < KG_HISTOGRAM_BUCKETS ? bounds[i].le : "+Inf", n);
	}
	kg_buf_addf(out, "%s_sum", name);
	if (*labels)
		kg_buf_addf(out, "{%s}", labels);
	kg_buf_addf(out, " %.9f\n%s_count", (double)atomic_load(&h->sum_ns) / 1e9, name);
	if (*labels)
		kg_buf_addf(out, "{%s}", labels);
	kg_buf_addf(out, " %" PRIu64 "\n", n);
}

void kg_metric_one(
	struct kg_buf *out, const char *name, const char *type, const char *help, double value)
{
	kg_metric_head(out, name, type, help);
	number(out, name, "", value);
}
