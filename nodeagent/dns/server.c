#include "dns/server.h"
#include "base/log.h"
#include "base/mem.h"
#include "dns/confine.h"
#include "dns/server_private.h"
#include "dns/splice.h"
#include "sys/file.h"
#include "value/json.h"

#include <arpa/inet.h>
#include <arpa/nameser.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/filter.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/inotify.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

/*
 * Overview. A new server binds beside the old one (SO_REUSEPORT), so that no question finds nobody,
 * and, once it has read what it is to serve, tells the old one to end: that lets go of its lock,
 * takes no more questions, answers what it was asked and goes. The lock is POSIX's, since that
 * tells who has it.
 */

#define CONFIG_MAX  (1 << 20)
#define PART_MAX    (16 << 20)
#define DRAIN_MS    2000
#define TAKEOVER_MS 3000 /* after which an old server that does not let go is killed */
#define LOOK_MS     2    /* whether it has */
#define END_MS      5000
#define NOBODY      65534
#define RESOLV_CONF "/etc/resolv.conf"

/* ---- questions ---- */

bool kg_dns_may_ask(const struct kg_dns_server *s, const struct sockaddr_in *peer)
{
	if (peer->sin_family != AF_INET)
		return false;
	for (size_t i = 0; i < s->nranges; i++) {
		if ((peer->sin_addr.s_addr & s->ranges[i].mask) == s->ranges[i].addr)
			return true;
	}
	return false;
}

static void finish(struct kg_dns_asked *a, size_t len)
{
	struct kg_dns_server *s = a->server;

	a->reply(a, s->buf, len);
	free(a->aliases);
	free(a);
}

/* What others say, behind the aliases that led to them; 0: nothing of use. */
static size_t take_answer(struct kg_dns_asked *a, const uint8_t *answer, size_t len)
{
	struct kg_dns_server *s = a->server;

	if (!answer || len > KG_DNS_MAX_ANSWER)
		return 0;
	if (a->aliases) {
		memcpy(s->buf, a->aliases, a->naliases);
		return kg_dns_splice(s->buf, a->naliases, answer, len);
	}
	memcpy(s->buf, answer, len);
	return len;
}

static void on_answer(void *ctx, const uint8_t *answer, size_t len)
{
	struct kg_dns_asked *a = ctx;
	struct kg_dns_server *s = a->server;

	s->asked--;
	len = take_answer(a, answer, len);
	if (len)
		len = kg_dns_answer_fit(s->buf, len, &a->query);
	else
		len = kg_dns_refuse(s->buf, &a->query, ns_r_servfail);
	finish(a, len);
	kg_dns_look_done(s);
}

void kg_dns_look_done(struct kg_dns_server *s)
{
	if (s->ending && s->asked == 0 && !s->connections)
		kg_loop_stop(s->loop, 0);
}

static void ask_others(struct kg_dns_asked *a, const char *name, unsigned most)
{
	struct kg_dns_server *s = a->server;

	if (s->asked >= most) {
		finish(a, kg_dns_refuse(s->buf, &a->query, ns_r_refused));
		return;
	}
	s->asked++;
	kg_resolver_ask(s->resolver, name, a->query.type, on_answer, a);
}

/* The cluster's names wait for nobody, but for what aliases lead to: resolvers elsewhere that do
 * not answer leave room for that. */
static void look_up(struct kg_dns_asked *a)
{
	struct kg_dns_server *s = a->server;
	char target[KG_RECORD_NAME];

	if (!kg_names_has_zone(s->names, a->query.name)) {
		ask_others(a, a->query.name, s->limits.forwarded);
		return;
	}
	size_t len = kg_names_answer(s->buf, target, s->names, &a->query);
	if (!*target) {
		finish(a, kg_dns_answer_fit(s->buf, len, &a->query));
		return;
	}
	a->aliases = kg_memdup(s->buf, len);
	a->naliases = len;
	ask_others(a, target, s->limits.questions);
}

