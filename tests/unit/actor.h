/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A holder that runs in a thread and plays from a script. */
#ifndef ACTOR_H
#define ACTOR_H

#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "clock.h"
#include "holder/held.h"
#include "machine.h"

#define STEPS_MAX 8
#define LATE	  60000000000ULL

/*
 * What the holder does with one connection: the request that it expects, its answer, and what
 * happens to a claim.
 */
struct step {
	enum wire_op op;
	bool connects; /* no request is expected: somebody looks whether the holder is there */
	int error;
	bool silent, hangs_up, ends; /* what it does instead of answering */
	int fds[WIRE_NR_FDS];
	bool dies;    /* it hangs up after its answer, and does not take the device back */
	int at_end;   /* what it answers when the device is given back */
	bool deaf;    /* it does not answer when the device is given back, but lives */
	bool last;    /* nobody serves any more after this answer */
	bool next;    /* another process serves from then on */
	bool killed;  /* its process ends, see server_process */
	bool inside;  /* it is in a container, where its PID is another one */
	bool late;    /* it answers, or hangs up, when its peer has waited too long for that */
	bool removes; /* it removes its socket, and then hangs up, later */
	bool moves;   /* its socket's file is another one from then on */
};

static struct {
	_Atomic int socket;
	const struct step *steps;
	int count, done;
	pthread_t thread;
} server = { .socket = -1 };

static int null, zero;
static uid_t me, server_user;
static _Atomic int server_process; /* another one that the holder is said to be, or 0 */
static int moves_after;		   /* so many connections, the socket's file is another one */

uid_t __real_geteuid(void);
uid_t __wrap_geteuid(void);
uid_t __wrap_geteuid(void)
{
	return me ? me : __real_geteuid();
}

int __real_getsockopt(int fd, int level, int name, void *value, socklen_t *size);
int __wrap_getsockopt(int fd, int level, int name, void *value, socklen_t *size);
int __wrap_getsockopt(int fd, int level, int name, void *value, socklen_t *size)
{
	int err = __real_getsockopt(fd, level, name, value, size);

	if (moves_after && !--moves_after)
		assert_int_equal(system("cd run; mv " A ".sock gone; touch " A ".sock"), 0);
	if (server_user)
		((struct ucred *)value)->uid = server_user;
	if (server_process)
		((struct ucred *)value)->pid = server_process;
	return err;
}

int __wrap_ioctl(int fd, unsigned long request, ...);
int __wrap_ioctl(int fd, unsigned long request, ...)
{
	assert_true(fcntl(fd, F_GETFD) >= 0);
	assert_int_equal(request, VFIO_DEVICE_GET_INFO);
	return 0;
}

/* ---- The holder ---------------------------------------------------------- */

static void answer(int fd, const struct step *step)
{
	struct wire_reply reply = {
		.error = step->error,
		.holder = step->inside ? STRANGER : getpid(),
		.claimed = STRANGER,
		.state = VFIOMIG_STATE_RUNNING,
	};
	int fds[WIRE_NR_FDS];

	/* A script leaves out a descriptor by leaving it 0. */
	for (int i = 0; i < WIRE_NR_FDS; i++)
		fds[i] = step->fds[i] ? step->fds[i] : -1;
	snprintf(reply.syspath, sizeof(reply.syspath), "%s/devices/pci0000:00/%s", root, A);
	wire_send_reply(fd, &reply, fds);
}

/* The clock goes as the peer looks at it, see clock.h. */
static void wait_long(void)
{
	uint64_t since = ahead;

	while (ahead < since + LATE)
		usleep(1000);
}

static void play(int fd, const struct step *step)
{
	struct wire_request request = { .op = 0 };
	char rest[8];

	if (step->connects) {
		server.done += recv(fd, &request, sizeof(request), 0) == 0;
		return;
	}
	if (recv(fd, &request, sizeof(request), 0) != sizeof(request) || request.op != step->op)
		return;
	server.done++;
	if (step->ends) {
		close(server.socket);
		server.socket = -1;
	}
	if (step->last) {
		close(server.socket);
		server.socket = -1;
	}
	if (step->next)
		server_process = getpid();
	if (step->killed)
		kill(server_process, SIGKILL);
	if (step->moves)
		sh("ln run/" A ".sock run/link; rm run/" A ".sock; mv run/link run/" A ".sock");
	if (step->late)
		wait_long();
	if (step->removes) {
		unlink(SOCKET);
		wait_long();
	}
	if (step->silent)
		/* Wait until the other side gives up. */
		recv(fd, rest, sizeof(rest), 0);
	if (step->silent || step->hangs_up || step->ends || step->removes)
		return;
	answer(fd, step);
	if (step->op == WIRE_TAKE && !step->error && !step->dies &&
	    recv(fd, &request, sizeof(request), 0) > 0 && request.op == WIRE_DONE) {
		if (step->deaf)
			recv(fd, rest, sizeof(rest), 0);
		else
			answer(fd, &(struct step){ .error = step->at_end });
	}
}

static void *serve(void *data)
{
	(void)data;
	for (int i = 0; i < server.count; i++) {
		int fd = accept4(server.socket, NULL, NULL, SOCK_CLOEXEC);

		if (fd < 0)
			break;
		play(fd, &server.steps[i]);
		close(fd);
	}
	return NULL;
}

static void listen_on(const char *path, int backlog)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };

	unlink(path);
	strcpy(address.sun_path, path);
	server.socket = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(server.socket, (struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(listen(server.socket, backlog), 0);
}

static void start(const struct step *steps, int count)
{
	listen_on(SOCKET, 8);
	server.steps = steps;
	server.count = count;
	server.done = 0;
	pthread_create(&server.thread, NULL, serve, NULL);
}

/* Check that each step of the script was played. */
static void stop(void)
{
	if (server.socket >= 0)
		shutdown(server.socket, SHUT_RDWR);
	pthread_join(server.thread, NULL);
	assert_int_equal(server.done, server.count);
	if (server.socket >= 0)
		close(server.socket);
	server.socket = -1;
}

#define START(...)                                    \
	const struct step script[] = { __VA_ARGS__ }; \
	struct vfiomig_device *dev = new_device(A);   \
	int before = count_fds();                     \
                                                      \
	(void)state;                                  \
	start(script, ARRAY_SIZE(script))

/* Check that the device is closed, that no descriptor is left open, and that the lock is gone. */
static void end(struct vfiomig_device *dev, int before)
{
	stop();
	assert_int_equal(vfiomig_device_get_fd(dev), -EBADF);
	assert_int_equal(count_fds(), before);
	assert_int_equal(access("run/" A ".lock", F_OK), -1);
	vfiomig_device_unref(dev);
}

#endif
