// SPDX-License-Identifier: GPL-2.0-or-later
/* vfiomig pack and unpack: raw state <-> image, without a device. */
#include <argp.h>
#include <unistd.h>

#include "input.h"
#include "message.h"
#include "options.h"
#include "output.h"
#include "progress.h"
#include "signals.h"
#include "transfer.h"

enum {
	OPT_FORCE = 256
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
	(void)arg;
	return key == ARGP_KEY_INIT ? share_input(state, 3, state->input) : ARGP_ERR_UNKNOWN;
}

static error_t parse_pack(int key, char *arg, struct argp_state *state)
{
	struct transfer *t = state->input;

	if (key != OPT_FORCE)
		return parse(key, arg, state);
	t->opt.force = true;
	return 0;
}

static const struct argp_option pack_options[] = {
	{ "force", OPT_FORCE, NULL, 0, "Take state that begins like an image or a zstd file", 0 },
	{ 0 },
};

static const struct argp_child pack_children[] = {
	{ .argp = &argp_frames },
	{ .argp = &argp_output },
	{ .argp = &argp_file },
	{ 0 },
};

static const struct argp pack_argp = {
	.options = pack_options,
	.parser = parse_pack,
	.doc = "Make an image of raw state, as \"save --raw\" writes it, from FILE or standard input.",
	.children = pack_children,
};

static const struct argp_child unpack_children[] = {
	{ .argp = &argp_transfer },
	{ .argp = &argp_output },
	{ .argp = &argp_file },
	{ 0 },
};

static const struct argp unpack_argp = {
	.parser = parse,
	.doc = "Check an image, from FILE or standard input, and write its raw state.",
	.children = unpack_children,
};

typedef int (*convert_fn)(struct vfiomig_ctx *ctx, int in, int out,
			  const struct vfiomig_options *options, struct vfiomig_result *result);

static int convert_to(struct transfer *t, convert_fn fn, int fd, struct output *out)
{
	struct vfiomig_result result = VFIOMIG_RESULT_INIT;
	int err;

	progress_start(t);
	err = fn(t->cli->ctx, fd, out->fd, &t->opt, &result);
	progress_end();
	if (err) {
		output_discard(out);
		return fail_at(t->cli, MOVE_STATE, err);
	}
	err = output_commit(out);
	return err ? fail_output(t->cli, out, t->output, err) : STATUS_OK;
}

static int convert(struct cli *cli, const struct argp *argp, convert_fn fn, int argc, char **argv)
{
	struct transfer t = TRANSFER_INIT(cli);
	struct output out;
	int status = cli_parse(cli, argp, argc, argv, &t);
	int fd;

	if (status)
		return status;
	fd = open_input(cli, t.input, output_is(t.output, STDERR_FILENO), &status);
	if (fd < 0)
		return status;
	signals_catch(cli->ctx);
	status = output_open(cli, &out, t.output, fd);
	if (!status)
		status = keep_apart(&t, &out, false);
	if (!status)
		status = convert_to(&t, fn, fd, &out);
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
