// SPDX-License-Identifier: GPL-2.0-or-later
/* vfiomig pack and unpack: raw state <-> image, without a device. */
#include <argp.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "arguments.h"
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

/* What is packed: one state, or those of several devices. */
struct pack {
	struct transfer t; /* the argument [FILE] is its input */
	char *args[VFIOMIG_SET_MAX];
	int count;
};

static error_t add_argument(struct argp_state *state, struct pack *pack, char *arg)
{
	if (pack->count == VFIOMIG_SET_MAX)
		return usage_error(state, "a set is of at most %d devices", VFIOMIG_SET_MAX);
	pack->args[pack->count++] = arg;
	return 0;
}

/* One argument is a file. Several are NAME=FILE each. */
static error_t check_arguments(struct argp_state *state, struct pack *pack)
{
	int standard = 0;

	if (pack->count < 2) {
		pack->t.input = pack->args[0];
		return 0;
	}
	for (int i = pack->count - 1; i >= 0; i--) {
		const char *arg = pack->args[i], *file = strchr(arg, '=');

		if (!file && i)
			return usage_error(state,
					   "'%s' is one argument too many; to write to it: -o %s",
					   arg, arg);
		if (!file || file == arg || !file[1])
			return usage_error(state, "'%s' is not NAME=FILE, a device and its state",
					   arg);
		standard += strcmp(file + 1, "-") == 0;
	}
	if (standard > 1)
		return usage_error(state, "only one of the states can be standard input");
	return 0;
}

