#include "nodeagent/attempt.h"
#include "base/mem.h"

#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>

void kg_attempt_cancel(struct kg_attempt *a)
{
	kg_timer_set(a->timer, -1);
	kg_probe_conn_free(a->conn);
	a->conn = NULL;
	kg_probe_grpc_free(a->grpc);
	a->grpc = NULL;
	if (a->child) {
		/* The runtime's exec and, with it, the command's session. */
		kill(-a->pid, SIGKILL);
		kg_child_free(a->child);
		a->child = NULL;
	}
}

void kg_attempt_release(struct kg_attempt *a)
{
	if (!a->timer)
		return;
	kg_attempt_cancel(a);
	kg_timer_free(a->timer);
	*a = (struct kg_attempt){0};
}

static void end(struct kg_attempt *a, bool ok)
{
	kg_attempt_cancel(a);
	a->done(a->ctx, ok); /* it may be gone now */
}

static void time_is_up(void *ctx)
{
	struct kg_attempt *a = ctx;

	end(a, a->pauses);
}

static void command_ended(void *ctx, int status)
{
	struct kg_attempt *a = ctx;

	a->child = NULL;
	end(a, WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static void connection_ended(void *ctx, bool ok)
{
	end(ctx, ok);
}

void kg_attempt_init(
	struct kg_attempt *a, struct kg_loop *loop, void (*done)(void *ctx, bool ok), void *ctx)
{
	*a = (struct kg_attempt){.loop = loop, .done = done, .ctx = ctx};
	a->timer = kg_timer_new(loop, time_is_up, a);
}

static bool begin_command(
	struct kg_attempt *a, const struct kg_attempt_target *t, const struct kg_value *command)
{
	const char **argv KG_AUTOFREE = kg_alloc((kg_len(command) + 1) * sizeof(*argv));
	struct kg_error ignored; /* a failure like that of the command */

	for (uint32_t i = 0; i < kg_len(command); i++)
		argv[i] = kg_string(&command->items[i], "");
	if (t->runtime->exec(t->runtime_self, t->c, argv, -1, &a->pid, &ignored) < 0)
		return false;
	a->child = kg_loop_child(a->loop, a->pid, command_ended, a);
	return true;
}

/* A number, or the name of one of the container's ports. */
static int port_of(const struct kg_value *container, const struct kg_value *v)
{
	if (v->type == KG_INT)
		return (int)v->i;
	const char *name = kg_string(v, "");
	const struct kg_value *port = kg_find(kg_get(container, "ports"), "name", name);
	int64_t n = kg_int(kg_get(port, "containerPort"), 0);
	return n ? (int)n : atoi(name);
}

static bool begin_connection(
	struct kg_attempt *a, const struct kg_attempt_target *t, const struct kg_value *what)
{
	const struct kg_value *http = kg_get(what, "httpGet");
	const struct kg_value *net = kg_is_null(http) ? kg_get(what, "tcpSocket") : http;
	const char *host = kg_string(kg_get(net, "host"), "");

	a->conn = kg_probe_conn_new(a->loop, *host ? host : t->ip,
		port_of(t->container, kg_get(net, "port")), kg_is_null(http) ? NULL : http,
		connection_ended, a);
	return a->conn != NULL;
}

static bool begin_grpc(struct kg_attempt *a, const struct kg_attempt_target *t,
	const struct kg_value *grpc, int64_t timeout_ms)
{
	a->grpc = kg_probe_grpc_new(a->loop, t->ip, (int)kg_int(kg_get(grpc, "port"), 0),
		kg_string(kg_get(grpc, "service"), ""), timeout_ms, connection_ended, a);
	return a->grpc != NULL;
}

/* false where it cannot even be begun. */
static bool begin(struct kg_attempt *a, const struct kg_attempt_target *t,
	const struct kg_value *what, int64_t timeout_ms)
{
	const struct kg_value *exec = kg_get(what, "exec"), *grpc = kg_get(what, "grpc");

	if (!kg_is_null(exec))
		return begin_command(a, t, kg_get(exec, "command"));
	return kg_is_null(grpc) ? begin_connection(a, t, what) : begin_grpc(a, t, grpc, timeout_ms);
}

void kg_attempt_begin(struct kg_attempt *a, const struct kg_attempt_target *t,
	const struct kg_value *what, int64_t timeout_ms)
{
	const struct kg_value *sleep = kg_get(what, "sleep");

	a->pauses = !kg_is_null(sleep);
	if (a->pauses) {
		kg_timer_set(a->timer, kg_int(kg_get(sleep, "seconds"), 0) * 1000);
		return;
	}
	kg_timer_set(a->timer, timeout_ms > 0 ? timeout_ms : -1);
	if (!begin(a, t, what, timeout_ms))
		kg_timer_set(a->timer, 0);
}
