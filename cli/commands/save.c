// SPDX-License-Identifier: GPL-2.0-or-later
/* vfiomig save: device -> image. */
#include <argp.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "arguments.h"
#include "device.h"
#include "message.h"
#include "options.h"
#include "output.h"
#include "progress.h"
#include "signals.h"
#include "summary.h"
#include "transfer.h"

enum {
	OPT_PRECOPY = 256,
	OPT_DOWNTIME
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct transfer *t = state->input;

	switch (key) {
	case ARGP_KEY_INIT:
		return share_input(state, 3, t);
	case OPT_PRECOPY:
		t->opt.no_precopy = arg && strcmp(arg, "never") == 0;
		if (t->opt.no_precopy || !arg || strcmp(arg, "auto") == 0)
			return 0;
		return usage_error(state, "--precopy is auto or never, not '%s'", arg);
	case OPT_DOWNTIME:
		t->opt.downtime_ms = parse_number(state, "--downtime", arg, 1, INT_MAX);
		return (int)t->opt.downtime_ms < 0 ? EINVAL : 0;
	case ARGP_KEY_END:
		if (t->opt.raw && t->opt.level)
			return usage_error(
				state,
				"--raw has no container to compress in; use one of --raw and -z");
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static const struct argp_option options[] = {
	{ "precopy", OPT_PRECOPY, "WHEN", OPTION_ARG_OPTIONAL,
	  "Read a running device before it is stopped: auto (default: if the device supports that) or never",
	  0 },
	{ "downtime", OPT_DOWNTIME, "MS", 0,
	  "Stop the device when the rest can be read in this time, in milliseconds (default: 300)",
	  0 },
	{ 0 }
};

static const struct argp_child children[] = {
	{ .argp = &argp_frames },
	{ .argp = &argp_session },
	{ .argp = &argp_output },
	{ 0 },
};

static const struct argp argp = {
	.options = options,
	.parser = parse,
	.doc = "Stop a device, stream its state out, and put it back into the state it was in.",
	.children = children,
};

/* @closed: the device was open for the save only. */
static void print_text(const struct cli *cli, const struct vfiomig_result *r, bool closed)
{
	char size[32], before[32], after[32];
	const char *then = closed && r->state != VFIOMIG_STATE_RUNNING
				   ? " and closed now, which on most devices ends its state"
				   : "";

	if (r->gave_up)
		notice(cli, "pre-copy did not converge: %s",
		       r->outpaced ? "the device changes its state faster than it can be read"
				   : "it ended before the rest could be read within the downtime");
	if (r->precopy)
		notice(cli,
		       "saved %llu bytes (%s) in %.3f s: %s running, in %u pass%s, and %s stopped, for %.1f ms; the device is in %s%s",
		       (unsigned long long)r->bytes, format_bytes(r->bytes, size), r->ns / 1e9,
		       format_bytes(r->precopy_bytes, before), r->rounds + 1, r->rounds ? "es" : "",
		       format_bytes(r->bytes - r->precopy_bytes, after), r->downtime_ns / 1e6,
		       vfiomig_state_name(r->state), then);
	else
		notice(cli,
		       "saved %llu bytes (%s) in %.3f s, stopped for %.1f ms; the device is in %s%s",
		       (unsigned long long)r->bytes, format_bytes(r->bytes, size), r->ns / 1e9,
		       r->downtime_ns / 1e6, vfiomig_state_name(r->state), then);
}

/* Also with -q, because an image that may not load is no chatter. But what says so must not go into
 * the image. */
static void warn_of_doubt(const struct transfer *t, const struct vfiomig_result *r)
{
	if (r->doubtful[0] && !t->mute)
		warn(t->cli, "the state may not load: %s; \"vfiomig inspect --records\" shows it",
		     r->doubtful);
}

/* Report the end of the save. @error: why the status is not 0, which was printed as a message.
 * @closed: see print_text(). Returns the exit status. */
static int report(const struct transfer *t, int status, const char *error,
		  const struct vfiomig_result *result, bool closed)
{
	int printed = STATUS_OK;

	warn_of_doubt(t, result);
	if (t->cli->json)
		printed = print_save(t, error, result);
	else if (!status)
		print_text(t->cli, result, closed);
	return status ? status : printed;
}

static int fail_save(const struct transfer *t, enum task task, int err, const char *error,
		     const struct vfiomig_result *result)
{
	return report(t, fail_transfer(t->cli, task, err, error, result), error, result, false);
}

/* The device gave all of its state, but the output did not keep it. */
static int fail_commit(const struct transfer *t, struct vfiomig_device *dev,
		       const struct output *out, int err, struct vfiomig_result *result)
{
	char why[OUTPUT_WHY];

	/* --leave is for a device whose state was saved. */
	if (result->home && result->state != result->before)
		bring_home(dev, result);
	output_why(out, t->output, err, why);
	return fail_save(t, STORE_IMAGE, err, why, result);
}

/* The image is whole, but the device did not come home. The image may be all that is left of its
 * state. */
static int fail_after_image(const struct transfer *t, int err, const struct vfiomig_result *result)
{
	char why[OUTPUT_WHY];

	snprintf(why, sizeof(why), "%s; the image is whole", vfiomig_get_error(t->cli->ctx));
	return fail_save(t, MOVE_STATE, err, why, result);
}

static int save_to(struct transfer *t, struct vfiomig_device *dev, struct output *out)
{
	const char *error = NULL;
	struct vfiomig_result result = VFIOMIG_RESULT_INIT;
	bool closed = !vfiomig_device_is_borrowed(dev);
	int status = STATUS_OK, err, lost;

	progress_start(t);
	err = vfiomig_save(dev, out->fd, &t->opt, &result);
	progress_end();
	if (!result.complete) {
		output_discard(out);
		return fail_save(t, MOVE_STATE, err, vfiomig_get_error(t->cli->ctx), &result);
	}
	lost = output_commit(out);
	if (lost)
		return fail_commit(t, dev, out, lost, &result);
	if (err)
		return fail_after_image(t, err, &result);
	if (!give_back(t->cli, dev, &status, "; the image is whole")) {
		result.state = -1;
		error = vfiomig_get_error(t->cli->ctx);
	}
	return report(t, status, error, &result, closed);
}

static int save(struct cli *cli, int argc, char **argv)
{
	struct transfer t = TRANSFER_INIT(cli);
	struct vfiomig_device *dev;
	struct output out;
	uint64_t flags;
	int status = cli_parse(cli, &argp, argc, argv, &t);

	if (status)
		return status;
	signals_catch(cli->ctx);
	/* Open the output first: if that fails, the device is not touched. */
	status = output_open(cli, &out, t.output, -1);
	if (!status)
		status = keep_apart(&t, &out, !cli->quiet || cli->verbose);
	if (status)
		return status;
	status = open_migratable(cli, &dev, &flags);
	if (status) {
		output_discard(&out);
		return status;
	}
	warn_of_owner(cli, dev);
	status = save_to(&t, dev, &out);
	vfiomig_device_unref(dev);
	return status;
}

const struct command cmd_save = {
	.name = "save",
	.help = "Save a device's state to an image",
	.main = save,
};
