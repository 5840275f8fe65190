// SPDX-License-Identifier: GPL-2.0-or-later
/* Root has /run/vfiomig. Everybody else has a directory in that of the session. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
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

/* The run-time directory of an ordinary user; free() it. */
static int rundir_path(char **path)
{
	char *session;
	int n, err;

	err = session_path(&session);
	if (err)
		return err;
	n = asprintf(path, "%s/vfiomig", session);
	free(session);
	return n < 0 ? -ENOMEM : 0;
}

int tell_rundir(struct vfiomig_ctx *ctx)
{
	char *path;
	int err;

	if (geteuid() == 0)
		return vfiomig_set_rundir(ctx, "/run/vfiomig");
	err = rundir_path(&path);
	if (err)
		return err;
	err = vfiomig_set_rundir(ctx, path);
	free(path);
	return err;
}

const char *rundir_hint(const char *why)
{
	const char *hint = "";
	char *path, *session;

	if (geteuid() == 0 || rundir_path(&path))
		return hint;
	if (session_path(&session) == 0) {
		if (strstr(why, path) && access(session, W_OK | X_OK))
			hint = "; set XDG_RUNTIME_DIR";
		free(session);
	}
	free(path);
	return hint;
}
