// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * The run-time directory: /run/vfiomig for root, a part of the session's own
 * ($XDG_RUNTIME_DIR) for everybody else. What is in it is trusted, so nobody
 * else may have put it there.
 */
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "rundir.h"

int rundir_path(struct vfiomig_ctx *ctx, const char *name, const char *suffix, char *path,
		size_t size)
{
	const char *session = secure_getenv("XDG_RUNTIME_DIR");
	int n;

	if (ctx->rundir)
		n = snprintf(path, size, "%s", ctx->rundir);
	else if (geteuid() == 0)
		n = snprintf(path, size, "/run/vfiomig");
	else if (session && session[0] == '/')
		n = snprintf(path, size, "%s/vfiomig", session);
	else
		n = snprintf(path, size, "/run/user/%u/vfiomig", geteuid());
	if (n < (int)size && name)
		n += snprintf(path + n, size - n, "/%s%s", name, suffix);
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
	if (mkdir(path, 0700) && errno != EEXIST)
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
