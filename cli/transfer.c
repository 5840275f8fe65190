// SPDX-License-Identifier: GPL-2.0-or-later
/* What the commands that move state have in common. */
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

enum {
	OPT_PROGRESS = 300,
	OPT_CHUNK_SIZE,
	OPT_LEAVE,
	OPT_RAW,
	OPT_JSON
};

/* The value of "512K", or 0 if it is no size. */
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

static error_t parse_progress(struct argp_state *state, struct transfer *t, const char *arg)
{
	static const char *const modes[] = {
		[PROGRESS_AUTO] = "auto",
		[PROGRESS_ALWAYS] = "always",
		[PROGRESS_NEVER] = "never",
	};

	for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++) {
		if (strcmp(arg, modes[i]) == 0) {
			t->progress = i;
			return 0;
		}
	}
	return usage_error(state, "--progress is auto, always or never, not '%s'", arg);
}

static error_t parse_transfer(int key, char *arg, struct argp_state *state)
{
	struct transfer *t = state->input;

	switch (key) {
	case 'T':
		t->opt.threads = parse_number(state, "-T", arg, 0, VFIOMIG_THREADS_MAX);
		return t->opt.threads < 0 ? EINVAL : 0;
	case OPT_PROGRESS:
		return parse_progress(state, t, arg);
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static error_t parse_frames(int key, char *arg, struct argp_state *state)
{
	struct transfer *t = state->input;

	switch (key) {
	case ARGP_KEY_INIT:
		state->child_inputs[0] = t;
		return 0;
	case 'z':
		t->opt.level = arg ? parse_number(state, "-z", arg, 1, 19) : 3;
		return t->opt.level < 0 ? EINVAL : 0;
	case OPT_CHUNK_SIZE:
		return parse_chunk_size(state, t, arg);
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

/* Of the commands that move the state of a device. */
static error_t parse_session(int key, char *arg, struct argp_state *state)
{
	struct transfer *t = state->input;

	switch (key) {
	case OPT_LEAVE:
		t->opt.leave = parse_state(state, arg);
		return t->opt.leave < 0 ? EINVAL : 0;
	case OPT_RAW:
		t->opt.raw = true;
		return 0;
	case OPT_JSON:
		t->json = true;
		return 0;
	default:
		return parse_device(state, key, arg, t->cli);
	}
}

static const struct argp_option session_options[] = {
	{ "leave", OPT_LEAVE, "STATE", 0,
	  "The state to leave the device in (default: after a save the one it was in, after a restore RUNNING)",
	  0 },
	{ "raw", OPT_RAW, NULL, 0, "The kernel's bytes, without a container", 0 },
	{ "json", OPT_JSON, NULL, 0, "A summary at the end, as one JSON object", 0 },
	{ 0 }
};

static const struct argp_child session_children[] = {
	{ .argp = &argp_device },
	{ 0 },
};

const struct argp argp_session = {
	.options = session_options,
	.parser = parse_session,
	.args_doc = "DEV",
	.children = session_children,
};

static const struct argp_option transfer_options[] = {
	{ "threads", 'T', "N", 0,
	  "Threads that work on chunks (default: 0, one for each processor)", 0 },
	{ "progress", OPT_PROGRESS, "WHEN", 0,
	  "A line on stderr: auto (when it is a terminal), always, never", 0 },
	{ 0 }
};

static const struct argp_option frames_options[] = {
	{ "compress", 'z', "LEVEL", OPTION_ARG_OPTIONAL, "Compress, level 1 to 19 (default: 3)",
	  0 },
	{ "chunk-size", OPT_CHUNK_SIZE, "SIZE", 0, "State in each frame, 64K to 32M (default: 4M)",
	  0 },
	{ 0 }
};

const struct argp argp_transfer = {
	.options = transfer_options,
	.parser = parse_transfer,
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

int keep_apart(struct transfer *t, struct output *out, bool talks)
{
	bool standard = !t->output || strcmp(t->output, "-") == 0;

	t->summary = standard || output_shares(out, STDOUT_FILENO) ? stderr : stdout;
	t->mute = output_shares(out, STDERR_FILENO);
	if (t->progress == PROGRESS_ALWAYS || (t->json && t->summary == stderr))
		talks = true;
	if (!t->mute || !talks)
		return STATUS_OK;
	output_discard(out);
	return fail(
		t->cli, STATUS_USAGE,
		"the image and the messages would go to the same file; send standard error elsewhere, or use -q");
}
