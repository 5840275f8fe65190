// SPDX-License-Identifier: GPL-2.0-or-later
/* How every command parses its options, and those that all of them have. */
#include <argp.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <syslog.h>

#include "arguments.h"
#include "message.h"
#include "options.h"

static void log_verbosely(void *data, const char *line)
{
	(void)data;
	log_line(LOG_INFO, "%s", line);
}

enum {
	OPT_USAGE = 512
};

static error_t parse_common(int key, char *arg, struct argp_state *state)
{
	struct cli *cli = state->input;

	(void)arg;
	switch (key) {
	case '?':
	case OPT_USAGE:
		/* argp would call the command by argv[0], see cli_parse(). */
		state->name = cli->usage_name;
		argp_state_help(state, stdout,
				key == '?' ? ARGP_HELP_STD_HELP
					   : ARGP_HELP_USAGE | ARGP_HELP_EXIT_OK);
		return 0;
	case 'V':
		printf("%s\n", argp_program_version);
		exit(0);
	case 'v':
		cli->verbose = true;
		vfiomig_set_log(cli->ctx, log_verbosely, NULL);
		return 0;
	case 'q':
		cli->quiet = true;
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static const struct argp_option common_options[] = {
	{ "verbose", 'v', NULL, 0, "Tell of each arc, with timings, on stderr", -1 },
	{ "quiet", 'q', NULL, 0, "Say nothing but errors", -1 },
	{ "help", '?', NULL, 0, "Give this help list", -1 },
	{ "version", 'V', NULL, 0, "Print program version", -1 },
	{ "usage", OPT_USAGE, NULL, 0, "Give a short usage message", -1 },
	{ 0 }
};

static const struct argp common = {
	.options = common_options,
	.parser = parse_common,
};

/* What the wrapping parser hands down to the command's own and to the common
 * one. */
struct inputs {
	struct cli *cli;
	void *own;
};

static error_t parse_wrapper(int key, char *arg, struct argp_state *state)
{
	struct inputs *in = state->input;

	(void)arg;
	if (key != ARGP_KEY_INIT)
		return ARGP_ERR_UNKNOWN;
	/* getopt says in one line what is wrong; argp adds none. */
	state->err_stream = NULL;
	state->child_inputs[0] = in->own;
	state->child_inputs[1] = in->cli;
	return 0;
}

int cli_parse(struct cli *cli, const struct argp *argp, int argc, char **argv, void *input)
{
	const struct argp_child children[] = {
		{ .argp = argp },
		{ .argp = &common },
		{ 0 },
	};
	const struct argp wrapper = {
		.parser = parse_wrapper,
		.children = children,
	};
	struct inputs in = { .cli = cli, .own = input };

	/* What getopt's messages begin with is not what the usage says. */
	snprintf(cli->message_name, sizeof(cli->message_name), "vfiomig: %s", cli->command);
	snprintf(cli->usage_name, sizeof(cli->usage_name), "vfiomig %s", cli->command);
	argv[0] = cli->message_name;
	return parse_arguments(&wrapper, argc, argv,
			       ARGP_NO_HELP | (cli->in_order ? ARGP_IN_ORDER : 0), &in)
		       ? STATUS_USAGE
		       : STATUS_OK;
}

enum {
	OPT_VIA = 520,
	OPT_WAIT
};

static error_t parse_wait(int key, char *arg, struct argp_state *state)
{
	struct cli *cli = state->input;

	if (key != OPT_WAIT)
		return ARGP_ERR_UNKNOWN;
	cli->wait = arg ? parse_number(state, "--wait", arg, 0, INT_MAX) : -1;
	return arg && cli->wait < 0 ? EINVAL : 0;
}

static const struct argp_option wait_options[] = {
	{ "wait", OPT_WAIT, "SECONDS", OPTION_ARG_OPTIONAL,
	  "If another command is at work on the device, wait until it has ended (default: do not)",
	  0 },
	{ 0 }
};

const struct argp argp_wait = {
	.options = wait_options,
	.parser = parse_wait,
};

static error_t parse_via(int key, char *arg, struct argp_state *state)
{
	static const char *const names[] = {
		[VFIOMIG_VIA_AUTO] = "auto",
		[VFIOMIG_VIA_CDEV] = "cdev",
		[VFIOMIG_VIA_GROUP] = "group",
	};
	struct cli *cli = state->input;

	if (key == ARGP_KEY_INIT)
		state->child_inputs[0] = cli;
	if (key != OPT_VIA)
		return ARGP_ERR_UNKNOWN;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (strcmp(arg, names[i]) == 0) {
			cli->via = i;
			return 0;
		}
	}
	return usage_error(state, "--via is auto, cdev or group, not '%s'", arg);
}

static const struct argp_option via_options[] = {
	{ "via", OPT_VIA, "HOW", 0,
	  "Open the device through its cdev, its group, or auto (default): the cdev where there is one",
	  0 },
	{ 0 }
};

static const struct argp_child device_children[] = {
	{ .argp = &argp_wait },
	{ 0 },
};

const struct argp argp_device = {
	.children = device_children,
	.options = via_options,
	.parser = parse_via,
};

error_t parse_device(struct argp_state *state, int key, char *arg, struct cli *cli)
{
	switch (key) {
	case ARGP_KEY_INIT:
		state->child_inputs[0] = cli;
		return 0;
	case ARGP_KEY_ARG:
		if (state->arg_num)
			return usage_error(state, "'%s' is one argument too many", arg);
		cli->device = arg;
		return 0;
	case ARGP_KEY_NO_ARGS:
		return usage_error(state, "which device? \"vfiomig list\" shows them");
	default:
		return ARGP_ERR_UNKNOWN;
	}
}