void kg_dns_ask(struct kg_dns_asked *a, const uint8_t *p, size_t len, bool udp)
{
	struct kg_dns_server *s = a->server;
	int rcode = kg_dns_query_parse(&a->query, p, len, udp);

	if (rcode < 0)
		finish(a, 0);
	else if (rcode > 0)
		finish(a, kg_dns_refuse(s->buf, &a->query, rcode));
	else
		look_up(a);
}

/* ---- what is served ---- */

/* What a config says: in force all of it, or nothing. */
struct terms {
	struct kg_dns_range *ranges;
	size_t nranges;
	struct kg_dns_limits limits;
	struct kg_names *names;
};

static void release_terms(struct terms *t)
{
	free(t->ranges);
	kg_names_free(t->names);
}

static int read_ranges(struct terms *t, const struct kg_value *list, struct kg_error *err)
{
	t->ranges = kg_alloc((kg_len(list) + 1) * sizeof(*t->ranges));
	for (uint32_t i = 0; i < kg_len(list); i++) {
		const char *text = kg_string(&list->items[i], "");
		struct in_addr addr = {0};
		int bits = inet_net_pton(AF_INET, text, &addr, sizeof(addr));

		if (bits < 0)
			return kg_fail(err, KG_E_INVALID, "range \"%s\" is none", text);
		t->ranges[i].mask = bits ? htonl(~0U << (32 - bits)) : 0;
		t->ranges[i].addr = addr.s_addr & t->ranges[i].mask;
	}
	t->nranges = kg_len(list);
	return 0;
}

static int read_part(struct kg_names *names, unsigned part, bool may_lack, struct kg_error *err)
{
	KG_AUTOBUF struct kg_buf text = KG_BUF_INIT;
	char name[16];

	snprintf(name, sizeof(name), KG_DNS_PART, part);
	int rc = kg_file_read(&text, name, PART_MAX, err);
	if (rc == -(int)KG_E_NOT_FOUND && may_lack)
		return 0;
	if (rc == 0)
		rc = kg_names_put(names, part, kg_buf_str(&text), err);
	return rc < 0 ? kg_wrap(err, "%s", name) : 0;
}

static int read_names(struct terms *t, const struct kg_value *zones, struct kg_error *err)
{
	KG_AUTOFREE const char **names = kg_alloc((kg_len(zones) + 1) * sizeof(*names));
	uint32_t n = kg_len(zones);
	int rc = 0;

	if (n == 0)
		return kg_fail(err, KG_E_INVALID, "no zones");
	for (uint32_t i = 0; i < n; i++)
		names[i] = kg_string(&zones->items[i], ".");
	t->names = kg_names_new(names, n);
	for (unsigned part = 0; rc == 0 && part < KG_NAMES_PARTS; part++)
		rc = read_part(t->names, part, part < KG_NAMES_PARTS - 1, err);
	return rc;
}

static int read_config(struct terms *t, struct kg_error *err)
{
	struct kg_arena arena KG_CLEANUP(kg_arena_release) = KG_ARENA_INIT;
	KG_AUTOBUF struct kg_buf text = KG_BUF_INIT;
	struct kg_value v;
	int rc = kg_file_read(&text, KG_DNS_CONFIG, CONFIG_MAX, err);

	if (rc == 0)
		rc = kg_json_parse(&v, &arena, kg_buf_str(&text), text.len, err);
	if (rc == 0)
		rc = read_ranges(t, kg_get(&v, "ranges"), err);
	if (rc < 0)
		return rc;
	kg_dns_limits_read(&t->limits, kg_get(&v, "limits"));
	return read_names(t, kg_get(&v, "zones"), err);
}

static int load(struct kg_dns_server *s, struct kg_error *err)
{
	struct terms t = {0};
	int rc = read_config(&t, err);

	if (rc == 0) {
		struct terms old = {.ranges = s->ranges, .names = s->names};

		s->ranges = t.ranges;
		s->nranges = t.nranges;
		s->limits = t.limits;
		s->names = t.names;
		t = old;
	}
	release_terms(&t);
	return rc;
}

