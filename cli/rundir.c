// SPDX-License-Identifier: GPL-2.0-or-later
/* Root has /run/vfiomig. Everybody else has a directory in that of the session. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "rundir.h"

/* Find the session's directory: $XDG_RUNTIME_DIR, or the place that systemd-logind has for it. The
 * caller frees @path. */
static int session_path(char **path)
{
	const char *session = secure_getenv("XDG_RUNTIME_DIR");
	int n = session && session[0] == '/' ? asprintf(path, "%s", session)
					     : asprintf(path, "/run/user/%u", geteuid());

	return n < 0 ? -ENOMEM : 0;
}

int tell_rundir(struct vfiomig_ctx *ctx)
{
	char *session, *path;
	int n, err;

	if (geteuid() == 0)
		return vfiomig_set_rundir(ctx, "/run/vfiomig");
	err = session_path(&session);
	if (err)
		return err;
	n = asprintf(&path, "%s/vfiomig", session);
	free(session);
	if (n < 0)
		return -ENOMEM;
	err = vfiomig_set_rundir(ctx, path);
	free(path);
	return err;
}

const char *rundir_hint(const char *why)
{
	const char *named = secure_getenv("XDG_RUNTIME_DIR"), *hint = "";
	char *session;

	if (geteuid() == 0 || session_path(&session))
		return hint;
	if (!strstr(why, session) || access(session, W_OK | X_OK) == 0)
		hint = "";
	else if (!named || !*named)
		hint = "; set XDG_RUNTIME_DIR";
	else if (named[0] != '/')
		hint = "; XDG_RUNTIME_DIR does not count, because it is a relative path: set it to an absolute one";
	else
		hint = "; set XDG_RUNTIME_DIR to a directory of yours that is there";
	free(session);
	return hint;
}
