/* Columns of Job and CronJob. */
#include "kinds/columns.h"

/* ---- Job ---- */

static struct kg_value cell_job_status(struct kg_arena *a, const struct kg_object *obj, kg_time now)
{
	static const struct {
		const char *type, *text;
	} by_condition[] = {{"Complete", "Complete"}, {"Failed", "Failed"}, {NULL, "Terminating"},
		{"Suspended", "Suspended"}, {"FailureTarget", "FailureTarget"},
		{"SuccessCriteriaMet", "SuccessCriteriaMet"}};
	const struct kg_value *status = kg_get(kg_obj(obj), "status");

	(void)a, (void)now;
	for (size_t i = 0; i < KG_ARRAY_LEN(by_condition); i++) {
		const char *type = by_condition[i].type;
		if (type ? kg_condition_is_true(status, type) : kg_object_deleting(obj))
			return kg_v_lit(by_condition[i].text);
	}
	return kg_v_lit("Running");
}

static struct kg_value cell_completions(
	struct kg_arena *a, const struct kg_object *obj, kg_time now)
{
	long long done = kg_int(kg_at(kg_obj(obj), "status.succeeded"), 0);
	long long parallel = kg_int(kg_at(kg_obj(obj), "spec.parallelism"), 0);
	const struct kg_value *wanted = kg_at(kg_obj(obj), "spec.completions");

	(void)now;
	if (!kg_is_null(wanted))
		return kg_v_strf(a, "%lld/%lld", done, (long long)kg_int(wanted, 0));
	if (parallel > 1)
		return kg_v_strf(a, "%lld/1 of %lld", done, parallel);
	return kg_v_strf(a, "%lld/1", done);
}

static struct kg_value cell_duration(struct kg_arena *a, const struct kg_object *obj, kg_time now)
{
	const struct kg_value *start = kg_at(kg_obj(obj), "status.startTime");
	const struct kg_value *end = kg_at(kg_obj(obj), "status.completionTime");
	kg_time at = now;

	if (kg_is_null(start))
		return kg_v_lit("");
	if (!kg_is_null(end) && kg_time_parse(&at, kg_string(end, "")))
		at = now;
	return kg_cell_since(a, start, at);
}

const struct kg_column kg_columns_job[] = {
	KG_COLUMN_NAME,
	KG_COLUMN("Status", "string", 0, cell_job_status, "Status of the job."),
	KG_COLUMN("Completions", "string", 0, cell_completions,
		"How many of its pods have succeeded, of how many."),
	KG_COLUMN("Duration", "string", 0, cell_duration, "Time required to complete the job."),
	KG_COLUMN_AGE,
	KG_WORKLOAD_COLUMNS,
	{.name = NULL},
};

/* ---- CronJob ---- */

static struct kg_value cell_schedule(struct kg_arena *a, const struct kg_object *obj, kg_time now)
{
	(void)a, (void)now;
	return *kg_at(kg_obj(obj), "spec.schedule");
}

static struct kg_value cell_zone(struct kg_arena *a, const struct kg_object *obj, kg_time now)
{
	(void)a, (void)now;
	return kg_cell_or_none(kg_at(kg_obj(obj), "spec.timeZone"));
}

static struct kg_value cell_suspend(struct kg_arena *a, const struct kg_object *obj, kg_time now)
{
	const struct kg_value *v = kg_at(kg_obj(obj), "spec.suspend");

	(void)a, (void)now;
	if (kg_is_null(v))
		return kg_v_lit("<unset>");
	return kg_v_lit(kg_bool(v, false) ? "True" : "False");
}

static struct kg_value cell_active(struct kg_arena *a, const struct kg_object *obj, kg_time now)
{
	(void)a, (void)now;
	return kg_v_int(kg_len(kg_at(kg_obj(obj), "status.active")));
}

static struct kg_value cell_last(struct kg_arena *a, const struct kg_object *obj, kg_time now)
{
	const struct kg_value *last = kg_at(kg_obj(obj), "status.lastScheduleTime");

	return kg_is_null(last) ? kg_v_lit("<none>") : kg_cell_since(a, last, now);
}

static const struct kg_value *job_containers(const struct kg_object *obj)
{
	return kg_at(kg_obj(obj), "spec.jobTemplate.spec.template.spec.containers");
}

static struct kg_value cell_containers(struct kg_arena *a, const struct kg_object *obj, kg_time now)
{
	(void)now;
	return kg_cell_joined(a, job_containers(obj), "name");
}

static struct kg_value cell_images(struct kg_arena *a, const struct kg_object *obj, kg_time now)
{
	(void)now;
	return kg_cell_joined(a, job_containers(obj), "image");
}

static struct kg_value cell_selector(struct kg_arena *a, const struct kg_object *obj, kg_time now)
{
	(void)now;
	return kg_cell_selector(a, kg_at(kg_obj(obj), "spec.jobTemplate.spec.selector"));
}

const struct kg_column kg_columns_cronjob[] = {
	KG_COLUMN_NAME,
	KG_COLUMN("Schedule", "string", 0, cell_schedule, "When Jobs are made."),
	KG_COLUMN("Timezone", "string", 0, cell_zone, "The time zone of the schedule."),
	KG_COLUMN("Suspend", "boolean", 0, cell_suspend, "Whether no Jobs are made for now."),
	KG_COLUMN("Active", "integer", 0, cell_active, "How many of its Jobs run."),
	KG_COLUMN("Last Schedule", "string", 0, cell_last, "When a Job was last made."),
	KG_COLUMN_AGE,
	KG_COLUMN("Containers", "string", 1, cell_containers,
		"Names of each container in the template."),
	KG_COLUMN("Images", "string", 1, cell_images,
		"Images referenced by each container in the template."),
	KG_COLUMN("Selector", "string", 1, cell_selector, "Which pods are its Jobs' own."),
	{.name = NULL},
};
