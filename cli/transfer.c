// SPDX-License-Identifier: GPL-2.0-or-later
/* The options of the commands that move state or read images. */
#include <argp.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "arguments.h"
#include "message.h"
#include "options.h"
#include "transfer.h"

/* Keys that no option of a command has. */
enum {
	OPT_PROGRESS = 300,
	OPT_CHUNK_SIZE,
	OPT_DEVICE,
	OPT_LEAVE,
	OPT_RAW,
	OPT_NO_P2P,
};

/* ---- All of them: --progress and -T ---------------------------------------------------------- */

static error_t parse_progress(struct argp_state *state, struct transfer *t, const char *arg)
{
	static const char *const modes[] = {
		[PROGRESS_AUTO] = "auto",
		[PROGRESS_ALWAYS] = "always",
		[PROGRESS_NEVER] = "never",
	};
	int mode = parse_choice(arg, modes, sizeof(modes) / sizeof(modes[0]));

	if (mode < 0)
		return usage_error(state, "--progress is auto, always or never, not '%s'", arg);
	t->progress = mode;
	return 0;
}

static error_t parse_progress_option(int key, char *arg, struct argp_state *state)
{
	return key == OPT_PROGRESS ? parse_progress(state, state->input, arg) : ARGP_ERR_UNKNOWN;
}

static const struct argp_option progress_options[] = {
	{ "progress", OPT_PROGRESS, "WHEN", 0,
	  "Show a progress line on stderr: auto (if stderr is a terminal), always or never", 0 },
	{ 0 }
};

const struct argp argp_progress = {
	.options = progress_options,
	.parser = parse_progress_option,
};

