#include "value/random_value.h"
#include "value/testing.h"

#include <pthread.h>
#include <stdio.h>

static bool lies_in(const struct kg_doc *doc, const void *p)
{
	return (const char *)p >= (const char *)doc &&
	       (const char *)p < (const char *)doc + kg_doc_size(doc);
}

static void test_outlives_arena(void **state)
{
	struct kg_random r = {.state = 3};

	(void)state;
	for (int i = 0; i < 1000; i++) {
		struct kg_arena a = KG_ARENA_INIT;
		KG_AUTOBUF struct kg_buf want = KG_BUF_INIT;
		struct kg_value v = kg_random_value(&a, &r, 5);

		kg_json_write(&want, &v);
		struct kg_doc *doc = kg_doc_new(&v, NULL, 0);
		assert_true(kg_equal(kg_doc_value(doc), &v));
		kg_arena_release(&a);
		kg_assert_json(kg_doc_value(doc), kg_buf_str(&want));
		kg_doc_unref(doc);
	}
	kg_doc_unref(NULL);
}

/* Template, a pod of it, and a pod made from that pod, whose template parts lie two docs away. */
static void test_share(void **state)
{
	struct kg_arena a = KG_ARENA_INIT;

	(void)state;
	struct kg_value v = kg_test_json(&a, "{\"spec\":{\"containers\":[{\"name\":\"web\"}]}}");
	struct kg_doc *template = kg_doc_new(&v, NULL, 0);

	v = kg_with(&a, kg_doc_value(template), "metadata.name", kg_v_lit("web-1"));
	struct kg_doc *pod = kg_doc_new(&v, &template, 1);
	struct kg_doc *plain = kg_doc_new(&v, NULL, 0);
	assert_true(kg_doc_size(pod) < kg_doc_size(plain));
	assert_true(lies_in(template, kg_get(kg_doc_value(pod), "spec")->members));
	assert_false(lies_in(template, kg_get(kg_doc_value(plain), "spec")->members));
	kg_doc_unref(plain);
	kg_doc_unref(template);

	v = kg_with(&a, kg_doc_value(pod), "status.phase", kg_v_lit("Running"));
	v = kg_with(&a, &v, "metadata", kg_null);
	struct kg_doc *share[] = {NULL, pod, pod};
	struct kg_doc *next = kg_doc_new(&v, share, 3);
	assert_ptr_equal(kg_get(kg_doc_value(next), "spec")->members,
		kg_get(kg_doc_value(pod), "spec")->members);
	kg_arena_release(&a);
	kg_doc_unref(pod);
	kg_assert_json(kg_doc_value(next), "{\"spec\":{\"containers\":[{\"name\":\"web\"}]},"
					   "\"status\":{\"phase\":\"Running\"}}");
	kg_doc_unref(next);
}

/* A text that somebody says anew lies in the template, or in what that is made of. */
static void test_share_text(void **state)
{
	static const char image[] = "registry.example.com/team/service:17";
	struct kg_arena a = KG_ARENA_INIT;

	(void)state;
	struct kg_value v = kg_v_null();
	v = kg_with(&a, &v, "spec.image", kg_v_str(&a, image));
	struct kg_doc *content = kg_doc_new(&v, NULL, 0);

	v = kg_with(&a, kg_doc_value(content), "kind", kg_v_lit("Pod"));
	struct kg_doc *template = kg_doc_new(&v, &content, 1);
	v = kg_with(&a, kg_doc_value(template), "status.image", kg_v_str(&a, image));
	v = kg_with(&a, &v, "status.other", kg_v_str(&a, "registry.example.com/team/service:1"));
	v = kg_with(&a, &v, "status.short", kg_v_str(&a, "service:17"));
	struct kg_doc *pod = kg_doc_new(&v, &template, 1);
	const struct kg_value *status = kg_get(kg_doc_value(pod), "status");

	assert_ptr_equal(kg_get(status, "image")->s, kg_at(kg_doc_value(content), "spec.image")->s);
	assert_true(lies_in(pod, kg_get(status, "other")->s));
	assert_true(lies_in(pod, kg_get(status, "short")->s));
	kg_doc_unref(template);
	kg_doc_unref(content);
	kg_arena_release(&a);
	kg_assert_json(kg_doc_value(pod),
		"{\"kind\":\"Pod\",\"spec\":{\"image\":\"registry.example.com/team/service:17\"},"
		"\"status\":{\"image\":\"registry.example.com/team/service:17\","
		"\"other\":\"registry.example.com/team/service:1\",\"short\":\"service:17\"}}");
	kg_doc_unref(pod);
}

