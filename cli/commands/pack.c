// SPDX-License-Identifier: GPL-2.0-or-later
/* vfiomig pack and unpack: raw state <-> image, without a device. */
#include <argp.h>
#include <unistd.h>

#include "arguments.h"
#include "device.h"
#include "input.h"
#include "message.h"
#include "options.h"
#include "output.h"
#include "progress.h"
#include "signals.h"
#include "transfer.h"

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct transfer *t = state->input;

	switch (key) {
	case ARGP_KEY_INIT:
		state->child_inputs[0] = t;
		return 0;
	case 'o':
		t->output = arg;
		return 0;
	case ARGP_KEY_ARG:
		if (state->arg_num)
			return usage_error(state, "'%s' is one argument too many", arg);
		t->input = arg;
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static const struct argp_option options[] = {
	{ "output", 'o', "FILE", 0,
	  "Write to FILE, which appears when it is whole (default: standard output)", 0 },
	{ 0 }
};

static const struct argp_child pack_children[] = {
	{ .argp = &argp_frames },
	{ 0 },
};

static const struct argp pack_argp = {
	.options = options,
	.parser = parse,
	.args_doc = "[FILE]",
	.doc = "Make an image of raw state, as \"save --raw\" writes it, from FILE or standard input.",
	.children = pack_children,
};

static const struct argp_child unpack_children[] = {
	{ .argp = &argp_transfer },
	{ 0 },
};

static const struct argp unpack_argp = {
	.options = options,
	.parser = parse,
	.args_doc = "[FILE]",
	.doc = "Write the raw state of an image, from FILE or standard input, after checking it.",
	.children = unpack_children,
};

typedef int (*convert_fn)(struct vfiomig_ctx *ctx, int in, int out,
			  const struct vfiomig_options *options, struct vfiomig_result *result);

static int convert(struct cli *cli, const struct argp *argp, convert_fn fn, int argc, char **argv)
{
	struct transfer t = TRANSFER_INIT(cli);
	struct vfiomig_result result;
	struct output out;
	int status = cli_parse(cli, argp, argc, argv, &t);
	int fd, err;

	if (status)
		return status;
	fd = open_input(cli, t.input, &status);
	if (fd < 0)
		return status;
	signals_catch(cli->ctx);
	status = output_open(cli, &out, t.output);
	if (!status)
		status = keep_apart(&t, &out, false);
	if (!status) {
		progress_start(&t);
		err = fn(cli->ctx, fd, out.fd, &t.opt, &result);
		progress_end();
		if (!err) {
			err = output_commit(&out);
			if (err)
				status = fail_output(cli, &out, t.output, err);
		} else {
			output_discard(&out);
			status = fail_at(cli, MOVE_STATE, err);
		}
	}
	close(fd);
	return status;
}

static int pack(struct cli *cli, int argc, char **argv)
{
	return convert(cli, &pack_argp, vfiomig_pack, argc, argv);
}

static int unpack(struct cli *cli, int argc, char **argv)
{
	return convert(cli, &unpack_argp, vfiomig_unpack, argc, argv);
}

const struct command cmd_pack = {
	.name = "pack",
	.help = "Make an image of raw state, without a device",
	.main = pack,
};

const struct command cmd_unpack = {
	.name = "unpack",
	.help = "Write the raw state of an image, without a device",
	.main = unpack,
};
