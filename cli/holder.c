// SPDX-License-Identifier: GPL-2.0-or-later
/* The process that holds a device open. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <syslog.h>
#include <unistd.h>

#include "holder.h"
#include "message.h"
#include "signals.h"

static void log_event(void *data, const char *line)
{
	(void)data;
	log_line(LOG_NOTICE, "%s", line);
}

/* Become independent of the current directory, of the caller's standard descriptors and of its
 * signals, which are still blocked. */
static void detach(void)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	if (chdir("/"))
		_exit(STATUS_FAILED);
	umask(0077);
	for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
		dup2(null, fd);
	if (null > STDERR_FILENO)
		close(null);
	/* These signals come from a terminal or from a shell. */
	signal(SIGINT, SIG_IGN);
	signal(SIGHUP, SIG_IGN);
	signal(SIGUSR1, SIG_IGN);
	/* Ignore alarms from outside, too. A holder does not write, so it needs no alarm itself. */
	signal(SIGALRM, SIG_IGN);
	/* Catch SIGTERM even if the parent ignored it. This opens all signals, so do it last. */
	signals_hold();
	prctl(PR_SET_NAME, "vfiomig-hold");
	log_to_syslog();
}

/*
 * A core of this process could have device state in it, and writing it could keep the device open
 * for long. 1 also keeps a core from the program in core_pattern, which 0 does not, see core(5).
 * Being undumpable would do that, too, but then a user's commands could not reach the holder as
 * pid:PID, and list could not name it.
 */
static void forbid_core(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_CORE, &limit) || limit.rlim_max < 1)
		return;
	limit.rlim_cur = 1;
	setrlimit(RLIMIT_CORE, &limit);
}

int serve_holder(const struct cli *cli, struct vfiomig_device *dev, struct vfiomig_holder *holder)
{
	const char *name = vfiomig_device_get_name(dev);
	int err;

	forbid_core();
	vfiomig_set_log(cli->ctx, cli->quiet ? NULL : log_event, NULL);
	if (!cli->quiet)
		log_line(LOG_INFO, "holding %s (%s) for user %u on %s", name,
			 vfiomig_device_get_driver(dev) ?: "no driver", getuid(),
			 vfiomig_holder_get_path(holder));
	err = vfiomig_holder_serve(holder);
	if (err && err != -EINTR)
		return fail_at(cli, OPEN_DEVICE, err);
	if (!cli->quiet)
		log_line(LOG_INFO, "%s is closed now%s", name,
			 err ? ": interrupted by a signal" : "");
	return STATUS_OK;
}

int holder_leave(const struct cli *cli, struct vfiomig_device *dev, struct vfiomig_holder *holder,
		 int *pid)
{
	struct cli child = *cli;
	int status;

	/* Otherwise the child would print buffered text a second time. */
	fflush(NULL);
	*pid = vfiomig_holder_fork(holder);
	if (*pid < 0)
		return *pid;
	if (*pid == 0) {
		detach();
		/* -q is about standard error, and the holder writes to the log. */
		child.quiet = false;
		status = serve_holder(&child, dev, holder);
		vfiomig_holder_free(holder);
		exit(status);
	}
	return 0;
}