/* Does a pod that says its template's image after n texts of its own lie on the template's? */
static bool lends_after(int n)
{
	static const char image[] = "registry.example.com/team/service:17";
	struct kg_arena a = KG_ARENA_INIT;
	struct kg_value texts[100], v = kg_v_null();

	v = kg_with(&a, &v, "spec.image", kg_v_str(&a, image));
	struct kg_doc *template = kg_doc_new(&v, NULL, 0);
	for (int i = 0; i < n; i++)
		texts[i] = kg_v_strf(&a, "a text that is its own, number %d", i);
	texts[n] = kg_v_str(&a, image);
	v = kg_v_array(&a, texts, (uint32_t)n + 1);
	struct kg_doc *pod = kg_doc_new(&v, &template, 1);
	const char *last = kg_doc_value(pod)->items[n].s;
	bool lent = lies_in(template, last);

	assert_string_equal(last, image);
	assert_true(lent || lies_in(pod, last));
	kg_doc_unref(template);
	kg_doc_unref(pod);
	kg_arena_release(&a);
	return lent;
}

static void test_few_texts_are_sought(void **state)
{
	(void)state;
	assert_true(lends_after(63));
	assert_false(lends_after(64));
}

/* More lenders than a call keeps on its stack, found through the doc that holds them. */
static void test_many_lenders(void **state)
{
	enum { N = 40 };
	struct kg_arena a = KG_ARENA_INIT;
	struct kg_value v = kg_test_json(&a, "{\"a\":\"text\"}"), items[N];
	struct kg_doc *docs[N];

	(void)state;
	for (size_t i = 0; i < N; i++) {
		docs[i] = kg_doc_new(&v, NULL, 0);
		items[i] = *kg_doc_value(docs[i]);
	}
	v = kg_v_array(&a, items, N);
	struct kg_doc *all = kg_doc_new(&v, docs, N);
	for (size_t i = 0; i < N; i++)
		kg_doc_unref(docs[i]);
	v = kg_v_array(&a, kg_doc_value(all)->items + 35, 2);
	struct kg_doc *two = kg_doc_new(&v, &all, 1);
	kg_doc_unref(all);
	kg_arena_release(&a);
	kg_assert_json(kg_doc_value(two), "[{\"a\":\"text\"},{\"a\":\"text\"}]");
	kg_doc_unref(two);
}

/* Docs in a chain, each holding the one before, are freed without recursion. */
static void test_chain(void **state)
{
	enum { LENGTH = 2000 };
	struct kg_arena a = KG_ARENA_INIT;
	struct kg_value v = kg_test_json(&a, "[1,2]");
	struct kg_doc *doc = kg_doc_new(&v, NULL, 0);

	(void)state;
	for (int i = 0; i < LENGTH; i++) {
		struct kg_value link[] = {*kg_doc_value(doc), kg_v_int(i)};

		v = kg_v_array(&a, link, 2);
		struct kg_doc *next = kg_doc_new(&v, &doc, 1);
		kg_doc_unref(doc);
		doc = next;
	}
	kg_arena_release(&a);
	const struct kg_value *p = kg_doc_value(doc);
	for (int i = LENGTH; i > 0; i--)
		p = &p->items[0];
	assert_int_equal(kg_int(&p->items[1], 0), 2);
	kg_doc_unref(doc);
}

static void test_registered_keys(void **state)
{
	static const char *const names[] = {"apiVersion", "kind", "metadata", "kind", "registered"};
	struct kg_arena a = KG_ARENA_INIT;

	(void)state;
	kg_keys_register(names, KG_ARRAY_LEN(names));
	kg_keys_register(names, 2);
	struct kg_member members[] = {{kg_arena_strdup(&a, "kind"), kg_v_int(1)},
		{kg_arena_strdup(&a, "registered"), kg_v_int(2)},
		{kg_arena_strdup(&a, "other"), kg_v_int(3)}};
	struct kg_value v = kg_v_object(&a, members, KG_ARRAY_LEN(members));
	struct kg_doc *doc = kg_doc_new(&v, NULL, 0);
	kg_arena_release(&a);
	kg_assert_json(kg_doc_value(doc), "{\"kind\":1,\"other\":3,\"registered\":2}");
	assert_ptr_equal(kg_doc_value(doc)->members[0].key, names[1]);
	assert_true(lies_in(doc, kg_doc_value(doc)->members[1].key));
	assert_ptr_equal(kg_doc_value(doc)->members[2].key, names[4]);
	kg_doc_unref(doc);
}

