/* What becomes of a volume that the system made: who may say that it is gone; and which volume a
 * claim that names one gets. */
#include "reconcile/harness.h"
#include "reconcile/internal.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define CLASS                                                                                      \
	"apiVersion: storage.k8s.io/v1\nkind: StorageClass\nmetadata: {name: local}\n"             \
	"provisioner: kgit.dev/local-path\nvolumeBindingMode: WaitForFirstConsumer\n"
#define CLAIM                                                                                      \
	"apiVersion: v1\nkind: PersistentVolumeClaim\nmetadata: {name: c}\nspec: {accessModes: "   \
	"[ReadWriteOnce], storageClassName: local, resources: {requests: {storage: 1Gi}}}\n"
#define POD                                                                                        \
	"apiVersion: v1\nkind: Pod\nmetadata: {name: p}\nspec:\n  containers: [{name: a, image: "  \
	"i}]\n  volumes: [{name: d, persistentVolumeClaim: {claimName: c}}]\n"

static void add_node(struct kg_harness *h, const char *name)
{
	struct kg_arena a KG_CLEANUP(kg_arena_release) = KG_ARENA_INIT;
	struct kg_value room = kg_v_obj(&a, "cpu", kg_v_lit("4"), "memory", kg_v_lit("8Gi"), "pods",
		kg_v_lit("110"), (char *)NULL);
	struct kg_value st = kg_v_obj(&a, "capacity", room, "allocatable", room, (char *)NULL);
	kg_harness_node(h, name, &kg_null, &st, true);
}

static const struct kg_object *volume(const struct kg_harness *h)
{
	struct kg_object_iter it KG_CLEANUP(kg_iter_release);
	kg_iter_kind(&it, h->s, KG_KIND_PERSISTENTVOLUME, NULL, NULL);
	return kg_iter_next(&it);
}

static void report(
	struct kg_harness *h, const char *node, const char *ns, const char *name, const char *uid)
{
	struct kg_error err;
	struct kg_input_pod_status p = {
		.node = node, .ns = ns, .name = name, .uid = uid, .gone = true};
	struct kg_inputs in = {.pods = &p, .npods = 1};
	assert_int_equal(kg_harness_run(h, &in, &err), 0);
}

/* A cluster whose pod and claim are gone again, so that the volume waits for its node. */
static void begin(struct kg_harness *h)
{
	kg_harness_init(h, NULL);
	h->check = true;
	add_node(h, "n");
	kg_harness_push(h, "class.yaml", CLASS);
	kg_harness_push(h, "claim.yaml", CLAIM);
	assert_null(volume(h)); /* nobody uses it */
	kg_harness_push(h, "pod.yaml", POD);
	assert_non_null(volume(h));
	const struct kg_object *pod = kg_snapshot_get(h->s, KG_KIND_POD, "default", "p");
	char uid[40];
	strcpy(uid, kg_object_uid(pod));
	kg_harness_push(h, "claim.yaml", NULL);
	assert_non_null(kg_snapshot_get(h->s, KG_KIND_PERSISTENTVOLUMECLAIM, "default", "c"));
	kg_harness_push(h, "pod.yaml", NULL);
	assert_false(kg_object_deleting(volume(h)));
	report(h, "n", "default", "p", uid);
	assert_null(kg_snapshot_get(h->s, KG_KIND_PERSISTENTVOLUMECLAIM, "default", "c"));
	assert_true(kg_object_deleting(volume(h)));
	assert_string_equal(kg_string(kg_at(kg_obj(volume(h)), "status.phase"), ""), "Released");
}

static void its_node_says_that_it_is_gone(void **state)
{
	struct kg_harness h;
	char name[80], uid[40];
	(void)state;
	begin(&h);
	strcpy(name, volume(&h)->name);
	strcpy(uid, kg_object_uid(volume(&h)));
	add_node(&h, "other");
	report(&h, "other", "", name, uid);
	assert_non_null(volume(&h));
	report(&h, "n", "", name, "another-uid");
	assert_non_null(volume(&h));
	report(&h, "n", "", name, uid);
	assert_null(volume(&h));
	kg_harness_release(&h);
}

