/* Images that a pod's containers wait for. */
#include "nodeagent/image_auth.h"
#include "nodeagent/pods_private.h"

#include <string.h>

struct pulling {
	struct kg_pods *pods;
	char *uid, *container;
};

static void pull_failed(struct pod *p, struct kg_cstate *c, const char *reason, const char *message)
{
	kg_plan_pull_failed(c, kg_monotonic_ms());
	kg_cstate_wait(c, reason, message);
	kg_pod_save(p);
}

static void pull_done(void *ctx, const char *ref, const struct kg_error *err)
{
	struct pulling *w = ctx;
	struct pod *p = kg_map_get(&w->pods->pods, w->uid);
	for (size_t i = 0; p && i < p->st.nc; i++) {
		struct kg_cstate *c = &p->st.c[i];
		if (strcmp(c->name, w->container) || !c->pulling)
			continue;
		c->pulling = false;
		/* Another image may be wanted by now: then it is asked for anew. */
		if (strcmp(kg_string(kg_get(kg_cstate_spec(&p->st, c), "image"), ""), ref))
			break;
		c->image_ready = !err;
		if (err) {
			pull_failed(p, c,
				err->code == KG_E_INVALID ? "InvalidImageName" : "ErrImagePull",
				err->msg);
		} else {
			c->pull_backoff_ms = 0;
			kg_cstate_wait(c, c->phase == KG_C_EXITED ? "" : "ContainerCreating", NULL);
		}
		break;
	}
	free(w->uid);
	free(w->container);
	struct kg_pods *pods = w->pods;
	free(w);
	if (p && pods->work)
		kg_pod_evaluate(p);
}

bool kg_pod_pull(struct pod *p, struct kg_cstate *c)
{
	struct kg_podenv *env = &p->pods->env;
	const struct kg_value *spec = kg_cstate_spec(&p->st, c);
	const char *ref = kg_string(kg_get(spec, "image"), "");
	const char *policy =
		kg_string(kg_get(spec, "imagePullPolicy"), kg_image_default_policy(ref));
	bool always = !strcmp(policy, "Always");
	struct kg_image *image = always ? NULL : kg_images_get(env->images, ref);
	if (image) {
		kg_image_unref(image);
		c->image_ready = true;
		c->pull_backoff_ms = 0;
		return true;
	}
	if (!strcmp(policy, "Never")) {
		KG_AUTOFREE char *m = kg_asprintf("Container image \"%s\" is not present with pull "
						  "policy of Never",
			ref);
		pull_failed(p, c, "ErrImageNeverPull", m);
		return false;
	}
	struct pulling *w = kg_alloc(sizeof(*w));
	*w = (struct pulling){p->pods, kg_strdup(p->st.uid), kg_strdup(c->name)};
	c->pulling = true;
	KG_AUTOFREE char *auth =
		kg_image_auth(kg_doc_value(p->st.pod), kg_doc_value(p->pods->configmaps), ref);
	kg_images_pull(env->images, ref, always, auth, pull_done, w);
	return false;
}
