/* Whom a container runs as: names are looked up in the image's own /etc/passwd and /etc/group,
 * read from its layers without following links. */
#ifndef KG_NODEAGENT_USER_H
#define KG_NODEAGENT_USER_H

#include "nodeagent/image.h"

#include <stdint.h>

struct kg_user {
	uint32_t uid, gid;
	uint32_t groups[64]; /* further ones */
	unsigned ngroups;
	bool numeric;   /* the image gave a number (or nothing, which is 0) */
	char home[256]; /* "/" where it is not known */
};
/* spec: what the image's configuration says: "", "1000", "web", "web:www", "1000:1000". */
int kg_user_lookup(
	struct kg_user *out, const struct kg_image *image, const char *spec, struct kg_error *err);
void kg_user_add_group(struct kg_user *user, uint32_t gid);

#endif
