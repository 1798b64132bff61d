/* Ending a thread that may be inside of an exchange. */
#ifndef KG_NODEAGENT_HTTPTHREAD_H
#define KG_NODEAGENT_HTTPTHREAD_H

#include "http/client.h"

#include <pthread.h>

/* Joins a thread that was told to end, ending whatever exchange of client it is in or begins. */
void kg_end_http_thread(pthread_t thread, struct kg_http_client *client);

#endif
