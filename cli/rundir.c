// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Root has /run/vfiomig, which is the library's default. Everybody else has a directory in that of
 * the session.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "rundir.h"

/* The session's directory: $XDG_RUNTIME_DIR, or the place that systemd-logind has for it. */
static int session_path(char **path)
{
	const char *session = secure_getenv("XDG_RUNTIME_DIR");
	int n = session && session[0] == '/' ? asprintf(path, "%s", session)
					     : asprintf(path, "/run/user/%u", geteuid());

	return n < 0 ? -ENOMEM : 0;
}

int rundir_set(struct vfiomig_ctx *ctx)
{
	char *session, *path;
	int err;

	if (geteuid() == 0)
		return 0;
	err = session_path(&session);
	if (err)
		return err;
	if (asprintf(&path, "%s/vfiomig", session) < 0) {
		free(session);
		return -ENOMEM;
	}
	err = vfiomig_set_rundir(ctx, path);
	free(path);
	free(session);
	return err;
}

const char *rundir_hint(int err)
{
	const char *hint = "";
	char *session;

	if (geteuid() == 0 || (err != -ENOENT && err != -EACCES && err != -EROFS) ||
	    session_path(&session))
		return hint;
	if (access(session, W_OK | X_OK))
		hint = "; set XDG_RUNTIME_DIR";
	free(session);
	return hint;
}
