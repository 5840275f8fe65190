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
	.args_doc = "DEV...",
	.doc = "Stop a device, stream its state out, and put it back into the state it was in. Several devices are stopped at one instant, and go into one image.",
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

/* A save under way: what becomes of its devices, and why it failed. */
struct saving {
	struct transfer *t;
	struct devices *devices;
	bool closed[VFIOMIG_SET_MAX]; /* see print_text() */
	size_t which;		      /* the device that the failure is about, if there is one */
};

static void print_all(const struct saving *s)
{
	struct cli *cli = s->t->cli;
	const struct vfiomig_result *whole = &s->devices->whole;
	size_t count = s->devices->count;
	char size[32];

	for (size_t i = 0; i < count; i++) {
		speak_of(cli, s->devices, i);
		print_text(cli, &s->devices->result[i], s->closed[i]);
	}
	speak_of(cli, s->devices, count);
	if (count > 1)
		notice(cli, "saved %zu devices, %llu bytes (%s) in %.3f s, stopped for %.1f ms",
		       count, (unsigned long long)whole->bytes, format_bytes(whole->bytes, size),
		       whole->ns / 1e9, whole->downtime_ns / 1e6);
}

/* Also with -q, because an image that may not load is no chatter. But what says so must not go into
 * the image. */
static void warn_of_doubt(const struct saving *s)
{
	for (size_t i = 0; i < s->devices->count && !s->t->mute; i++) {
		const struct vfiomig_result *r = &s->devices->result[i];

		speak_of(s->t->cli, s->devices, i);
		if (r->doubtful[0])
			warn(s->t->cli,
			     "the state may not load: %s; \"vfiomig inspect --records\" shows it",
			     r->doubtful);
	}
	speak_of(s->t->cli, s->devices, s->devices->count);
}

/* Report the end of the save. @error: why the status is not 0, which was printed as a message.
 * Returns the exit status. */
static int report(const struct saving *s, int status, const char *error)
{
	int printed = STATUS_OK;

	warn_of_doubt(s);
	if (s->t->cli->json)
		printed = print_save(s->t, error, s->devices, s->which);
	else if (!status)
		print_all(s);
	return status ? status : printed;
}

static int fail_save(const struct saving *s, enum task task, int err, const char *error)
{
	return report(s, fail_devices(s->t->cli, task, err, error, s->devices, s->which), error);
}

/* The devices gave all of their state, but the output did not keep it. */
static int fail_commit(const struct saving *s, const struct output *out, int err)
{
	char why[OUTPUT_WHY];

	/* --leave is for a device whose state was saved. */
	bring_all_home(s->devices);
	output_why(out, s->t->output, err, why);
	return fail_save(s, STORE_IMAGE, err, why);
}

/* The image is whole, but a device did not come home. The image may be all that is left of its
 * state. */
static int fail_after_image(const struct saving *s, int err)
{
	char why[OUTPUT_WHY];

	snprintf(why, sizeof(why), "%s; the image is whole", vfiomig_get_error(s->t->cli->ctx));
	return fail_save(s, MOVE_STATE, err, why);
}

static int close_all(struct saving *s)
{
	struct devices *devices = s->devices;
	char error[OUTPUT_WHY] = "";
	int errors[VFIOMIG_SET_MAX], status = STATUS_OK;
	int err = vfiomig_devices_close(devices->device, devices->count, errors);

	if (err)
		snprintf(error, sizeof(error), "%s", vfiomig_get_error(s->t->cli->ctx));
	for (size_t i = 0; i < devices->count; i++) {
		if (!errors[i])
			continue;
		devices->result[i].state = -1;
		if (status)
			continue;
		s->which = i;
		speak_of(s->t->cli, devices, i);
		status = fail(s->t->cli, status_of(OPEN_DEVICE, err), "%s; the image is whole",
			      error);
	}
	speak_of(s->t->cli, devices, devices->count);
	return report(s, status, *error ? error : NULL);
}

static int save_to(struct transfer *t, struct devices *devices, struct output *out)
{
	struct saving s = { .t = t, .devices = devices };
	int err, lost;

	for (size_t i = 0; i < devices->count; i++)
		s.closed[i] = !vfiomig_device_is_borrowed(devices->device[i]);
	progress_start(t);
	err = vfiomig_save_set(devices->member, devices->count, out->fd, &t->opt, &devices->whole,
			       &s.which);
	progress_end();
	if (!devices->whole.complete) {
		output_discard(out);
		return fail_save(&s, MOVE_STATE, err, vfiomig_get_error(t->cli->ctx));
	}
	lost = output_commit(out);
	if (lost)
		return fail_commit(&s, out, lost);
	if (err)
		return fail_after_image(&s, err);
	return close_all(&s);
}

static int save(struct cli *cli, int argc, char **argv)
{
	struct transfer t = TRANSFER_INIT(cli);
	static struct devices devices;
	struct output out;
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
	status = open_devices(cli, &devices);
	if (status) {
		output_discard(&out);
		return status;
	}
	status = save_to(&t, &devices, &out);
	drop_devices(&devices);
	return status;
}

const struct command cmd_save = {
	.name = "save",
	.help = "Save a device's state to an image",
	.main = save,
};
