/* The cases of semantics_test.c, which says what steps are. Each list ends with one of no name. */
#ifndef KG_RECONCILE_SEMANTICS_CASES_H
#define KG_RECONCILE_SEMANTICS_CASES_H

struct kg_semantics_case {
	const char *name;
	const char *const *steps; /* ends with NULL */
};
#define KG_STEPS(...)                                                                              \
	(const char *const[])                                                                      \
	{                                                                                          \
		__VA_ARGS__, 0                                                                     \
	}

extern const struct kg_semantics_case kg_semantics_deployments[], kg_semantics_sets[],
	kg_semantics_jobs[], kg_semantics_others[], kg_semantics_services[];

#endif
