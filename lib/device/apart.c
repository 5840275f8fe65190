// SPDX-License-Identifier: LGPL-2.1-or-later
/* Work in a process of its own, which is left behind if it does not come back. */
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "apart.h"
#include "descriptors.h"
#include "process.h"
#include "sysfs.h"

void *apart_alloc(size_t size)
{
	void *shared = mmap(NULL, size, PROT_READ | PROT_WRITE,
			    MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	return shared == MAP_FAILED ? NULL : shared;
}

void apart_free(void *shared, size_t size)
{
	if (shared)
		munmap(shared, size);
}

/*
 * clone(2) with an exit signal of 0, and not fork(2): the program may have a handler for SIGCHLD,
 * or wait for any child, and the handlers of pthread_atfork(3) could wait for locks of other
 * threads. And not clone3(2), which some containers forbid.
 */
static int fork_quietly(int *pidfd)
{
	const unsigned long flags = CLONE_PIDFD;
	int pid;

	*pidfd = -1;
#ifdef __s390__
	pid = syscall(SYS_clone, NULL, flags, pidfd, NULL, 0);
#else
	pid = syscall(SYS_clone, flags, NULL, pidfd, NULL, 0);
#endif
	if (pid < 0)
		return -errno;
	/* Linux before 5.2, which knows no process but by its number. */
	if (pid && *pidfd < 0) {
		kill(pid, SIGKILL);
		return -ENOSYS;
	}
	return pid;
}

/* In the first of two processes: make the second one, which goes on when its pidfd is there. */
static void become_orphan(int tell, int go)
{
	int pid = fork();

	if (pid < 0)
		pid = -errno;
	if (pid && write(tell, &pid, sizeof(pid)) != sizeof(pid))
		_exit(1);
	if (pid)
		_exit(0);
	close(tell);
	if (read(go, &(char){ 0 }, 1) != 1)
		_exit(0);
	close(go);
}

/*
 * fork(2), for a function that allocates memory: only after that may the child of a process with
 * threads do so. Such a child raises SIGCHLD, and if it was left behind it would stay a zombie of a
 * program that does not wait for its children, or could be reaped by one that waits for all. So it
 * is the child of a child, which has ended when this returns.
 */
static int fork_to_allocate(int *pidfd)
{
	int tell[2] = { -1, -1 }, go[2] = { -1, -1 }, first, pid = 0, err = 0;

	*pidfd = -1;
	if (pipe2(tell, O_CLOEXEC))
		return -errno;
	if (pipe2(go, O_CLOEXEC)) {
		err = -errno;
		close(tell[0]);
		close(tell[1]);
		return err;
	}
	first = fork();
	if (first == 0) {
		close(tell[0]);
		close(go[1]);
		become_orphan(tell[1], go[0]);
		return 0;
	}
	err = first < 0 ? -errno : 0;
	close(tell[1]);
	if (!err && read(tell[0], &pid, sizeof(pid)) != sizeof(pid))
		err = -EAGAIN;
	/* In place of its number, the first process tells why there is no second one. */
	if (!err && pid < 0)
		err = pid;
	if (!err)
		*pidfd = syscall(SYS_pidfd_open, pid, 0);
	/* The end that is read is still open here: a process that was killed causes no SIGPIPE. */
	if (!err && (*pidfd < 0 || write(go[1], "", 1) != 1))
		err = -errno;
	close(tell[0]);
	close(go[0]);
	close(go[1]);
	if (first > 0)
		waitpid(first, NULL, 0);
	if (err)
		close_fdp(pidfd);
	return err ? err : pid;
}

/*
 * The processes that were left behind. Those of fork_quietly() have no exit signal, so nobody else
 * waits for them. Of others there is a pidfd, because the program may wait for them, too. Each is
 * reaped when the next process is started. Where there is no room for one, it stays a zombie until
 * the program ends.
 */
static _Atomic int left[64], left_fds[16];

static void add(_Atomic int *list, size_t n, int number)
{
	bool done = false;

	for (size_t i = 0; i < n && !done; i++)
		done = atomic_compare_exchange_strong(&list[i], &(int){ 0 }, number);
	if (!done && list == left_fds)
		close(number);
}

static void remember(int pid)
{
	add(left, ARRAY_SIZE(left), pid);
}

void apart_adopt(int pid)
{
	int pidfd = syscall(SYS_pidfd_open, pid, 0);

	/* 0 means that there is none in the list. */
	if (pidfd == 0) {
		pidfd = fcntl(0, F_DUPFD_CLOEXEC, 1);
		close(0);
	}
	if (pidfd > 0)
		add(left_fds, ARRAY_SIZE(left_fds), pidfd);
}

/* If it has not ended, waitid(2) succeeds without a PID. */
static bool has_to_stay(idtype_t type, int number, int flags)
{
	siginfo_t info = { .si_pid = 0 };

	return !waitid(type, number, &info, WEXITED | WNOHANG | flags) && !info.si_pid;
}

static void reap(void)
{
	int number;

	for (size_t i = 0; i < ARRAY_SIZE(left); i++) {
		number = atomic_exchange(&left[i], 0);
		if (number && has_to_stay(P_PID, number, __WCLONE))
			remember(number);
	}
	for (size_t i = 0; i < ARRAY_SIZE(left_fds); i++) {
		number = atomic_exchange(&left_fds[i], 0);
		if (number && has_to_stay(P_PIDFD, number, __WALL))
			add(left_fds, ARRAY_SIZE(left_fds), number);
		else if (number)
			close(number);
	}
}

/* Have the process end with its parent @parent, also if that has just ended: then it has another
 * parent already, or none that this PID namespace shows. */
static void end_with(int parent)
{
	int now;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	now = getppid();
	if (now && now != parent)
		_exit(0);
}

static int start(struct apart *a, int (*fork_apart)(int *pidfd), void (*fn)(void *arg), void *arg,
		 int *keep, size_t count)
{
	int pid, self = getpid();
	sigset_t all, before;

	*a = APART_NONE;
	reap();
	/* A handler of the parent's must not run in the child. */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	pid = fork_apart(&a->pidfd);
	if (pid == 0) {
		if (fork_apart == fork_quietly)
			end_with(self);
		/* A process that is left behind must keep no device and no lock open. */
		descriptors_close_others(0, keep, count);
		fn(arg);
		_exit(0);
	}
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (pid < 0)
		return pid;
	a->pid = pid;
	return 0;
}

int apart_start_with(struct apart *a, void (*fn)(void *arg), void *arg, int *keep, size_t count)
{
	return start(a, fork_quietly, fn, arg, keep, count);
}

int apart_start(struct apart *a, void (*fn)(void *arg), void *arg)
{
	return start(a, fork_quietly, fn, arg, NULL, 0);
}

int apart_start_allocating(struct apart *a, void (*fn)(void *arg), void *arg)
{
	int err = start(a, fork_to_allocate, fn, arg, NULL, 0);

	a->is_orphan = !err;
	return err;
}

static int ms_until(uint64_t until)
{
	uint64_t now = now_ns(), ms;

	if (now >= until)
		return 0;
	ms = (until - now) / 1000000 + 1;
	return ms > 1000 ? 1000 : ms;
}

/* Returns whether it has ended, after at most @ms milliseconds. */
static bool ended(const struct apart *a, int wake, int ms)
{
	struct pollfd p[] = {
		{ .fd = a->pidfd, .events = POLLIN },
		{ .fd = wake, .events = POLLIN },
	};

	return poll(p, 2, ms) > 0 && p[0].revents;
}

int apart_wait(struct vfiomig_ctx *ctx, const struct apart *a, uint64_t until)
{
	while (!ended(a, ctx ? ctx->wake : -1, ms_until(until))) {
		if (ctx && ctx->interrupted)
			return -EINTR;
		if (ctx)
			ctx_forget_wake(ctx);
		if (now_ns() >= until)
			return -ETIMEDOUT;
	}
	return 0;
}

bool apart_is_running(const struct vfiomig_ctx *ctx, const struct apart *a)
{
	return process_state(ctx, a->pid) == 'R';
}

void apart_outlive(void)
{
	prctl(PR_SET_PDEATHSIG, 0);
}

static void forget(struct apart *a)
{
	close_fdp(&a->pidfd);
	*a = APART_NONE;
}

void apart_leave(struct apart *a)
{
	if (a->pid && !a->is_orphan)
		remember(a->pid);
	forget(a);
}

uint64_t apart_delay_ns(const struct vfiomig_ctx *ctx, const struct apart *a)
{
	char dir[PATH_MAX], text[128];
	unsigned long long ran, delay;

	snprintf(dir, sizeof(dir), "%s/%d", ctx->procfs, a->pid);
	if (sysfs_read_text(dir, "schedstat", text, sizeof(text)) ||
	    sscanf(text, "%llu %llu", &ran, &delay) != 2)
		return 0;
	return delay;
}

void apart_kill(const struct apart *a)
{
	if (a->pid && !ended(a, -1, 0))
		syscall(SYS_pidfd_send_signal, a->pidfd, SIGKILL, NULL, 0);
}

bool apart_end_until(struct apart *a, uint64_t until)
{
	siginfo_t info;
	bool done;

	if (!a->pid)
		return true;
	apart_kill(a);
	while (!(done = ended(a, -1, ms_until(until))) && now_ns() < until)
		;
	if (!done) {
		apart_leave(a);
		return false;
	}
	waitid(P_PIDFD, a->pidfd, &info, WEXITED | WNOHANG | __WALL);
	forget(a);
	return true;
}

bool apart_end(struct apart *a)
{
	return apart_end_until(a, now_ns() + APART_DYING);
}

/* ---- One function -------------------------------------------------------- */

/* Others may have the processors: then the process gets a little more time. */
static int wait_patiently(struct vfiomig_ctx *ctx, const struct apart *a, uint64_t until)
{
	int err = apart_wait(ctx, a, until);

	if (err == -ETIMEDOUT && ctx && apart_is_running(ctx, a))
		err = apart_wait(ctx, a, now_ns() + APART_PATIENCE);
	return err;
}

static int call_with(struct vfiomig_ctx *ctx, void (*fn)(void *arg), void *arg, size_t size,
		     uint64_t until, int *keep, size_t count)
{
	void *shared = apart_alloc(size);
	struct apart a;
	int err;

	if (!shared)
		return -ENOMEM;
	memcpy(shared, arg, size);
	err = apart_start_with(&a, fn, shared, keep, count);
	if (!err)
		err = wait_patiently(ctx, &a, until);
	apart_end(&a);
	if (!err)
		memcpy(arg, shared, size);
	apart_free(shared, size);
	return err;
}

int apart_call(struct vfiomig_ctx *ctx, void (*fn)(void *arg), void *arg, size_t size,
	       uint64_t until)
{
	return call_with(ctx, fn, arg, size, until, NULL, 0);
}

/* ---- open(2) ------------------------------------------------------------- */

struct opening {
	const char *path;
	int flags;
	int socket; /* for the descriptor */
	int err;
};

union control {
	struct cmsghdr align;
	char space[CMSG_SPACE(sizeof(int))];
};

static int send_fd(int socket, int fd)
{
	union control control = { .align = {
					  .cmsg_len = CMSG_LEN(sizeof(fd)),
					  .cmsg_level = SOL_SOCKET,
					  .cmsg_type = SCM_RIGHTS,
				  } };
	struct iovec iov = { .iov_base = &(char){ 0 }, .iov_len = 1 };
	struct msghdr msg = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = sizeof(control),
	};

	memcpy(CMSG_DATA(&control.align), &fd, sizeof(fd));
	return sendmsg(socket, &msg, MSG_NOSIGNAL) < 0 ? -errno : 0;
}