static void kept(const struct kg_error *err)
{
	kg_error_log("dns: %s; what was known before is served", err->msg);
}

/* What moved: everything, or a part. */
static void reload(struct kg_dns_server *s, const char *name)
{
	struct kg_error err;
	unsigned part;
	char own[16] = "";

	if (!name || strcmp(name, KG_DNS_CONFIG) == 0) {
		if (load(s, &err) < 0)
			kept(&err);
		return;
	}
	if (sscanf(name, KG_DNS_PART, &part) == 1 && part < KG_NAMES_PARTS)
		snprintf(own, sizeof(own), KG_DNS_PART, part);
	if (strcmp(own, name) == 0 && read_part(s->names, part, false, &err) < 0)
		kept(&err);
}

/* A few at a time: who asks does not wait for all of them. */
static void on_files(void *ctx, uint32_t events)
{
	_Alignas(struct inotify_event) char buf[512];
	struct kg_dns_server *s = ctx;
	ssize_t n = read(s->inotify, buf, sizeof(buf));

	(void)events;
	for (char *p = buf; p < buf + n;) {
		const struct inotify_event *e = (const void *)p;

		if (e->mask & IN_Q_OVERFLOW)
			reload(s, NULL);
		else if (e->len)
			reload(s, e->name);
		p += sizeof(*e) + e->len;
	}
}

/* ---- sockets ---- */

static int bind_to(int *out, int type, const char *address, struct kg_error *err)
{
	struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons(NS_DEFAULTPORT)};
	KG_AUTOCLOSE int fd = socket(AF_INET, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	int on = 1;

	if (inet_pton(AF_INET, address, &in.sin_addr) != 1)
		return kg_fail(err, KG_E_INVALID, "address \"%s\" is none", address);
	/* The bridge may come later, or anew. */
	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on)) < 0 ||
		setsockopt(fd, IPPROTO_IP, IP_FREEBIND, &on, sizeof(on)) < 0 ||
		bind(fd, (struct sockaddr *)&in, sizeof(in)) < 0)
		return kg_fail_errno(err, "%s %s:%d", type == SOCK_STREAM ? "TCP" : "UDP", address,
			NS_DEFAULTPORT);
	*out = fd;
	fd = -1;
	return 0;
}

static int watch(
	struct kg_dns_server *s, int i, int fd, void (*fn)(void *, uint32_t), struct kg_error *err)
{
	s->watches[i] = kg_loop_watch(s->loop, fd, EPOLLIN, fn, s);
	return s->watches[i] ? 0 : kg_fail_errno(err, "watch");
}

static void close_watched(struct kg_dns_server *s, int i, int *fd)
{
	kg_watch_free(s->watches[i]);
	s->watches[i] = NULL;
	kg_closep(fd);
	*fd = -1;
}

/* ---- one server after the other ---- */

/* From now on new connections are this server's, though it takes them in only when it serves: those
 * that the old one has are few, and taken in before it closes its socket. Of the sockets of one
 * address the kernel has the oldest first, and where the group has a program, what that says: the
 * second, where there is one. Without it (a kernel that refuses) some that are not taken in yet
 * are reset. */
static int attract(struct kg_dns_server *s, struct kg_error *err)
{
	struct sock_filter second[] = {{BPF_RET | BPF_K, 0, 0, 1}};
	struct sock_fprog program = {.len = KG_ARRAY_LEN(second), .filter = second};

	if (listen(s->tcp, KG_DNS_BACKLOG) < 0)
		return kg_fail_errno(err, "listen on TCP port %d", NS_DEFAULTPORT);
	(void)!setsockopt(s->tcp, SOL_SOCKET, SO_ATTACH_REUSEPORT_CBPF, &program, sizeof(program));
	return 0;
}

