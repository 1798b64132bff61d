#include "nodeagent/hugepages.h"

#include "base/quantity.h"
#include "kinds/amount.h"
#include "sys/file.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DIR_OF_ALL "/sys/kernel/mm/hugepages"
#define MEDIUM     "HugePages"

/* ---- the machine's ---- */

static const char *scaled(int64_t *n, const char *const units[4])
{
	int i = 0;

	for (; i < 3 && *n && *n % 1024 == 0; i++)
		*n /= 1024;
	return units[i];
}

static int64_t read_count(const char *dir, const char *name)
{
	KG_AUTOFREE char *path = kg_asprintf("%s/%s/nr_hugepages", dir, name);
	KG_AUTOBUF struct kg_buf text = KG_BUF_INIT;

	if (kg_file_read(&text, path, 64, NULL) < 0)
		return 0;
	long long n = strtoll(kg_buf_str(&text), NULL, 10);
	return n < 0 ? 0 : n;
}

static void add_size(struct kg_hugepages *out, const char *dir, const char *name)
{
	static const char *const binary[] = {"", "Ki", "Mi", "Gi"};
	static const char *const group[] = {"B", "KB", "MB", "GB"};
	struct kg_hugepages_size *s = &out->sizes[out->n];
	long long kb = 0;

	if (out->n == KG_HUGEPAGES_SIZES || sscanf(name, "hugepages-%lldkB", &kb) != 1 || kb <= 0 ||
		kb > INT64_MAX >> 20)
		return;
	*s = (struct kg_hugepages_size){.page = kb * 1024};
	if (__builtin_mul_overflow(s->page, read_count(dir, name), &s->all))
		return;
	int64_t n = s->page;
	const char *unit = scaled(&n, binary);
	snprintf(s->resource, sizeof(s->resource), KG_HUGEPAGES "%lld%s", (long long)n, unit);
	n = s->page;
	unit = scaled(&n, group);
	snprintf(s->group, sizeof(s->group), "%lld%s", (long long)n, unit);
	out->n++;
}

static int by_page(const void *a, const void *b)
{
	const struct kg_hugepages_size *x = a, *y = b;

	return (x->page > y->page) - (x->page < y->page);
}

void kg_hugepages_read(struct kg_hugepages *out, const char *dir)
{
	*out = (struct kg_hugepages){0};
	if (!dir)
		dir = DIR_OF_ALL;
	DIR *d = opendir(dir);
	if (!d)
		return;
	for (struct dirent *e; (e = readdir(d));)
		add_size(out, dir, e->d_name);
	closedir(d);
	qsort(out->sizes, out->n, sizeof(out->sizes[0]), by_page);
}

int64_t kg_hugepages_all(const struct kg_hugepages *h)
{
	int64_t sum = 0;

	for (size_t i = 0; i < h->n; i++)
		sum = kg_amount_add(sum, h->sizes[i].all);
	return sum;
}

struct kg_value kg_hugepages_quantity(struct kg_arena *a, int64_t bytes)
{
	static const char *const binary[] = {"", "Ki", "Mi", "Gi"};
	const char *unit = scaled(&bytes, binary);

	return kg_v_strf(a, "%lld%s", (long long)bytes, unit);
}

/* ---- a medium ---- */

bool kg_hugepages_is_medium(const char *medium)
{
	static const size_t n = sizeof(MEDIUM) - 1;

	return !strncmp(medium, MEDIUM, n) && (!medium[n] || medium[n] == '-');
}

/* The pages that one of the containers asks for: by the medium's size, or the only one. */
struct search {
	int64_t page; /* wanted; 0: any */
	int64_t found;
	const char *resource;
	bool several;
};

static void look_at(struct search *s, const struct kg_value *list)
{
	for (uint32_t i = 0; i < kg_len(list); i++) {
		const char *name = list->members[i].key, *size = kg_hugepages_size(name);
		int64_t page;

		if (!size || kg_quantity_value(&page, size) < 0 || page <= 0 ||
			(s->page && page != s->page))
			continue;
		s->several |= s->found && s->found != page;
		s->found = page;
		s->resource = name;
	}
}

int kg_hugepages_of_medium(struct kg_hugepages_medium *out, const struct kg_value *pod,
	const char *medium, struct kg_error *err)
{
	const struct kg_value *spec = kg_get(pod, "spec");
	const char *size = strchr(medium, '-');
	struct search s = {0};

	if (size && (kg_quantity_value(&s.page, size + 1) < 0 || s.page <= 0))
		return kg_fail(err, KG_E_INVALID, "medium %s: that is no size of pages", medium);
	for (int l = 0; l < 2; l++) {
		const struct kg_value *cs = kg_get(spec, l ? "initContainers" : "containers");

		for (uint32_t i = 0; i < kg_len(cs); i++) {
			const struct kg_value *res = kg_get(&cs->items[i], "resources");

			look_at(&s, kg_get(res, "requests"));
			look_at(&s, kg_get(res, "limits"));
		}
	}
	if (!s.found)
		return kg_fail(err, KG_E_INVALID,
			"medium %s: no container of the pod requests such pages", medium);
	if (s.several)
		return kg_fail(err, KG_E_INVALID,
			"medium %s: the containers request pages of several sizes: name one, like "
			"HugePages-2Mi",
			medium);
	out->page = s.found;
	out->all = kg_amount_of_milli(kg_pod_request(spec, s.resource, 0));
	return 0;
}