static void test_many_registered_keys(void **state)
{
	enum { N = 1000 };
	static char text[N][12];
	static const char *names[N];

	(void)state;
	for (size_t i = 0; i < N; i++) {
		snprintf(text[i], sizeof(text[i]), "field%zu", i);
		names[i] = text[i];
	}
	kg_keys_register(names, N);
	for (size_t i = 0; i < N; i++) {
		char key[12];

		snprintf(key, sizeof(key), "field%zu", i);
		struct kg_member m = {key, kg_v_int(1)};
		struct kg_value v = {.type = KG_OBJECT, .len = 1, .members = &m};
		struct kg_doc *doc = kg_doc_new(&v, NULL, 0);
		assert_ptr_equal(kg_doc_value(doc)->members[0].key, names[i]);
		kg_doc_unref(doc);
	}
}

/* A key that many objects have is kept once. */
static void test_repeated_keys(void **state)
{
	struct kg_arena a = KG_ARENA_INIT;
	struct kg_value v = kg_test_json(&a, "[{\"unregistered-key\":1},{\"unregistered-key\":2}]");
	struct kg_doc *doc = kg_doc_new(&v, NULL, 0);

	(void)state;
	kg_arena_release(&a);
	assert_ptr_equal(kg_doc_value(doc)->items[0].members[0].key,
		kg_doc_value(doc)->items[1].members[0].key);
	kg_doc_unref(doc);
}

static void *ref_and_unref(void *arg)
{
	for (int i = 0; i < 20000; i++)
		kg_doc_unref(kg_doc_ref(arg));
	kg_doc_unref(arg);
	return NULL;
}

static void test_threads(void **state)
{
	struct kg_value v = kg_v_lit("shared");
	struct kg_doc *doc = kg_doc_new(&v, NULL, 0);
	pthread_t threads[4];

	(void)state;
	for (size_t i = 0; i < KG_ARRAY_LEN(threads); i++)
		assert_int_equal(
			pthread_create(&threads[i], NULL, ref_and_unref, kg_doc_ref(doc)), 0);
	for (size_t i = 0; i < KG_ARRAY_LEN(threads); i++)
		pthread_join(threads[i], NULL);
	kg_assert_json(kg_doc_value(doc), "\"shared\"");
	kg_doc_unref(doc);
}

/* ---- parts in common ---- */

#define OWNER                                                                                      \
	"[{\"controller\":true,\"kind\":\"ReplicaSet\",\"name\":\"web-5d4f8c7b9\","                \
	"\"uid\":\"3c1d2e4f-0000-5000-8000-000000000002\"}]"

static struct kg_doc *owned(int i)
{
	KG_CLEANUP(kg_arena_release) struct kg_arena a = KG_ARENA_INIT;
	struct kg_value v = kg_test_json(
		&a, kg_arena_printf(&a, "{\"name\":\"web-%d\",\"ownerReferences\":" OWNER "}", i));

	return kg_doc_new_common(&v, NULL, 0, NULL);
}

/* From the second on it is there once, until the last that has it goes. */
static void test_common(void **state)
{
	struct kg_doc *docs[6];

	(void)state;
	for (int round = 0; round < 3; round++) {
		for (int i = 0; i < 6; i++)
			docs[i] = owned(i);
		const struct kg_value *owner = kg_get(kg_doc_value(docs[1]), "ownerReferences");
		for (int i = 2; i < 6; i++) {
			assert_ptr_equal(kg_get(kg_doc_value(docs[i]), "ownerReferences")->items,
				owner->items);
			assert_true(kg_doc_size(docs[i]) < 150);
		}
		assert_false(lies_in(docs[1], owner->items));
		for (int i = 0; i < 6; i++) {
			kg_doc_unref(docs[i * 5 % 6]);
			docs[i * 5 % 6] = NULL;
			for (int k = 0; k < 6; k++) {
				KG_AUTOFREE char *want = kg_asprintf(
					"{\"name\":\"web-%d\",\"ownerReferences\":" OWNER "}", k);
				if (docs[k])
					kg_assert_json(kg_doc_value(docs[k]), want);
			}
		}
	}
}

static struct kg_doc *addressed(int i)
{
	KG_CLEANUP(kg_arena_release) struct kg_arena a = KG_ARENA_INIT;
	struct kg_value v = kg_test_json(
		&a, kg_arena_printf(&a,
			    "{\"hostIP\":\"10.20.30.40\",\"hostIPs\":[{\"ip\":\"10.20.30.40\"}],"
			    "\"name\":\"web-%d\"}",
			    i));

	return kg_doc_new_common(&v, NULL, 0, NULL);
}

/* A text that is also said in a part that it has in common with others lies there. */
static void test_text_of_part(void **state)
{
	struct kg_doc *docs[3] = {addressed(0), addressed(1), addressed(2)};
	const struct kg_value *last = kg_doc_value(docs[2]);
	const char *said = kg_string(kg_at(last, "hostIPs.0.ip"), "");

	(void)state;
	assert_ptr_equal(kg_string(kg_get(last, "hostIP"), ""), said);
	assert_false(lies_in(docs[2], said));
	kg_doc_unref(docs[0]);
	kg_doc_unref(docs[1]);
	kg_assert_json(kg_doc_value(docs[2]),
		"{\"hostIP\":\"10.20.30.40\",\"hostIPs\":[{\"ip\":\"10.20.30.40\"}],"
		"\"name\":\"web-2\"}");
	kg_doc_unref(docs[2]);
}

