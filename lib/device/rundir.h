/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The caller's run-time directory: locks, and the sockets of holders. */
#ifndef VFIOMIG_RUNDIR_H
#define VFIOMIG_RUNDIR_H

#include "internal.h"

/* See vfiomig_set_rundir(). */
int rundir_set(struct vfiomig_ctx *ctx, const char *path);

/*
 * A descriptor of the directory, made if it is not there: the caller's own and
 * nobody else's. Or a negative errno.
 */
int rundir_open(struct vfiomig_ctx *ctx);

/* The path of @name@suffix in it: 0, or a negative errno. */
int rundir_path(struct vfiomig_ctx *ctx, const char *name, const char *suffix, char *path,
		size_t size);

#endif