static int open_lock(struct kg_dns_server *s, struct kg_error *err)
{
	s->lock = open(KG_DNS_PID, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	return s->lock < 0 ? kg_fail_errno(err, "open %s/" KG_DNS_PID, s->dir) : 0;
}

struct holder {
	pid_t pid; /* who was told to end */
	int64_t since;
	bool killed;
};

static int end_holder(struct holder *h, pid_t pid, struct kg_error *err)
{
	int64_t now = kg_monotonic_ms();
	int signo = 0;

	if (pid <= 0)
		return kg_fail(
			err, KG_E_EXISTS, "the process that has it locked is not to be seen");
	if (pid != h->pid) {
		*h = (struct holder){.pid = pid, .since = now};
		signo = SIGTERM;
	} else if (now - h->since > 2 * TAKEOVER_MS) {
		return kg_fail(err, KG_E_EXISTS, "process %d does not end", (int)pid);
	} else if (now - h->since > TAKEOVER_MS && !h->killed) {
		kg_warn("dns: process %d did not let go and is killed", (int)pid);
		h->killed = true;
		signo = SIGKILL;
	}
	if (signo && kill(pid, signo) < 0 && errno != ESRCH)
		return kg_fail_errno(err, "end process %d", (int)pid);
	return 0;
}

/* Takes the lock from whom has it. */
static int take_over(struct kg_dns_server *s, struct kg_error *err)
{
	struct holder h = {0};

	for (;;) {
		struct flock has = {.l_type = F_WRLCK, .l_whence = SEEK_SET}, want = has;

		if (fcntl(s->lock, F_SETLK, &want) == 0)
			return 0;
		if ((errno != EAGAIN && errno != EACCES) || fcntl(s->lock, F_GETLK, &has) < 0)
			return kg_fail_errno(err, "lock %s/" KG_DNS_PID, s->dir);
		if (has.l_type != F_UNLCK && end_holder(&h, has.l_pid, err) < 0)
			return kg_wrap(err, "lock %s/" KG_DNS_PID, s->dir);
		poll(NULL, 0, LOOK_MS);
	}
}

/* From here on questions are the other server's: a connected socket has its peer's alone, and there
 * is none. What came before is still there. */
static void take_no_more(struct kg_dns_server *s)
{
	struct sockaddr_in own;
	socklen_t size = sizeof(own);

	if (getsockname(s->udp, (struct sockaddr *)&own, &size) == 0)
		(void)!connect(s->udp, (struct sockaddr *)&own, size);
	for (unsigned i = 0; i <= s->limits.questions / KG_DNS_AT_ONCE; i++)
		kg_dns_on_udp(s, 0);
}

static void on_drained(void *ctx)
{
	kg_loop_stop(ctx, 0);
}

static void on_stop(void *ctx, int signo)
{
	struct kg_dns_server *s = ctx;

	(void)signo;
	if (s->ending)
		return;
	take_no_more(s);
	kg_dns_accept_all(s);
	s->ending = true;
	close_watched(s, 1, &s->tcp);
	close_watched(s, 2, &s->inotify);
	kg_watch_free(s->watches[0]); /* its socket still answers */
	s->watches[0] = NULL;
	kg_dns_close_idle(s);
	kg_closep(&s->lock);
	s->lock = -1;
	(void)!chdir("/"); /* the directory may go now */
	kg_timer_set(kg_timer_new(s->loop, on_drained, s->loop), DRAIN_MS);
	kg_dns_look_done(s);
}

/* ---- life ---- */

static int drop_privileges(struct kg_error *err)
{
	if (setgroups(0, NULL) < 0 || setresgid(NOBODY, NOBODY, NOBODY) < 0 ||
		setresuid(NOBODY, NOBODY, NOBODY) < 0 || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return kg_fail_errno(err, "become nobody");
	return 0;
}

/* As many files as may be: a connection each. */
static void raise_files(void)
{
	struct rlimit files;

	if (getrlimit(RLIMIT_NOFILE, &files) < 0)
		return;
	files.rlim_cur = files.rlim_max;
	(void)!setrlimit(RLIMIT_NOFILE, &files);
}

static int start(struct kg_dns_server *s, const char *address, bool confined, struct kg_error *err)
{
	struct kg_resolver_options resolver = {.resolv_conf = RESOLV_CONF};
	int rc;

	if (chdir(s->dir) < 0)
		return kg_fail_errno(err, "enter %s", s->dir);
	raise_files();
	rc = bind_to(&s->udp, SOCK_DGRAM, address, err);
	if (rc == 0)
		rc = bind_to(&s->tcp, SOCK_STREAM, address, err);
	if (rc == 0)
		rc = open_lock(s, err);
	if (rc == 0)
		rc = drop_privileges(err);
	if (rc == 0 && confined)
		rc = kg_dns_confine(err);
	if (rc < 0)
		return rc;
	s->inotify = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	if (s->inotify < 0 || inotify_add_watch(s->inotify, ".", IN_MOVED_TO) < 0)
		return kg_fail_errno(err, "watch %s", s->dir);
	s->resolver = kg_resolver_new(s->loop, &resolver);
	rc = load(s, err);
	if (rc == 0)
		rc = attract(s, err);
	if (rc == 0)
		rc = take_over(s, err);
	if (rc == 0)
		rc = watch(s, 0, s->udp, kg_dns_on_udp, err);
	if (rc == 0)
		rc = watch(s, 1, s->tcp, kg_dns_on_tcp, err);
	if (rc == 0)
		rc = watch(s, 2, s->inotify, on_files, err);
	return rc;
}

static void stop(struct kg_dns_server *s)
{
	kg_dns_close_all(s);
	kg_resolver_free(s->resolver);
	kg_names_free(s->names);
	for (int i = 0; i < 3; i++)
		kg_watch_free(s->watches[i]);
	kg_closep(&s->udp);
	kg_closep(&s->tcp);
	kg_closep(&s->inotify);
	kg_closep(&s->lock);
	free(s->ranges);
	kg_loop_free(s->loop);
	free(s);
}

int kg_dns_serve(const char *dir, const char *address, bool confined)
{
	struct kg_dns_server *s = kg_alloc(sizeof(*s));
	struct kg_error err = {0};
	int rc = 1;

	kg_signals_block();
	*s = (struct kg_dns_server){
		.loop = kg_loop_new(), .dir = dir, .lock = -1, .udp = -1, .tcp = -1, .inotify = -1};
	if (kg_loop_signal(s->loop, SIGTERM, on_stop, s) < 0)
		kg_fail_errno(&err, "signals");
	if (err.code == KG_OK && start(s, address, confined, &err) == 0)
		rc = kg_loop_run(s->loop);
	else
		kg_error_log("dns: %s", err.msg);
	stop(s);
	/* What else runs at a program's end, a leak sanitizer's look, needs calls that are refused.
	 */
	if (confined)
		_exit(rc);
	return rc;
}

int kg_dns_end(const char *dir, struct kg_error *err)
{
	KG_AUTOFREE char *path = kg_asprintf("%s/" KG_DNS_PID, dir);
	struct flock has = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
	KG_AUTOCLOSE int fd = open(path, O_RDWR | O_CLOEXEC);

	if (fd < 0)
		return errno == ENOENT ? 0 : kg_fail_errno(err, "open %s", path);
	if (fcntl(fd, F_GETLK, &has) < 0)
		return kg_fail_errno(err, "lock of %s", path);
	if (has.l_type == F_UNLCK)
		return 0;
	KG_AUTOCLOSE int pid = (int)syscall(SYS_pidfd_open, has.l_pid, 0);
	if (pid < 0)
		return errno == ESRCH ? 0 : kg_fail_errno(err, "process %d", (int)has.l_pid);
	/* Its lock says that the number is still its own. */
	if (fcntl(fd, F_GETLK, &has) < 0 || has.l_type == F_UNLCK)
		return 0;
	syscall(SYS_pidfd_send_signal, pid, SIGTERM, NULL, 0);
	struct pollfd ended = {.fd = pid, .events = POLLIN};
	if (poll(&ended, 1, END_MS) == 1)
		return 0;
	syscall(SYS_pidfd_send_signal, pid, SIGKILL, NULL, 0);
	poll(&ended, 1, END_MS);
	return 0;
}
