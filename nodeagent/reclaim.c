/* Directories of persistent volumes that are to be deleted: removed on a worker, then told. */
#include "base/log.h"
#include "nodeagent/pods_private.h"
#include "nodeagent/volumes.h"
#include "sys/file.h"

#include <string.h>

struct reclaim {
	struct kg_pods *pods; /* for the loop's thread alone */
	struct kg_mailbox *mailbox;
	char *path, *name, *uid;
	int rc;
	struct kg_error err;
};

static void reclaim_free(void *arg)
{
	struct reclaim *x = arg;
	free(x->path);
	free(x->name);
	free(x->uid);
	free(x);
}

static void done(void *arg)
{
	struct reclaim *x = arg;
	/* What could not be removed, or was not heard of, is in the next view, too. */
	kg_map_remove(&x->pods->reclaiming, x->uid);
	if (x->rc < 0)
		kg_warn("volume %s: %s", x->name, x->err.msg);
	else
		x->pods->on_status(x->pods->ctx, "", x->name, x->uid, &kg_null, true);
	reclaim_free(x);
}

static void run(void *arg)
{
	struct reclaim *x = arg;
	x->rc = kg_remove_tree(x->path, &x->err);
	kg_mailbox_post(x->mailbox, done, reclaim_free, x);
}

static void begin(struct kg_pods *pods, const struct kg_value *pv)
{
	struct kg_arena a KG_CLEANUP(kg_arena_release) = KG_ARENA_INIT;
	const char *uid = kg_string(kg_at(pv, "metadata.uid"), "");
	if (kg_map_has(&pods->reclaiming, uid))
		return;
	kg_map_put(&pods->reclaiming, uid, pods);
	struct reclaim *x = kg_alloc(sizeof(*x));
	*x = (struct reclaim){.pods = pods,
		.mailbox = pods->env.mailbox,
		.path = kg_strdup(kg_persistent_path(&a, pods->env.dir, pv)),
		.name = kg_strdup(kg_string(kg_at(pv, "metadata.name"), "")),
		.uid = kg_strdup(uid)};
	kg_work_submit(pods->work, run, reclaim_free, x);
}

void kg_pods_reclaim(struct kg_pods *pods)
{
	const struct kg_value *objects = kg_doc_value(pods->configmaps);
	for (uint32_t i = 0; i < kg_len(objects); i++) {
		const struct kg_value *pv = &objects->items[i];
		if (!strcmp(kg_string(kg_get(pv, "kind"), ""), "PersistentVolume") &&
			!kg_is_null(kg_at(pv, "metadata.deletionTimestamp")) &&
			kg_persistent_is_ours(pv))
			begin(pods, pv);
	}
}