static error_t parse_pack(int key, char *arg, struct argp_state *state)
{
	struct pack *pack = state->input;

	switch (key) {
	case ARGP_KEY_INIT:
		return share_input(state, 2, &pack->t);
	case OPT_FORCE:
		pack->t.opt.force = true;
		return 0;
	case ARGP_KEY_ARG:
		return add_argument(state, pack, arg);
	case ARGP_KEY_END:
		return check_arguments(state, pack);
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static const struct argp_option pack_options[] = {
	{ "force", OPT_FORCE, NULL, 0, "Take state that begins like an image or a zstd file", 0 },
	{ 0 },
};

static const struct argp_child pack_children[] = {
	{ .argp = &argp_frames },
	{ .argp = &argp_output },
	{ 0 },
};

static const struct argp pack_argp = {
	.options = pack_options,
	.parser = parse_pack,
	.args_doc = "[FILE]\nNAME=FILE NAME=FILE...",
	.doc = "Make an image of raw state, as \"save --raw\" writes it, from FILE or standard input; or one image of several devices, with a NAME for each.",
	.children = pack_children,
};

static error_t parse_unpack(int key, char *arg, struct argp_state *state)
{
	(void)arg;
	return key == ARGP_KEY_INIT ? share_input(state, 4, state->input) : ARGP_ERR_UNKNOWN;
}

static const struct argp_child unpack_children[] = {
	{ .argp = &argp_transfer },
	{ .argp = &argp_output },
	{ .argp = &argp_file },
	{ .argp = &argp_one },
	{ 0 },
};

static const struct argp unpack_argp = {
	.parser = parse_unpack,
	.doc = "Check an image, from FILE or standard input, and write its raw state.",
	.children = unpack_children,
};

/* The states that a command reads. */
struct inputs {
	int fds[VFIOMIG_SET_MAX];
	char *names[VFIOMIG_SET_MAX]; /* of the devices, of several */
	int count;
};

static void close_inputs(struct inputs *in)
{
	for (int i = 0; i < in->count; i++) {
		close(in->fds[i]);
		free(in->names[i]);
	}
}

/* @name is NULL if there is one state. Returns the exit status. */
static int add_input(struct transfer *t, struct inputs *in, const char *name, size_t size,
		     const char *path)
{
	bool mute = output_is(t->output, STDERR_FILENO);
	int status = STATUS_OK;
	int fd = open_input(t->cli, path, mute, &status);
	char *copy = NULL;

	if (fd < 0)
		return status;
	if (name)
		copy = strndup(name, size);
	if (name && !copy) {
		close(fd);
		return fail(t->cli, STATUS_FAILED, "out of memory");
	}
	in->fds[in->count] = fd;
	in->names[in->count++] = copy;
	return STATUS_OK;
}

/* The last of the states is no stream that one of those before is. */
static int keep_last_apart(const struct pack *pack, const struct inputs *in)
{
	int last = in->count - 1, status = STATUS_OK;

	for (int i = 0; !status && i < last; i++)
		status = keep_streams_apart(pack->t.cli, (int[]){ in->fds[i], in->fds[last] },
					    (const char *[]){ pack->args[i], pack->args[last] });
	return status;
}

static int open_states(struct pack *pack, struct inputs *in)
{
	int status = STATUS_OK;

	for (int i = 0; !status && i < pack->count; i++) {
		const char *arg = pack->args[i], *file = strchr(arg, '=');

		status = add_input(&pack->t, in, arg, file - arg, file + 1);
		if (!status)
			status = keep_last_apart(pack, in);
	}
	return status;
}

typedef int (*convert_fn)(struct vfiomig_ctx *ctx, const struct inputs *in, int out,
			  const struct vfiomig_options *options, struct vfiomig_result *result);

static int pack_states(struct vfiomig_ctx *ctx, const struct inputs *in, int out,
		       const struct vfiomig_options *options, struct vfiomig_result *result)
{
	if (in->count == 1)
		return vfiomig_pack(ctx, in->fds[0], out, options, result);
	return vfiomig_pack_set(ctx, in->fds, (const char *const *)in->names, in->count, out,
				options, result);
}

static int unpack_state(struct vfiomig_ctx *ctx, const struct inputs *in, int out,
			const struct vfiomig_options *options, struct vfiomig_result *result)
{
	return vfiomig_unpack(ctx, in->fds[0], out, options, result);
}

static int convert_to(struct transfer *t, convert_fn fn, const struct inputs *in,
		      struct output *out)
{
	struct vfiomig_result result = VFIOMIG_RESULT_INIT;
	int err;

	progress_start(t);
	err = fn(t->cli->ctx, in, out->fd, &t->opt, &result);
	progress_end();
	if (err) {
		output_discard(out);
		/* Names that cannot be. */
		return fail_at(t->cli, err == -EINVAL && in->count > 1 ? FIND_DEVICE : MOVE_STATE,
			       err);
	}
	err = output_commit(out);
	return err ? fail_output(t->cli, out, t->output, err) : STATUS_OK;
}

/* An output that is one of the inputs is refused. */
static int open_output(const struct transfer *t, struct output *out, const struct inputs *in)
{
	for (int i = 1; i < in->count; i++)
		if (!t->output ? prints_to(STDOUT_FILENO, in->fds[i])
			       : output_is(t->output, in->fds[i]))
			return fail(t->cli, STATUS_USAGE,
				    "the output is one of the states; write to another file");
	return output_open(t->cli, out, t->output, in->fds[0]);
}

static int convert(struct transfer *t, convert_fn fn, const struct inputs *in)
{
	struct output out;
	int status;

	signals_catch(t->cli->ctx);
	status = open_output(t, &out, in);
	if (!status)
		status = keep_apart(t, &out, false);
	return status ? status : convert_to(t, fn, in, &out);
}

static int pack(struct cli *cli, int argc, char **argv)
{
	struct pack pack = { .t = TRANSFER_INIT(cli) };
	struct inputs in = { 0 };
	int status = cli_parse(cli, &pack_argp, argc, argv, &pack);

	if (status)
		return status;
	status = pack.count > 1 ? open_states(&pack, &in)
				: add_input(&pack.t, &in, NULL, 0, pack.t.input);
	if (!status)
		status = convert(&pack.t, pack_states, &in);
	close_inputs(&in);
	return status;
}

static int unpack(struct cli *cli, int argc, char **argv)
{
	struct transfer t = TRANSFER_INIT(cli);
	struct inputs in = { 0 };
	int status = cli_parse(cli, &unpack_argp, argc, argv, &t);

	if (!status)
		status = add_input(&t, &in, NULL, 0, t.input);
	if (!status)
		status = convert(&t, unpack_state, &in);
	close_inputs(&in);
	return status;
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