/* A change of a doc holds the parts that it has in common with others, and nothing of the old one.
 */
static void test_common_change(void **state)
{
	KG_CLEANUP(kg_arena_release) struct kg_arena a = KG_ARENA_INIT;
	struct kg_doc *first = owned(0), *second = owned(1);

	(void)state;
	const struct kg_value *owner = kg_get(kg_doc_value(second), "ownerReferences");
	struct kg_value v = kg_with_key(&a, kg_doc_value(second), "name", kg_v_lit("web-x"));
	struct kg_doc *third = kg_doc_new_common(&v, NULL, 0, second);
	assert_ptr_equal(kg_get(kg_doc_value(third), "ownerReferences")->items, owner->items);
	kg_doc_unref(first);
	kg_doc_unref(second);
	kg_assert_json(kg_doc_value(third), "{\"name\":\"web-x\",\"ownerReferences\":" OWNER "}");
	kg_doc_unref(third);
}

/* Whatever is made of parts of one another: equal, and none outlives its memory. */
static void test_common_random(void **state)
{
	enum { N = 64 };
	struct kg_random r = {.state = 8};
	struct kg_doc *docs[N] = {0};
	struct kg_buf want[N] = {0};

	(void)state;
	for (int i = 0; i < 6000; i++) {
		KG_CLEANUP(kg_arena_release) struct kg_arena a = KG_ARENA_INIT;
		unsigned k = kg_random_below(&r, N), from = kg_random_below(&r, N);
		struct kg_value v = docs[from] ? kg_random_change(&a, &r, kg_doc_value(docs[from]))
					       : kg_random_value(&a, &r, 6);
		struct kg_value pair[] = {v, docs[from] ? *kg_doc_value(docs[from]) : v};
		bool share = kg_random_below(&r, 2) && docs[from];

		if (!kg_random_below(&r, 3) && docs[from] && want[from].len < 4000)
			v = kg_v_array(&a, pair, 2);
		bool old = kg_random_below(&r, 2);
		struct kg_doc *doc =
			kg_doc_new_common(&v, &docs[from], share, old ? docs[from] : NULL);
		assert_true(kg_equal(kg_doc_value(doc), &v));
		kg_doc_unref(docs[k]);
		docs[k] = doc;
		kg_buf_clear(&want[k]);
		kg_json_write(&want[k], kg_doc_value(doc));
		kg_assert_json(kg_doc_value(docs[from] ? docs[from] : doc),
			kg_buf_str(docs[from] ? &want[from] : &want[k]));
	}
	for (int i = 0; i < N; i++) {
		if (docs[i])
			kg_assert_json(kg_doc_value(docs[i]), kg_buf_str(&want[i]));
		kg_doc_unref(docs[i]);
		kg_buf_release(&want[i]);
	}
}

static void *make_and_drop(void *arg)
{
	(void)arg;
	for (int i = 0; i < 3000; i++) {
		struct kg_doc *a = owned(i % 3), *b = owned(i % 5);

		if (!kg_equal(kg_get(kg_doc_value(a), "ownerReferences"),
			    kg_get(kg_doc_value(b), "ownerReferences")))
			abort();
		kg_doc_unref(a);
		kg_doc_unref(b);
	}
	return NULL;
}

static void test_common_threads(void **state)
{
	pthread_t threads[4];

	(void)state;
	for (size_t i = 0; i < KG_ARRAY_LEN(threads); i++)
		assert_int_equal(pthread_create(&threads[i], NULL, make_and_drop, NULL), 0);
	for (size_t i = 0; i < KG_ARRAY_LEN(threads); i++)
		pthread_join(threads[i], NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_outlives_arena),
		cmocka_unit_test(test_share),
		cmocka_unit_test(test_share_text),
		cmocka_unit_test(test_few_texts_are_sought),
		cmocka_unit_test(test_many_lenders),
		cmocka_unit_test(test_chain),
		cmocka_unit_test(test_registered_keys),
		cmocka_unit_test(test_many_registered_keys),
		cmocka_unit_test(test_repeated_keys),
		cmocka_unit_test(test_threads),
		cmocka_unit_test(test_common),
		cmocka_unit_test(test_text_of_part),
		cmocka_unit_test(test_common_change),
		cmocka_unit_test(test_common_random),
		cmocka_unit_test(test_common_threads),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
