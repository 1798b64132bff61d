/* Who answers which request, on an HTTP thread; route.c sends them there. */
#ifndef KG_API_HANDLERS_H
#define KG_API_HANDLERS_H

#include "kinds/kind.h"

struct request;

void kg_api_handle_get(struct request *r);
void kg_api_handle_list(struct request *r);
void kg_api_list_done(struct request *r);
void kg_api_handle_watch(struct request *r);
void kg_api_handle_write(struct request *r);
void kg_api_handle_discovery(struct request *r, const char *path);
bool kg_api_is_discovery_path(const char *path);
bool kg_api_has_status(const struct kg_kind *k); /* as a subresource */
void kg_api_handle_roots(struct request *r);     /* "/": what paths there are */
void kg_api_handle_openapi(struct request *r, const char *path);
void kg_api_handle_self_subject(struct request *r, const char *resource);
/* The `spec` of the body; null where it is of no format that is known. */
int kg_api_read_spec(
	struct kg_value *spec, struct request *r, const char *resource, struct kg_error *err);
bool kg_api_is_self_subject(const char *group, const char *resource);
void kg_api_handle_token(struct request *r);
void kg_api_handle_health(struct request *r, const char *path);

#endif
