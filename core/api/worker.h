/* The room's threads: workers for what blocks, and the clock. */
#ifndef KG_API_WORKER_H
#define KG_API_WORKER_H

#include <stdint.h>

struct kg_api;

struct job {
	struct job *next;
	void (*run)(void *arg);
	void *arg;
};
int64_t kg_api_now_ms(void); /* monotonic */
void kg_api_worker_start(struct kg_api *api);
void kg_api_worker_stop(struct kg_api *api);
void kg_api_worker_add(struct kg_api *api, void (*run)(void *arg), void *arg);
void kg_api_clock_kick(struct kg_api *api, int64_t due); /* something is due at this time */

#endif
