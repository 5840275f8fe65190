/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What every unit test includes: cmocka, the library's internal headers, and what most tests need:
 * a context, devices, files in memory, and limits on descriptors.
 */
#ifndef UNIT_H
#define UNIT_H

#include <dirent.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>

#include <cmocka.h>

#include "device/device.h"
#include "device/sysfs.h"
#include "internal.h"

/* The context of the test. */
__attribute__((unused)) static struct vfiomig_ctx *ctx;

/* In a test the run-time directory need not have an absolute path. */
static inline void use_rundir(struct vfiomig_ctx *c, const char *path)
{
	free(c->rundir);
	c->rundir = path ? strdup(path) : NULL;
}

static inline int make_ctx(void **state)
{
	(void)state;
	return vfiomig_new(&ctx);
}

static inline int free_ctx(void **state)
{
	(void)state;
	vfiomig_unref(ctx);
	return 0;
}

static inline void assert_context_says(const struct vfiomig_ctx *c, const char *part)
{
	if (!strstr(vfiomig_get_error(c), part))
		fail_msg("\"%s\" does not say \"%s\"", vfiomig_get_error(c), part);
}

/* The last error's sentence contains @part. */
static inline void assert_says(const char *part)
{
	assert_context_says(ctx, part);
}

static inline void on_alarm(int sig)
{
	(void)sig;
	vfiomig_interrupt(ctx);
}

/* From now on alarm(2) interrupts the context, as a signal handler of a program would. */
static inline void interrupt_on_alarm(void)
{
	struct sigaction act = { .sa_handler = on_alarm };

	sigaction(SIGALRM, &act, NULL);
}

/* The device of this name, which must be there; not open. */
static inline struct vfiomig_device *new_device(const char *name)
{
	struct vfiomig_device *dev;

	assert_int_equal(vfiomig_device_new(ctx, name, &dev), 0);
	return dev;
}

/* A file in memory with this content, to be read from its beginning. */
static inline int new_file(const void *data, size_t size)
{
	int fd = memfd_create("file", MFD_CLOEXEC);

	assert_int_equal(write(fd, data, size), size);
	lseek(fd, 0, SEEK_SET);
	return fd;
}

/* How many descriptors this process has open, give or take the same constant. */
static inline int count_fds(void)
{
	DIR *d = opendir("/proc/self/fd");
	int count = 0;

	assert_non_null(d);
	while (readdir(d))
		count++;
	closedir(d);
	return count;
}

/* Limit the number of descriptors of this process; returns the former limit. */
static inline struct rlimit allow_fds(rlim_t count)
{
	struct rlimit before, now;

	assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
	now = (struct rlimit){ .rlim_cur = count, .rlim_max = before.rlim_max };
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &now), 0);
	return before;
}

/* The number that the next descriptor gets. A limit of this number leaves no room for it. */
static inline int next_fd(void)
{
	int fd = dup(STDIN_FILENO);

	assert_true(fd >= 0);
	close(fd);
	return fd;
}

#endif
