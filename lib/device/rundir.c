// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * The run-time directory. The library trusts the files in it, so nobody else may be able to put
 * files there.
 */
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "rundir.h"

#define DEFAULT_PATH "/run/vfiomig"

int rundir_set(struct vfiomig_ctx *ctx, const char *path)
{
	char *copy = NULL;

	if (path && path[0] != '/')
		return ctx_fail(ctx, -EINVAL, "'%s' is not an absolute path", path);
	if (path) {
		copy = strdup(path);
		if (!copy)
			return ctx_fail_memory(ctx);
	}
	free(ctx->rundir);
	ctx->rundir = copy;
	return 0;
}

int rundir_path(struct vfiomig_ctx *ctx, const char *name, const char *suffix, char *path,
		size_t size)
{
	const char *dir = ctx->rundir ? ctx->rundir : DEFAULT_PATH;
	int n = name ? snprintf(path, size, "%s/%s%s", dir, name, suffix)
		     : snprintf(path, size, "%s", dir);

	if (n < (int)size)
		return 0;
	return ctx_fail(ctx, -ENAMETOOLONG, "the path of the run-time directory is too long");
}

static int check(struct vfiomig_ctx *ctx, const char *path, int fd)
{
	struct stat st;

	if (fstat(fd, &st))
		return ctx_fail(ctx, -errno, "%s: %m", path);
	if (st.st_uid != geteuid())
		return ctx_fail(
			ctx, -EPERM,
			"%s belongs to user %u, so what is in it cannot be trusted; remove it",
			path, st.st_uid);
	if (st.st_mode & (S_IWGRP | S_IWOTH))
		return ctx_fail(
			ctx, -EPERM,
			"others may write to %s, so what is in it cannot be trusted; remove it",
			path);
	if ((st.st_mode & 07777) != 0700 && fchmod(fd, 0700))
		return ctx_fail(ctx, -errno, "%s: %m", path);
	return 0;
}

int rundir_open(struct vfiomig_ctx *ctx)
{
	char path[PATH_MAX];
	int fd, err;

	err = rundir_path(ctx, NULL, NULL, path, sizeof(path));
	if (err)
		return err;
	/* The default directory belongs to others: use it, but do not make it. */
	if (ctx->rundir && mkdir(path, 0700) && errno != EEXIST)
		return ctx_fail(ctx, -errno, "cannot make %s: %m", path);
	fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0 && (errno == ENOTDIR || errno == ELOOP))
		return ctx_fail(ctx, -EPERM,
				"%s is not a directory (a link to one is none either); remove it",
				path);
	if (fd < 0)
		return ctx_fail(ctx, -errno, "cannot open %s: %m", path);
	err = check(ctx, path, fd);
	if (err) {
		close(fd);
		return err;
	}
	return fd;
}
