/* What the tests of roles share: a snapshot made of manifests, and users. */
#ifndef KG_AUTH_TESTING_H
#define KG_AUTH_TESTING_H

#include "auth/auth.h"
#include "kinds/snapshot.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

/* A snapshot of prev (NULL: nothing) and what the manifests define. */
static inline struct kg_snapshot *kg_test_snapshot(
	const struct kg_snapshot *prev, const char *yaml, struct kg_changes *changes)
{
	struct kg_snapshot *empty = NULL, *next;
	struct kg_arena a KG_CLEANUP(kg_arena_release) = KG_ARENA_INIT;
	struct kg_fault_list faults;
	struct kg_manifest *m;
	size_t n;

	if (!prev)
		prev = empty = kg_snapshot_new("8f3b0a9e-6a54-4a41-9d5f-0d6c8d6d2f10");
	kg_faults_init(&faults, &a);
	kg_manifest_read(&m, &n, &a, "m.yaml", yaml, strlen(yaml), NULL, &faults);
	for (size_t i = 0; i < faults.len; i++)
		if (!faults.items[i].warning)
			fail_msg("%u: %s: %s", faults.items[i].line, faults.items[i].field,
				faults.items[i].msg);
	kg_faults_release(&faults);
	struct kg_txn *txn = kg_txn_new(prev);
	for (size_t i = 0; i < n; i++) {
		struct kg_object_spec spec = {.kind = m[i].kind,
			.ns = m[i].ns,
			.name = m[i].name,
			.value = &m[i].value,
			.source = "m.yaml",
			.source_index = m[i].index};
		kg_txn_put(txn, kg_object_new(&spec));
	}
	kg_txn_finish(txn, &next, changes);
	kg_snapshot_unref(empty);
	return next;
}

/* "ann", "dev ops" and system:authenticated. */
static inline struct kg_user kg_test_user(const char *name, const char *groups)
{
	struct kg_user u;
	struct kg_error err;

	assert_int_equal(kg_user_set(&u, name, &err), 0);
	while (*groups) {
		size_t n = strcspn(groups, " ");
		char *one = kg_strndup(groups, n);

		assert_int_equal(kg_user_add_group(&u, one, &err), 0);
		free(one);
		groups += n + strspn(groups + n, " ");
	}
	assert_int_equal(kg_user_add_group(&u, "system:authenticated", &err), 0);
	return u;
}

#endif
