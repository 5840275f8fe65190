/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* System calls that fail when a test tells them to. */
#ifndef BREAKS_H
#define BREAKS_H

#include <fcntl.h>
#include <pthread.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "clock.h"
#include "holder/held.h"
#include "machine.h"

/* The name of the call that fails, and its errno. */
static struct {
	const char *_Atomic call;
	_Atomic int error;
	_Atomic int skip; /* how many calls succeed before the one that fails */
} fault;
static _Atomic bool no_accept; /* accept4() waits as long as this is set */

static bool fails(const char *call)
{
	const char *which = fault.call;

	if (!which || strcmp(which, call) != 0 || fault.skip-- > 0)
		return false;
	fault.call = NULL;
	errno = fault.error;
	return true;
}

/* Wrap the function @name, which has these parameters, so that it can fail. */
#define WRAP(type, name, parameters, ...)                              \
	type __real_##name parameters;                                 \
	type __wrap_##name parameters;                                 \
	type __wrap_##name parameters                                  \
	{                                                              \
		return fails(#name) ? -1 : __real_##name(__VA_ARGS__); \
	}

WRAP(int, socket, (int domain, int type, int protocol), domain, type, protocol)
WRAP(int, bind, (int fd, const struct sockaddr *address, socklen_t size), fd, address, size)
WRAP(int, listen, (int fd, int backlog), fd, backlog)
WRAP(pid_t, fork, (void))
WRAP(int, eventfd, (unsigned int value, int flags), value, flags)
WRAP(int, getsockopt, (int fd, int level, int name, void *value, socklen_t *size), fd, level, name,
     value, size)

int __real_accept4(int fd, struct sockaddr *address, socklen_t *size, int flags);
int __wrap_accept4(int fd, struct sockaddr *address, socklen_t *size, int flags);
int __wrap_accept4(int fd, struct sockaddr *address, socklen_t *size, int flags)
{
	while (no_accept)
		usleep(1000);
	return fails("accept4") ? -1 : __real_accept4(fd, address, size, flags);
}

int __wrap_ioctl(int fd, unsigned long request, ...);
int __wrap_ioctl(int fd, unsigned long request, ...)
{
	assert_true(fcntl(fd, F_GETFD) >= 0);
	errno = ENOTTY;
	return request == VFIO_DEVICE_FEATURE ? -1 : 0;
}

#endif
