/* Revisions as people name them: by number, or by when they were. */
#include "kgit/kgit.h"
#include "sys/loop.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

/* The entry of the newest revision that is not above `revision` (0: of all). */
static int newest_entry(struct kg_value *out, struct kg_arena *a, struct kg_http_client *http,
	uint64_t revision, struct kg_error *err)
{
	struct kg_value reply;
	char path[80];

	snprintf(
		path, sizeof(path), "/kgit/v1/log?limit=1&from=%llu", (unsigned long long)revision);
	int rc = kgit_call(&reply, a, http, "GET", path, NULL, err);
	if (rc < 0)
		return rc;
	*out = *kg_at(&reply, "entries.0");
	if (out->type != KG_OBJECT)
		return kg_fail(err, KG_E_NOT_FOUND, "there is no revision %llu",
			(unsigned long long)revision);
	return 0;
}

int kgit_log_entry_of(struct kg_value *out, struct kg_arena *a, struct kg_http_client *http,
	uint64_t revision, struct kg_error *err)
{
	int rc = newest_entry(out, a, http, revision, err);

	if (rc == 0 && kg_int(kg_get(out, "revision"), -1) != (int64_t)revision)
		return kg_fail(err, KG_E_NOT_FOUND, "there is no revision %llu yet",
			(unsigned long long)revision);
	return rc;
}

/* Number and time of the newest revision <= from (0: of all). */
static int entry_at(uint64_t *revision, kg_time *time, struct kg_http_client *http, uint64_t from,
	struct kg_error *err)
{
	struct kg_arena a KG_CLEANUP(kg_arena_release) = KG_ARENA_INIT;
	struct kg_value e;
	int rc = newest_entry(&e, &a, http, from, err);

	if (rc < 0)
		return rc;
	if (kg_time_parse(time, kg_string(kg_get(&e, "time"), "")) < 0)
		return kg_fail(err, KG_E_IO, "/kgit/v1/log: an entry without a time");
	*revision = (uint64_t)kg_int(kg_get(&e, "revision"), 0);
	return 0;
}

/* The newest revision that was made at or before a time (KG_E_NOT_FOUND: there is none). */
static int revision_at(
	uint64_t *out, struct kg_http_client *http, kg_time time, struct kg_error *err)
{
	uint64_t low = 0, high, revision, oldest = 0;
	kg_time at;
	int rc = entry_at(&high, &at, http, 0, err);

	if (rc < 0)
		return rc;
	if (at <= time) {
		*out = high;
		return 0;
	}
	/* Time never goes back from one revision to the next. */
	while (low < high) {
		uint64_t middle = low + (high - low) / 2;

		rc = entry_at(&revision, &at, http, middle ? middle : 1, err);
		if (rc == -KG_E_GONE) {
			low = oldest = middle + 1; /* not kept any more */
			continue;
		}
		if (rc < 0)
			return rc;
		if (at <= time)
			low = middle + 1;
		else
			high = middle;
	}
	if (oldest && low == oldest)
		return kg_fail(err, KG_E_GONE,
			"the state of that time is not kept any more: the oldest revision that is "
			"kept is %llu; how much is kept says retention in .kgit/settings.yaml",
			(unsigned long long)oldest);
	if (low == 0)
		return kg_fail(err, KG_E_NOT_FOUND,
			"the cluster has no revision that old: its first ones are what `kgit log` "
			"ends with");
	*out = low - 1;
	return 0;
}

bool kgit_time_parse(kg_time *out, const char *text)
{
	struct tm tm = {.tm_isdst = -1};
	const char *ago = strstr(text, " ago");
	int64_t ms;

	if (kg_time_parse(out, text) == 0)
		return true;
	if (ago && !ago[4]) {
		char *span KG_AUTOFREE = kg_strndup(text, (size_t)(ago - text));

		if (kg_duration_parse(&ms, span) < 0)
			return false;
		*out = kg_realtime_ms() - ms;
		return true;
	}
	const char *end = strptime(text, "%Y-%m-%d %H:%M:%S", &tm);
	if (!end || *end)
		return false;
	*out = (kg_time)mktime(&tm) * 1000;
	return true;
}

int kgit_revision_parse(
	uint64_t *out, struct kg_http_client *http, const char *text, struct kg_error *err)
{
	size_t digits = strspn(text, "0123456789");
	uint64_t newest;
	kg_time time;

	*out = strtoull(text, NULL, 10);
	if (digits && !text[digits] && *out > 0) {
		int rc = entry_at(&newest, &time, http, 0, err);

		if (rc == 0 && *out > newest)
			return kg_fail(err, KG_E_NOT_FOUND,
				"there is no revision %s yet: the newest is %llu", text,
				(unsigned long long)newest);
		return rc;
	}
	if (!kgit_time_parse(&time, text))
		return kg_fail(err, KG_E_BAD_REQUEST,
			"\"%s\" is neither a revision (42) nor a time (2026-11-26T05:04:03Z, "
			"\"2026-11-26 05:04:03\", \"10m ago\")",
			text);
	return revision_at(out, http, time, err);
}
