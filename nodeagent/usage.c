/*
 * What is used of the node and by its containers, as `kubectl top` shows it: CPU on average between
 * two looks, memory at the second. The numbers are those that kubelet would give: control groups
 * for the containers, the machine's own for the node.
 */
#include "base/metrics.h"
#include "nodeagent/cgroup.h"
#include "nodeagent/pods_private.h"
#include "sys/file.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* One look. */
struct kg_usage {
	int64_t at_ns; /* monotonic */
	int64_t cpu_ns;
	struct kg_map containers; /* id -> int64_t *, nanoseconds */
};

void kg_usage_free(struct kg_usage *u)
{
	struct kg_map_entry *e;

	if (!u)
		return;
	for (size_t i = 0; (e = kg_map_next(&u->containers, &i));)
		free(e->value);
	kg_map_release(&u->containers);
	free(u);
}

/* ---- the machine ---- */

/* All that its CPUs did, but for waiting. */
static int64_t machine_cpu_ns(void)
{
	KG_AUTOBUF struct kg_buf b = KG_BUF_INIT;
	unsigned long long t[8] = {0};

	if (kg_file_read(&b, "/proc/stat", 1 << 20, NULL) < 0)
		return 0;
	/* user, nice, system, idle, iowait, irq, softirq, steal */
	sscanf(kg_buf_str(&b), "cpu %llu %llu %llu %llu %llu %llu %llu %llu", &t[0], &t[1], &t[2],
		&t[3], &t[4], &t[5], &t[6], &t[7]);
	return (int64_t)((t[0] + t[1] + t[2] + t[5] + t[6]) *
			 (1000000000ULL / (unsigned long long)sysconf(_SC_CLK_TCK)));
}

static int64_t meminfo(const char *text, const char *name)
{
	const char *line = strstr(text, name);
	long long kb = 0;

	if (line)
		sscanf(line + strlen(name), " %lld", &kb);
	return kb * 1024;
}

/* All but what is free, and what could be dropped at once. */
static int64_t machine_memory(void)
{
	KG_AUTOBUF struct kg_buf b = KG_BUF_INIT;

	if (kg_file_read(&b, "/proc/meminfo", 1 << 20, NULL) < 0)
		return 0;
	const char *text = kg_buf_str(&b);

	return meminfo(text, "MemTotal:") - meminfo(text, "MemFree:") -
	       meminfo(text, "Inactive(file):");
}

/* ---- one look after another ---- */

/* What a second of nanoseconds is of so many. */
static int64_t rate(int64_t used_ns, int64_t of_ns)
{
	return used_ns <= 0 ? 0 : (int64_t)((double)used_ns * 1e9 / (double)of_ns);
}

struct look {
	struct kg_arena *a;
	const struct kg_usage *last; /* NULL: this is the first */
	struct kg_usage *now;
};

/* false: it was not there the last time, or is no more. */
static bool container(
	struct look *l, const struct kg_cgroups *groups, const struct live *c, struct kg_value *out)
{
	struct kg_cgroup_usage u;

	if (!c->c.id || !kg_cgroup_usage(groups, c->cgroup, &u))
		return false;
	const int64_t *before = l->last ? kg_map_get(&l->last->containers, c->c.id) : NULL;
	int64_t *cpu = kg_alloc(sizeof(*cpu));

	*cpu = u.cpu_ns;
	free(kg_map_put(&l->now->containers, c->c.id, cpu));
	if (!before)
		return false;
	*out = kg_v_obj(l->a, "name", kg_v_str(l->a, c->pod->st.c[c->index].name), "cpu",
		kg_v_int(rate(u.cpu_ns - *before, l->now->at_ns - l->last->at_ns)), "memory",
		kg_v_int(u.memory_bytes), (char *)NULL);
	return true;
}

/* false: nothing is known of it. */
static bool pod(struct look *l, const struct pod *p, struct kg_value *out)
{
	const struct kg_cgroups *groups = &p->pods->env.cgroups;
	struct kg_value *items = kg_arena_alloc(l->a, (p->st.nc + 1) * sizeof(*items));
	size_t n = 0;

	for (size_t i = 0; i < p->st.nc; i++)
		n += container(l, groups, &p->live[i], &items[n]);
	if (n)
		*out = kg_v_obj(l->a, "namespace", kg_v_str(l->a, p->st.ns), "name",
			kg_v_str(l->a, p->st.name), "uid", kg_v_str(l->a, p->st.uid), "containers",
			kg_v_array(l->a, items, n), (char *)NULL);
	return n > 0;
}

struct kg_value kg_pods_usage(struct kg_pods *pods, struct kg_arena *a)
{
	struct look l = {.a = a, .last = pods->usage, .now = kg_alloc(sizeof(*l.now))};
	struct kg_value *items = kg_arena_alloc(a, (pods->pods.count + 1) * sizeof(*items));
	struct kg_value out = kg_v_null();
	struct kg_map_entry *e;
	size_t n = 0;

	l.now->at_ns = kg_monotonic_ns();
	l.now->cpu_ns = machine_cpu_ns();
	for (size_t i = 0; (e = kg_map_next(&pods->pods, &i));)
		n += pod(&l, e->value, &items[n]);
	if (l.last && l.now->at_ns > l.last->at_ns) {
		int64_t window = l.now->at_ns - l.last->at_ns;

		out = kg_v_obj(a, "windowMs", kg_v_int(window / 1000000), "cpu",
			kg_v_int(rate(l.now->cpu_ns - l.last->cpu_ns, window)), "memory",
			kg_v_int(machine_memory()), "pods", kg_v_array(a, items, n), (char *)NULL);
	}
	kg_usage_free(pods->usage);
	pods->usage = l.now;
	return out;
}
