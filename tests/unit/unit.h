/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What every unit test includes: cmocka, and the library from the inside. */
#ifndef UNIT_H
#define UNIT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

#include <cmocka.h>

#include "device/device.h"
#include "device/sysfs.h"
#include "internal.h"

/* In a test the run-time directory need not have an absolute path. */
static inline void use_rundir(struct vfiomig_ctx *ctx, const char *path)
{
	free(ctx->rundir);
	ctx->rundir = path ? strdup(path) : NULL;
}

/* As many descriptors as this process may have from now on; what it was. */
static inline struct rlimit allow_fds(rlim_t count)
{
	struct rlimit before, now;

	assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
	now = (struct rlimit){ .rlim_cur = count, .rlim_max = before.rlim_max };
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &now), 0);
	return before;
}

/* The number of the next one to be opened: with no more, there is no room. */
static inline int next_fd(void)
{
	int fd = dup(STDIN_FILENO);

	assert_true(fd >= 0);
	close(fd);
	return fd;
}

#endif
