// SPDX-License-Identifier: GPL-2.0-or-later
/* vfiomig exec: run a command that inherits an open device. */
#include <argp.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "arguments.h"
#include "device.h"
#include "message.h"
#include "options.h"
#include "signals.h"

struct options {
	struct cli *cli;
	char **command;
};

/* A descriptor that the command inherits. */
struct descriptor {
	const char *placeholder, *variable;
	int fd;
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct options *opt = state->input;

	(void)arg;
	switch (key) {
	case ARGP_KEY_INIT:
		return share_input(state, 1, opt->cli);
	case ARGP_KEY_ARG:
		if (!opt->cli->device)
			return ARGP_ERR_UNKNOWN;
		opt->command = state->argv + state->next - 1;
		state->next = state->argc;
		return 0;
	case ARGP_KEY_END:
		if (!opt->command)
			return usage_error(state,
					   "which command? as in \"vfiomig exec DEV -- CMD\"");
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static const struct argp_child children[] = {
	{ .argp = &argp_open },
	{ 0 },
};

static const struct argp argp = {
	.children = children,
	.parser = parse,
	.args_doc = "DEV -- CMD [ARG...]",
	.doc = "Open a device and run a command that inherits its descriptors.\vTheir numbers are in the environment (VFIOMIG_DEVICE_FD; VFIOMIG_IOMMUFD, or VFIOMIG_GROUP_FD and VFIOMIG_CONTAINER_FD) and replace {device}, {iommufd}, {group} and {container} in the command's arguments. A cdev is not bound to the iommufd yet, unless it comes from a holder.",
};

/* @arg with @number for each @from; a new string, or NULL. */
static char *replace(const char *arg, const char *from, int number)
{
	const char *at;
	char *text = NULL;
	size_t size;
	FILE *f = open_memstream(&text, &size);

	if (!f)
		return NULL;
	while ((at = strstr(arg, from))) {
		fprintf(f, "%.*s%d", (int)(at - arg), arg, number);
		arg = at + strlen(from);
	}
	fputs(arg, f);
	return fclose(f) ? NULL : text;
}

/* In all arguments. The new ones are not freed, because exec follows. */
static int substitute(const struct cli *cli, char **arg, const struct descriptor *d)
{
	for (; *arg; arg++) {
		if (!strstr(*arg, d->placeholder))
			continue;
		if (d->fd < 0)
			return fail(cli, STATUS_USAGE,
				    "there is no %s when the device is opened this way; see --via",
				    d->placeholder);
		*arg = replace(*arg, d->placeholder, d->fd);
		if (!*arg)
			return fail(cli, STATUS_FAILED, "out of memory");
	}
	return STATUS_OK;
}

static int hand_down(const struct cli *cli, char **command, struct descriptor *d)
{
	char number[16];

	unsetenv(d->variable);
	if (d->fd >= 0) {
		/* The duplicate is not close-on-exec. */
		d->fd = fcntl(d->fd, F_DUPFD, 3);
		if (d->fd < 0)
			return fail(cli, STATUS_FAILED, "%m");
		snprintf(number, sizeof(number), "%d", d->fd);
		if (setenv(d->variable, number, 1))
			return fail(cli, STATUS_FAILED, "%m");
	}
	return substitute(cli, command, d);
}

static int run(const struct options *opt, struct vfiomig_device *dev)
{
	struct vfiomig_fds fds = VFIOMIG_FDS_INIT;
	int status = STATUS_OK;

	/* This fails only for a structure without a size. */
	vfiomig_device_get_fds(dev, &fds);
	struct descriptor descriptors[] = {
		{ "{device}", "VFIOMIG_DEVICE_FD", fds.device },
		{ "{iommufd}", "VFIOMIG_IOMMUFD", fds.iommufd },
		{ "{group}", "VFIOMIG_GROUP_FD", fds.group },
		{ "{container}", "VFIOMIG_CONTAINER_FD", fds.container },
	};
	for (size_t i = 0; i < 4 && !status; i++)
		status = hand_down(opt->cli, opt->command, &descriptors[i]);
	if (status)
		return status;
	/* End this command's turn on the device. The duplicates keep the device open. */
	vfiomig_device_close(dev);
	fflush(NULL);
	signals_restore();
	execvp(opt->command[0], opt->command);
	return fail(opt->cli, status_of(RUN_COMMAND, -errno), "%s: %m",
		    *opt->command[0] ? opt->command[0] : "''");
}

static int exec(struct cli *cli, int argc, char **argv)
{
	struct options opt = { .cli = cli };
	struct vfiomig_device *dev;
	int status;

	cli->in_order = true;
	status = cli_parse(cli, &argp, argc, argv, &opt);
	if (status)
		return status;
	status = find_device(cli, &dev);
	if (status)
		return status;
	status = open_found(cli, dev, VFIOMIG_OPEN_UNBOUND);
	if (!status)
		status = run(&opt, dev);
	vfiomig_device_unref(dev);
	return status;
}

const struct command cmd_exec = {
	.name = "exec",
	.help = "Run a command that inherits an open device",
	.main = exec,
};
