// SPDX-License-Identifier: GPL-2.0-or-later
/* vfiomig save: device -> image. */
#include <argp.h>
#include <errno.h>
#include <json-c/json.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "arguments.h"
#include "describe.h"
#include "device.h"
#include "json.h"
#include "message.h"
#include "options.h"
#include "output.h"
#include "progress.h"
#include "signals.h"
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
		state->child_inputs[0] = t;
		state->child_inputs[1] = t;
		return 0;
	case 'o':
		t->output = arg;
		return 0;
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
	{ "output", 'o', "FILE", 0,
	  "Write to FILE, which appears when it is whole (default: standard output)", 0 },
	{ "precopy", OPT_PRECOPY, "WHEN", OPTION_ARG_OPTIONAL,
	  "Read a running device before it is stopped: auto (default: when it can do that) or never",
	  0 },
	{ "downtime", OPT_DOWNTIME, "MS", 0,
	  "Stop the device when what is left can be moved in this time (default: 300)", 0 },
	{ 0 }
};

static const struct argp_child children[] = {
	{ .argp = &argp_frames },
	{ .argp = &argp_session },
	{ 0 },
};

static const struct argp argp = {
	.options = options,
	.parser = parse,
	.doc = "Stop a device, stream its state out, and put it back into the state it was in.",
	.children = children,
};

static void print_summary(const struct transfer *t, const char *error,
			  const struct vfiomig_result *r)
{
	struct json_object *object = describe_transfer(t->cli, error, r);
	bool to_file = t->output && strcmp(t->output, "-") != 0;

	json_string(object, "output", to_file ? t->output : NULL);
	json_object_object_add(object, "precopy", json_object_new_boolean(r->precopy));
	json_object_object_add(object, "precopy_bytes", json_object_new_uint64(r->precopy_bytes));
	json_object_object_add(object, "rounds", json_object_new_int(r->rounds));
	json_object_object_add(object, "converged", json_object_new_boolean(!r->gave_up));
	json_seconds(object, "downtime_seconds", r->downtime_ns);
	print_json(object, t->summary);
	json_object_put(object);
}

static void tell(const struct cli *cli, const struct vfiomig_result *r)
{
	char size[32], before[32], after[32];

	if (r->gave_up)
		notice(cli,
		       "pre-copy did not converge: the device changes its state faster than it can be read");
	if (r->precopy)
		notice(cli,
		       "saved %llu bytes (%s) in %.3f s: %s running, in %u pass%s, and %s stopped, for %.1f ms; the device is in %s",
		       (unsigned long long)r->bytes, format_bytes(r->bytes, size), r->ns / 1e9,
		       format_bytes(r->precopy_bytes, before), r->rounds + 1, r->rounds ? "es" : "",
		       format_bytes(r->bytes - r->precopy_bytes, after), r->downtime_ns / 1e6,
		       vfiomig_state_name(r->now.state));
	else
		notice(cli,
		       "saved %llu bytes (%s) in %.3f s, stopped for %.1f ms; the device is in %s",
		       (unsigned long long)r->bytes, format_bytes(r->bytes, size), r->ns / 1e9,
		       r->downtime_ns / 1e6, vfiomig_state_name(r->now.state));
}

static int fail_save(struct transfer *t, enum status status, const char *why,
		     const struct vfiomig_result *result)
{
	status = fail_transfer(t->cli, status, why, result);
	if (t->json)
		print_summary(t, why, result);
	return status;
}

/* All of the state was saved, but not all of that can be kept. */
static int fail_commit(struct transfer *t, struct vfiomig_device *dev, const struct output *out,
		       int err, struct vfiomig_result *result)
{
	char why[OUTPUT_WHY];

	/* It was to be left elsewhere only with its state saved. */
	if (result->now.home && result->now.state != result->before)
		result->now = vfiomig_device_recover(dev, result->before);
	output_why(out, t->output, err, why);
	return fail_save(t, status_of(STORE_IMAGE, err), why, result);
}

/* A device that did not come home gave a whole image all the same, and it may
 * be all that is left of the state. */
static int fail_after_image(struct transfer *t, int err, const struct vfiomig_result *result)
{
	char why[OUTPUT_WHY];

	snprintf(why, sizeof(why), "%s; the image is whole", vfiomig_get_error(t->cli->ctx));
	return fail_save(t, status_of(MOVE_STATE, err), why, result);
}

static int save_to(struct transfer *t, struct vfiomig_device *dev, struct output *out)
{
	struct vfiomig_result result;
	int status = STATUS_OK, err, unkept;

	progress_start(t);
	err = vfiomig_save(dev, out->fd, &t->opt, &result);
	progress_end();
	if (!result.complete) {
		output_discard(out);
		return fail_save(t, status_of(MOVE_STATE, err), vfiomig_get_error(t->cli->ctx),
				 &result);
	}
	unkept = output_commit(out);
	if (unkept)
		return fail_commit(t, dev, out, unkept, &result);
	if (err)
		return fail_after_image(t, err, &result);
	if (!give_back(t->cli, dev, &status, "; the image is whole")) {
		result.now.state = -1;
		if (t->json)
			print_summary(t, vfiomig_get_error(t->cli->ctx), &result);
	} else if (t->json) {
		print_summary(t, NULL, &result);
	} else {
		tell(t->cli, &result);
	}
	return status;
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
	/* A destination that cannot be had costs the device nothing. */
	status = output_open(cli, &out, t.output);
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
