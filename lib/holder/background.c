// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * A child that goes on in the background. A signal to the caller's process group may come at any
 * moment. It is the caller's, so it must not end the child, and the caller must not tell anybody
 * that the child goes on before the child is out of reach.
 */
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "background.h"
#include "device/apart.h"

/* How long a child may take to die of SIGKILL, which a frozen process does only when it is thawed.
 * Whoever has interrupted the command wants it to end within a second. */
#define DYING_MS 500

/* ---- In the child -------------------------------------------------------- */

/* Leave the caller's process group, and forget the signals that have come to it. */
static void leave_group(void)
{
	const struct timespec now = { 0 };
	sigset_t all;

	setsid();
	sigfillset(&all);
	while (sigtimedwait(&all, NULL, &now) > 0)
		;
}

void background_say(int word, const struct failure *failure)
{
	ssize_t n = send(word, failure, sizeof(*failure), MSG_NOSIGNAL | MSG_DONTWAIT);

	(void)n;
}

/* ---- In the parent ------------------------------------------------------- */

int background_fork(struct vfiomig_ctx *ctx, int *word)
{
	sigset_t all, before;
	int ends[2], mine;
	pid_t pid;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends))
		return ctx_fail(ctx, -errno, "cannot make a socket: %m");
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	/* From here on no signal is handled twice: by the parent and by the child. */
	if (ctx->interrupted) {
		pid = ctx_fail_interrupted(ctx);
	} else {
		pid = fork();
		if (pid < 0)
			pid = ctx_fail(ctx, -errno, "cannot fork: %m");
	}
	if (pid == 0)
		leave_group();
	else
		pthread_sigmask(SIG_SETMASK, &before, NULL);
	mine = pid == 0;
	close(ends[!mine]);
	if (pid < 0)
		close(ends[mine]);
	*word = pid < 0 ? -1 : ends[mine];
	return pid;
}

/* End the child. Returns false if it has not died in time. @status is for waitpid(2). */
static bool end(int pid, int word, int *status)
{
	/* This socket hangs up when the child has closed its end, whatever can be read still. */
	struct pollfd p = { .fd = word };
	pid_t reaped;
	bool ended;

	kill(pid, SIGKILL);
	while (poll(&p, 1, DYING_MS) < 0 && errno == EINTR)
		;
	do {
		reaped = waitpid(pid, status, p.revents ? 0 : WNOHANG);
	} while (reaped < 0 && errno == EINTR);
	ended = p.revents || reaped;
	/* After it was reaped, the number may be another process's. */
	if (!ended)
		apart_adopt(pid);
	return ended;
}

static int fail_silent(struct vfiomig_ctx *ctx, int pid, int status)
{
	if (WIFSIGNALED(status))
		return ctx_fail(ctx, -ECHILD,
				"process %d, which was to hold it, was killed by signal %d", pid,
				WTERMSIG(status));
	return ctx_fail(ctx, -ECHILD, "process %d, which was to hold it, has ended", pid);
}

int background_wait(struct vfiomig_ctx *ctx, int pid, int word)
{
	struct pollfd p[] = {
		{ .fd = word, .events = POLLIN },
		{ .fd = ctx->wake, .events = POLLIN },
	};
	bool interrupted = false, ended;
	struct failure failure;
	int status = 0;
	ssize_t n;

	while (!interrupted && (poll(p, 2, -1) < 0 || !p[0].revents)) {
		interrupted = ctx->interrupted;
		ctx_forget_wake(ctx);
	}
	/* After an interrupt, too: once the child has said its word, it is out of reach. */
	n = recv(word, &failure, sizeof(failure), MSG_DONTWAIT);
	if (n == sizeof(failure) && !failure.err)
		return 0;
	ended = end(pid, word, &status);
	if (n == sizeof(failure)) {
		ctx_set_failure(ctx, &failure);
		return failure.err;
	}
	if (!interrupted)
		return fail_silent(ctx, pid, status);
	if (!ended)
		return ctx_fail(
			ctx, -EINTR,
			"interrupted by a signal, but process %d, which was to hold it, does not end",
			pid);
	return ctx_fail_interrupted(ctx);
}