static error_t parse_transfer(int key, char *arg, struct argp_state *state)
{
	struct transfer *t = state->input;

	switch (key) {
	case ARGP_KEY_INIT:
		return share_input(state, 1, t);
	case 'T':
		t->opt.threads = parse_number(state, "-T", arg, 0, VFIOMIG_THREADS_MAX);
		return t->opt.threads < 0 ? EINVAL : 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static const struct argp_option transfer_options[] = {
	{ "threads", 'T', "N", 0,
	  "Number of threads that work on chunks (default: 0, one for each processor)", 0 },
	{ 0 }
};

static const struct argp_child transfer_children[] = {
	{ .argp = &argp_progress },
	{ 0 },
};

const struct argp argp_transfer = {
	.options = transfer_options,
	.parser = parse_transfer,
	.children = transfer_children,
};

/* ---- Making an image: -z and --chunk-size ---------------------------------------------------- */

/* The value of "512K", or 0 if @text is not a size. */
static unsigned long long size_of(const char *text)
{
	static const char units[] = "KMG";
	unsigned long long n;
	const char *unit;
	char *end;

	errno = 0;
	n = strtoull(text, &end, 10);
	unit = *end ? strchr(units, *end) : NULL;
	if (unit) {
		for (int i = 0; i <= unit - units; i++)
			n = n > SIZE_MAX / 1024 ? 0 : n * 1024;
		end++;
		if (strcmp(end, "iB") == 0)
			end += 2;
	}
	return *text < '0' || *text > '9' || errno || *end ? 0 : n;
}

static error_t parse_chunk_size(struct argp_state *state, struct transfer *t, const char *arg)
{
	unsigned long long size = size_of(arg);

	if (size < VFIOMIG_CHUNK_SIZE_MIN || size > VFIOMIG_CHUNK_SIZE_MAX)
		return usage_error(state, "--chunk-size is a size from 64K to 32M, not '%s'", arg);
	t->opt.chunk_size = size;
	return 0;
}

static error_t parse_frames(int key, char *arg, struct argp_state *state)
{
	struct transfer *t = state->input;

	switch (key) {
	case ARGP_KEY_INIT:
		return share_input(state, 1, t);
	case 'z':
		t->opt.level = arg ? parse_number(state, "-z", arg, 1, VFIOMIG_LEVEL_MAX) : 3;
		return t->opt.level < 0 ? EINVAL : 0;
	case OPT_CHUNK_SIZE:
		return parse_chunk_size(state, t, arg);
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static const struct argp_option frames_options[] = {
	{ "compress", 'z', "LEVEL", OPTION_ARG_OPTIONAL, "Compress, level 1 to 19 (default: 3)",
	  0 },
	{ "chunk-size", OPT_CHUNK_SIZE, "SIZE", 0,
	  "Bytes of state in each frame, 64K to 32M (default: 4M)", 0 },
	{ 0 }
};

static const struct argp_child frames_children[] = {
	{ .argp = &argp_transfer },
	{ 0 },
};

const struct argp argp_frames = {
	.options = frames_options,
	.parser = parse_frames,
	.children = frames_children,
};

/* ---- Files: -o and [FILE] -------------------------------------------------------------------- */

static error_t parse_output(int key, char *arg, struct argp_state *state)
{
	struct transfer *t = state->input;

	if (key != 'o')
		return ARGP_ERR_UNKNOWN;
	t->output = arg;
	return 0;
}

static const struct argp_option output_options[] = {
	{ "output", 'o', "FILE", 0,
	  "Write to FILE, which appears when it is whole (default: standard output)", 0 },
	{ 0 }
};

const struct argp argp_output = {
	.options = output_options,
	.parser = parse_output,
};

static error_t parse_file(int key, char *arg, struct argp_state *state)
{
	struct transfer *t = state->input;

	if (key != ARGP_KEY_ARG)
		return ARGP_ERR_UNKNOWN;
	if (state->arg_num && strcmp(t->cli->command, "inspect") != 0)
		return usage_error(state, "'%s' is one argument too many; to write to it: -o %s",
				   arg, arg);
	if (state->arg_num)
		return usage_error(state, "'%s' is one argument too many", arg);
	t->input = arg;
	return 0;
}

const struct argp argp_file = {
	.parser = parse_file,
	.args_doc = "[FILE]",
};

/* ---- One device of an image of several: --device --------------------------------------------- */

static error_t parse_device(int key, char *arg, struct argp_state *state)
{
	struct transfer *t = state->input;

	if (key != OPT_DEVICE)
		return ARGP_ERR_UNKNOWN;
	t->opt.device = arg;
	return 0;
}

static const struct argp_option device_options[] = {
	{ "device", OPT_DEVICE, "NAME", 0, "Of an image of several devices, the one with this name",
	  0 },
	{ 0 }
};

const struct argp argp_one = {
	.options = device_options,
	.parser = parse_device,
};

/* ---- Moving the state of a device: --leave and --raw ----------------------------------------- */

static error_t parse_session(int key, char *arg, struct argp_state *state)
{
	struct transfer *t = state->input;

	switch (key) {
	case ARGP_KEY_INIT:
		return share_input(state, 2, t->cli);
	case OPT_LEAVE:
		t->opt.leave = parse_state(state, arg, false);
		return t->opt.leave < 0 ? EINVAL : 0;
	case OPT_RAW:
		t->opt.raw = true;
		return 0;
	case OPT_NO_P2P:
		t->opt.no_p2p = true;
		return 0;
	case ARGP_KEY_END:
		if (t->opt.raw && t->cli->nr_targets > 1)
			return usage_error(
				state,
				"raw state is of one device; --raw and %d devices do not fit",
				t->cli->nr_targets);
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static const struct argp_option session_options[] = {
	{ "leave", OPT_LEAVE, "STATE", 0,
	  "Leave the device in STATE (default: after a save, the state that it was in; after a restore, RUNNING)",
	  0 },
	{ "raw", OPT_RAW, NULL, 0, "Use the kernel's bytes as they are, without a container", 0 },
	{ "no-p2p", OPT_NO_P2P, NULL, 0, "Take devices without P2P states as well", 0 },
	{ 0 }
};

static const struct argp_child session_children[] = {
	{ .argp = &argp_open },
	{ .argp = &argp_json },
	{ 0 },
};

const struct argp argp_session = {
	.options = session_options,
	.parser = parse_session,
	.children = session_children,
};

/* ---- Messages -------------------------------------------------------------------------------- */

int keep_apart(struct transfer *t, struct output *out, bool talks)
{
	bool standard = !t->output || strcmp(t->output, "-") == 0;

	t->summary = standard || output_shares(out, STDOUT_FILENO) ? stderr : stdout;
	t->mute = output_shares(out, STDERR_FILENO);
	if (t->progress == PROGRESS_ALWAYS || (t->cli->json && t->summary == stderr))
		talks = true;
	if (!t->mute || !talks)
		return STATUS_OK;
	output_discard(out);
	return fail(
		t->cli, STATUS_USAGE,
		"the image and the messages would go to the same file; send standard error elsewhere, or use -q");
}