static void a_volume_in_use_is_not_reported_away(void **state)
{
	struct kg_harness h;
	char name[80], uid[40];
	(void)state;
	kg_harness_init(&h, NULL);
	h.check = true;
	add_node(&h, "n");
	kg_harness_push(&h, "class.yaml", CLASS);
	kg_harness_push(&h, "claim.yaml", CLAIM);
	kg_harness_push(&h, "pod.yaml", POD);
	strcpy(name, volume(&h)->name);
	strcpy(uid, kg_object_uid(volume(&h)));
	report(&h, "n", "", name, uid);
	assert_non_null(volume(&h));
	/* A claim whose volume vanished would be Lost; this one is bound. */
	const struct kg_object *c =
		kg_snapshot_get(h.s, KG_KIND_PERSISTENTVOLUMECLAIM, "default", "c");
	assert_string_equal(kg_string(kg_at(kg_obj(c), "status.phase"), ""), "Bound");
	kg_harness_release(&h);
}

static void check_claim_and_pod(struct kg_harness *h, const char *phase, bool placed)
{
	const struct kg_object *c =
		kg_snapshot_get(h->s, KG_KIND_PERSISTENTVOLUMECLAIM, "default", "c");
	const struct kg_object *p = kg_snapshot_get(h->s, KG_KIND_POD, "default", "p");
	assert_string_equal(kg_string(kg_at(kg_obj(c), "status.phase"), ""), phase);
	assert_int_equal(*kg_string(kg_at(kg_obj(p), "spec.nodeName"), "") != 0, placed);
}

#define VOLUME(size)                                                                               \
	"apiVersion: v1\nkind: PersistentVolume\nmetadata: {name: v}\nspec: {accessModes: "        \
	"[ReadWriteOnce], capacity: {storage: " size "}, local: {path: /d}, nodeAffinity: "        \
	"{required: {nodeSelectorTerms: [{matchFields: [{key: metadata.name, operator: In, "       \
	"values: ['n']}]}]}}}\n"

static void a_claim_does_not_take_what_is_too_small(void **state)
{
	struct kg_harness h;
	(void)state;
	kg_harness_init(&h, NULL);
	h.check = true;
	add_node(&h, "n");
	kg_harness_push(&h, "volume.yaml", VOLUME("1Gi"));
	kg_harness_push(&h, "claim.yaml",
		"apiVersion: v1\nkind: PersistentVolumeClaim\nmetadata: {name: c}\nspec: "
		"{accessModes: [ReadWriteOnce], volumeName: v, storageClassName: '', resources: "
		"{requests: {storage: 2Gi}}}\n");
	kg_harness_push(&h, "pod.yaml", POD);
	check_claim_and_pod(&h, "Pending", false);
	kg_harness_push(&h, "volume.yaml", VOLUME("2Gi"));
	check_claim_and_pod(&h, "Bound", true);
	kg_harness_release(&h);
}

/* ---- many ---- */

enum { MANY = 400, HOSTS = 8 };

/* So many volumes or claims, each of a size of its own. */
static void many(struct kg_buf *out, const char *what, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		size_t size = 1 + (i * 7919) % n;
		if (strcmp(what, "volumes") == 0)
			kg_buf_addf(out,
				"---\napiVersion: v1\nkind: PersistentVolume\n"
				"metadata: {name: v-%zu}\nspec: {capacity: {storage: %zuGi}, "
				"accessModes: [ReadWriteOnce], storageClassName: now, "
				"hostPath: {path: /d}}\n",
				i, size);
		else
			kg_buf_addf(out,
				"---\napiVersion: v1\nkind: PersistentVolumeClaim\n"
				"metadata: {name: c-%zu}\nspec: {accessModes: [ReadWriteOnce], "
				"storageClassName: now, resources: {requests: {storage: "
				"%zuGi}}}\n",
				i, size);
	}
}

static size_t bound_claims(const struct kg_harness *h)
{
	struct kg_object_iter it;
	const struct kg_object *claim;
	size_t n = 0;
	kg_iter_kind(&it, h->s, KG_KIND_PERSISTENTVOLUMECLAIM, NULL, NULL);
	while ((claim = kg_iter_next(&it)))
		n += *kg_string(kg_at(kg_obj(claim), "spec.volumeName"), "") != 0;
	kg_iter_release(&it);
	return n;
}

/* Whichever came first: each claim gets the volume of its size, and neither looks at all of the
 * others. */