static int receive_fd(int socket)
{
	union control control;
	struct iovec iov = { .iov_base = &(char){ 0 }, .iov_len = 1 };
	struct msghdr msg = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = sizeof(control),
	};
	int fd;

	if (recvmsg(socket, &msg, MSG_CMSG_CLOEXEC | MSG_DONTWAIT) < 0)
		return -errno;
	/* The kernel leaves the descriptor out if this process can have no more. */
	if (!CMSG_FIRSTHDR(&msg))
		return -EMFILE;
	memcpy(&fd, CMSG_DATA(&control.align), sizeof(fd));
	return fd;
}

static void do_open(void *arg)
{
	struct opening *o = arg;
	int fd = open(o->path, o->flags);

	o->err = fd < 0 ? -errno : send_fd(o->socket, fd);
}

int apart_open(struct vfiomig_ctx *ctx, const char *path, int flags, uint64_t until)
{
	struct opening o = { .path = path, .flags = flags, .err = -EIO };
	int pair[2], err, fd = -1;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair))
		return -errno;
	o.socket = pair[1];
	err = call_with(ctx, do_open, &o, sizeof(o), until, &pair[1], 1);
	if (!err)
		err = o.err;
	if (!err)
		fd = receive_fd(pair[0]);
	close(pair[0]);
	close(pair[1]);
	return err ? err : fd;
}

