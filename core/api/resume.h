/* Where a watch goes on. */
#ifndef KG_API_RESUME_H
#define KG_API_RESUME_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

struct request;

struct resume_listed {
	uint64_t key, revision;
};
struct resume_table {
	pthread_mutex_t lock;
	struct resume_listed listed[2048]; /* by key; a newer one takes an older one's place */
};
/* A list of that revision was sent, or a stream that came to it. */
void kg_api_resume_listed(const struct request *r, uint64_t revision);
/* A watch begins there: is it known that the client has all of that revision? Once. */
bool kg_api_resume_has_all(const struct request *r, uint64_t revision);

#endif
