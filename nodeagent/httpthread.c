#include "nodeagent/httpthread.h"

#include <time.h>

#define AGAIN_NS 20000000 /* an abort between two exchanges ends neither: it is repeated */

void kg_end_http_thread(pthread_t thread, struct kg_http_client *client)
{
	struct timespec until;

	do {
		kg_http_client_abort(client);
		clock_gettime(CLOCK_MONOTONIC, &until);
		until.tv_nsec += AGAIN_NS;
		if (until.tv_nsec >= 1000000000) {
			until.tv_sec++;
			until.tv_nsec -= 1000000000;
		}
	} while (pthread_clockjoin_np(thread, NULL, CLOCK_MONOTONIC, &until) != 0);
}
