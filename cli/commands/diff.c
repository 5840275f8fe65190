// SPDX-License-Identifier: GPL-2.0-or-later
/* vfiomig diff: tell where two states differ. */
#include <argp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "arguments.h"
#include "differences.h"
#include "input.h"
#include "message.h"
#include "options.h"
#include "records.h"
#include "signals.h"
#include "stream.h"
#include "transfer.h"

struct options {
	struct transfer t;
	const char *driver, *names[2];
};

enum {
	OPT_DRIVER = 256
};

static bool is_standard(const char *name)
{
	return strcmp(name, "-") == 0;
}

static error_t parse_name(struct argp_state *state, struct options *opt, const char *arg)
{
	if (state->arg_num > 1)
		return usage_error(state, "'%s' is one argument too many", arg);
	opt->names[state->arg_num] = arg;
	return 0;
}

static error_t check_names(struct argp_state *state, const struct options *opt)
{
	if (!opt->names[1])
		return usage_error(
			state, "which two states? as in \"vfiomig diff A B\"; - is standard input");
	if (is_standard(opt->names[0]) && is_standard(opt->names[1]))
		return usage_error(state, "only one of the two can be standard input");
	return 0;
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct options *opt = state->input;

	switch (key) {
	case ARGP_KEY_INIT:
		state->child_inputs[0] = &opt->t;
		state->child_inputs[1] = opt->t.cli;
		state->child_inputs[2] = &opt->t;
		return 0;
	case 's':
		opt->t.cli->quiet = true;
		return 0;
	case OPT_DRIVER:
		return parse_driver(state, arg, &opt->driver);
	case ARGP_KEY_ARG:
		return parse_name(state, opt, arg);
	case ARGP_KEY_END:
		return check_names(state, opt);
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static const struct argp_option options[] = {
	{ "driver", OPT_DRIVER, "NAME", 0, "The driver whose states they are", 0 },
	/* As cmp(1) has it */
	{ NULL, 's', NULL, OPTION_HIDDEN, NULL, 0 },
	{ 0 },
};

static const struct argp_child children[] = {
	{ .argp = &argp_progress },
	{ .argp = &argp_json },
	{ .argp = &argp_one },
	{ 0 },
};

static const struct argp argp = {
	.options = options,
	.parser = parse,
	.args_doc = "A B",
	.doc = "Tell where two states differ. A and B are images or raw state; - is standard input.\vExit status: 0 if they are equal, 1 if they differ, 2 and more for trouble.",
	.children = children,
};

static int open_both(struct options *opt, int fds[2])
{
	int status = STATUS_OK;

	for (int i = 0; i < 2 && !status; i++)
		fds[i] = open_input(opt->t.cli, opt->names[i], false, &status);
	if (!status)
		status = keep_streams_apart(opt->t.cli, fds, opt->names);
	/* 1 is for states that differ. */
	return status == STATUS_FAILED ? STATUS_TROUBLE : status;
}

/* Whether both are sets, in files, which can be read more than once: @headers receives theirs. */
static bool are_sets(struct options *opt, const int fds[2], char *headers[2])
{
	for (int i = 0; i < 2; i++) {
		struct vfiomig_image *image = NULL;
		off_t start = lseek(fds[i], 0, SEEK_CUR);

		if (start >= 0 && vfiomig_image_open(opt->t.cli->ctx, fds[i], &image) == 0) {
			if (image && vfiomig_image_get_devices(image))
				headers[i] = strdup(vfiomig_image_get_header(image));
			vfiomig_image_free(image);
		}
		if (start >= 0)
			lseek(fds[i], start, SEEK_SET);
	}
	return headers[0] && headers[1];
}

static int compare(struct options *opt, const int fds[2])
{
	char *headers[2] = { NULL };
	int status;

	if (!opt->t.opt.device && are_sets(opt, fds, headers))
		status = print_set_differences(&opt->t, fds, opt->names, opt->driver, headers);
	else
		status = print_differences(&opt->t, fds, opt->names, opt->driver);
	free(headers[0]);
	free(headers[1]);
	return status;
}

static int diff(struct cli *cli, int argc, char **argv)
{
	struct options opt = { .t = TRANSFER_INIT(cli) };
	int fds[2] = { -1, -1 };
	int status;

	/* That the states differ does not count if it was not printed. */
	streams_set_failure(STATUS_TROUBLE);
	status = cli_parse(cli, &argp, argc, argv, &opt);
	if (status)
		return status;
	status = open_both(&opt, fds);
	if (!status) {
		signals_catch(cli->ctx);
		status = compare(&opt, fds);
	}
	for (int i = 0; i < 2; i++)
		if (fds[i] >= 0)
			close(fds[i]);
	return status;
}

const struct command cmd_diff = {
	.name = "diff",
	.help = "Tell where two states differ",
	.main = diff,
};