/* ---- A file of sysfs or debugfs ------------------------------------------ */

struct apart_text {
	const char *dir, *name;
	int err;
	char text[PATH_MAX];
};

static void read_file(void *arg)
{
	struct apart_text *t = arg;

	t->err = sysfs_read_text(t->dir, t->name, t->text, sizeof(t->text));
}

static void begin_reading(struct apart_reading *r)
{
	r->apart = APART_NONE;
	r->shared = apart_alloc(sizeof(*r->shared));
	r->err = -ENOMEM;
	if (!r->shared)
		return;
	*r->shared = (struct apart_text){ .dir = r->dir, .name = r->name, .err = -EIO };
	r->err = apart_start(&r->apart, read_file, r->shared);
}

static void wait_reading(struct vfiomig_ctx *ctx, struct apart_reading *r, uint64_t until)
{
	if (!r->apart.pid)
		return;
	r->err = wait_patiently(ctx, &r->apart, until);
	apart_kill(&r->apart);
}

static void end_reading(struct apart_reading *r, uint64_t until)
{
	apart_end_until(&r->apart, until);
	if (!r->err)
		r->err = r->shared->err;
	if (!r->err)
		snprintf(r->text, r->size, "%s", r->shared->text);
	apart_free(r->shared, sizeof(*r->shared));
}

void apart_read_all(struct vfiomig_ctx *ctx, struct apart_reading *list, size_t n, uint64_t until)
{
	uint64_t dead;

	for (size_t i = 0; i < n; i++)
		begin_reading(&list[i]);
	for (size_t i = 0; i < n; i++)
		wait_reading(ctx, &list[i], until);
	dead = now_ns() + APART_DYING;
	for (size_t i = 0; i < n; i++)
		end_reading(&list[i], dead);
}

int apart_read_text(struct vfiomig_ctx *ctx, const char *dir, const char *name, char *text,
		    size_t size, uint64_t until)
{
	struct apart_reading r = { .dir = dir, .name = name, .text = text, .size = size };

	apart_read_all(ctx, &r, 1, until);
	return r.err;
}
