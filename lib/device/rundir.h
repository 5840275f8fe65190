/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The run-time directory: locks, sockets of holders, and records of former drivers. */
#ifndef VFIOMIG_RUNDIR_H
#define VFIOMIG_RUNDIR_H

#include "internal.h"

/* See vfiomig_set_rundir(). */
int rundir_set(struct vfiomig_ctx *ctx, const char *path);

/*
 * Make the directory if it is not there, and open it. Returns a descriptor, or a negative errno:
 * -EPERM if another user can write to the directory.
 */
int rundir_open(struct vfiomig_ctx *ctx);

/*
 * Whether the directory could be opened so, without making or changing it: returns 0, or what
 * rundir_open() would return, with its sentence. @path receives where the directory is.
 */
int rundir_check(struct vfiomig_ctx *ctx, char *path, size_t size);

/* Whether @err, of one of these, says that there is no directory that this process can use. What
 * needs none, goes on without one then. */
bool rundir_is_nowhere(int err);

/* @path receives the path of the file @name@suffix in it. Returns 0 or a negative errno. */
int rundir_path(struct vfiomig_ctx *ctx, const char *name, const char *suffix, char *path,
		size_t size);

#endif