static void test_many(void **state)
{
	(void)state;
	for (int volumes_first = 0; volumes_first < 2; volumes_first++) {
		struct kg_harness h;
		KG_AUTOBUF struct kg_buf volumes = KG_BUF_INIT, claims = KG_BUF_INIT;
		kg_harness_init(&h, NULL);
		many(&volumes, "volumes", MANY);
		many(&claims, "claims", MANY);
		kg_harness_push(&h, "class.yaml",
			"apiVersion: storage.k8s.io/v1\nkind: StorageClass\n"
			"metadata: {name: now}\nprovisioner: none\n");
		kg_harness_push(&h, volumes_first ? "v.yaml" : "c.yaml",
			volumes_first ? volumes.data : claims.data);
		h.check = true;
		uint64_t looked = h.state->looked;
		kg_harness_push(&h, volumes_first ? "c.yaml" : "v.yaml",
			volumes_first ? claims.data : volumes.data);
		assert_in_range(h.state->looked - looked, MANY, 6 * MANY);
		assert_int_equal(bound_claims(&h), MANY);
		looked = h.state->looked;
		kg_harness_push(&h, "more.yaml", /* nobody waits for it */
			"apiVersion: v1\nkind: PersistentVolume\nmetadata: {name: w}\nspec: "
			"{capacity: {storage: 1Gi}, accessModes: [ReadWriteOnce], "
			"storageClassName: now, hostPath: {path: /d}}\n");
		assert_in_range(h.state->looked - looked, 0, 4);
		kg_harness_release(&h);
	}
}

/* Volumes that one host alone reaches, of all sizes: a claim that waits for its consumer gets the
 * smallest that fits of those that the consumer's node reaches, and looks at no other host's. */
static void test_hosts(void **state)
{
	(void)state;
	struct kg_harness h;
	KG_AUTOBUF struct kg_buf b = KG_BUF_INIT;
	kg_harness_init(&h, NULL);
	h.check = true;
	for (size_t i = 0; i < HOSTS; i++) {
		struct kg_arena a KG_CLEANUP(kg_arena_release) = KG_ARENA_INIT;
		const char *name = kg_arena_printf(&a, "node-%zu", i);
		struct kg_value labels =
			kg_with_key(&a, &kg_null, "kubernetes.io/hostname", kg_v_str(&a, name));
		struct kg_value room =
			kg_v_obj(&a, "cpu", kg_v_lit("4"), "memory", kg_v_lit("8Gi"), (char *)NULL);
		struct kg_value st = kg_v_obj(&a, "allocatable", room, (char *)NULL);
		kg_harness_node(&h, name, &labels, &st, true);
	}
	kg_buf_adds(&b, "apiVersion: storage.k8s.io/v1\nkind: StorageClass\n"
			"metadata: {name: local}\nprovisioner: kubernetes.io/no-provisioner\n"
			"volumeBindingMode: WaitForFirstConsumer\n");
	for (size_t i = 0; i < HOSTS * 20; i++)
		kg_buf_addf(&b,
			"---\napiVersion: v1\nkind: PersistentVolume\nmetadata: {name: v-%zu}\n"
			"spec: {capacity: {storage: %zuGi}, accessModes: [ReadWriteOnce], "
			"storageClassName: local, local: {path: /d}, nodeAffinity: {required: "
			"{nodeSelectorTerms: [{matchExpressions: [{key: kubernetes.io/hostname, "
			"operator: In, values: [node-%zu]}]}]}}}\n",
			i, 1 + i / HOSTS, i % HOSTS);
	kg_harness_push(&h, "volumes.yaml", b.data);
	kg_harness_push(&h, "claim.yaml", CLAIM);
	uint64_t looked = h.state->looked;
	kg_harness_push(&h, "pod.yaml", POD "  nodeSelector: {kubernetes.io/hostname: node-5}\n");
	const struct kg_object *claim =
		kg_snapshot_get(h.s, KG_KIND_PERSISTENTVOLUMECLAIM, "default", "c");
	assert_string_equal(kg_string(kg_at(kg_obj(claim), "spec.volumeName"), ""), "v-5");
	assert_in_range(h.state->looked - looked, 1, 8);
	kg_harness_release(&h);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(its_node_says_that_it_is_gone),
		cmocka_unit_test(a_volume_in_use_is_not_reported_away),
		cmocka_unit_test(a_claim_does_not_take_what_is_too_small),
		cmocka_unit_test(test_many),
		cmocka_unit_test(test_hosts),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
