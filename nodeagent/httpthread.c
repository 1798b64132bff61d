#include "nodeagent/httpthread.h"

#include <time.h>

#define AGAIN_NS 1000000 /* an abort between two exchanges ends neither: it is repeated */

void kg_end_http_thread(pthread_t thread, struct kg_http_client *client)
{
	const struct timespec pause = {.tv_nsec = AGAIN_NS};

	kg_http_client_abort(client);
	while (pthread_tryjoin_np(thread, NULL) != 0) {
		nanosleep(&pause, NULL);
		kg_http_client_abort(client);
	}
}
