// SPDX-License-Identifier: GPL-2.0-or-later
/* vfiomig restore: image -> device. */
#include <argp.h>
#include <json-c/json.h>
#include <stdio.h>
#include <unistd.h>

#include "describe.h"
#include "device.h"
#include "holder.h"
#include "input.h"
#include "json.h"
#include "message.h"
#include "options.h"
#include "progress.h"
#include "signals.h"
#include "transfer.h"

enum {
	OPT_FORCE = 256,
	OPT_NO_VERIFY,
	OPT_NO_HOLD
};

struct restore {
	struct transfer transfer;
	bool no_hold;
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct restore *r = state->input;
	struct transfer *t = &r->transfer;

	switch (key) {
	case ARGP_KEY_INIT:
		state->child_inputs[0] = t;
		state->child_inputs[1] = t;
		return 0;
	case 'i':
		t->input = arg;
		return 0;
	case OPT_FORCE:
		t->opt.force = true;
		return 0;
	case OPT_NO_VERIFY:
		t->opt.no_verify = true;
		return 0;
	case OPT_NO_HOLD:
		r->no_hold = true;
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static const struct argp_option options[] = {
	{ "input", 'i', "FILE", 0, "Read the image from FILE (default: standard input)", 0 },
	{ "force", OPT_FORCE, NULL, 0, "Restore an image that is of another device", 0 },
	{ "no-verify", OPT_NO_VERIFY, NULL, 0,
	  "Do not check all of an image file before the device is touched", 0 },
	{ "no-hold", OPT_NO_HOLD, NULL, 0,
	  "Close the device at the end, which on most devices ends its state: to try an image", 0 },
	{ 0 }
};

static const struct argp_child children[] = {
	{ .argp = &argp_transfer },
	{ .argp = &argp_session },
	{ 0 },
};

static const struct argp argp = {
	.options = options,
	.parser = parse,
	.doc = "Load a device's state from an image.\vUnless somebody has the device open already, a process stays in the background that keeps it open, because otherwise what was restored would be lost: \"vfiomig release\" ends it.",
	.children = children,
};

/* @holder: its PID, or 0 */
static void print_summary(const struct transfer *t, const char *error,
			  const struct vfiomig_result *r, int holder)
{
	struct json_object *object = describe_transfer(t->cli, error, r);

	json_string(object, "input", t->input);
	json_object_object_add(object, "holder", holder ? json_object_new_int(holder) : NULL);
	print_json(object, stdout);
	json_object_put(object);
}

static int restore_from(struct transfer *t, struct vfiomig_device *dev, int fd,
			struct vfiomig_result *result)
{
	int err, status;

	progress_start(t);
	err = vfiomig_restore(dev, fd, &t->opt, result);
	progress_end();
	if (!err)
		return STATUS_OK;
	status = fail_transfer(t->cli, status_of(MOVE_STATE, err), vfiomig_get_error(t->cli->ctx),
			       result);
	if (t->json)
		print_summary(t, vfiomig_get_error(t->cli->ctx), result, 0);
	return status;
}

/* @holder: its PID, or 0; @then: the end of the sentence */
static void tell(const struct transfer *t, const struct vfiomig_result *result, int holder,
		 const char *then)
{
	char size[32];

	if (t->json) {
		print_summary(t, NULL, result, holder);
		return;
	}
	notice(t->cli, "restored %llu bytes (%s) in %.3f s; the device is in %s%s",
	       (unsigned long long)result->bytes, format_bytes(result->bytes, size),
	       result->ns / 1e9, vfiomig_state_name(result->now.state), then);
}

/* That there can be a holder is known before the device is touched. */
static int restore_and_hold(struct transfer *t, struct vfiomig_device *dev, int fd)
{
	struct vfiomig_holder *holder;
	struct vfiomig_result result;
	int err = vfiomig_holder_new(dev, &holder);
	int pid, status;
	char then[64];

	if (err)
		return fail_at(t->cli, FIND_DEVICE, err);
	status = restore_from(t, dev, fd, &result);
	/* Its session ends with this process. */
	if (!status && holder_leave(t->cli, dev, holder, &pid)) {
		const char *why = vfiomig_get_error(t->cli->ctx);

		status = fail(
			t->cli, STATUS_DEVICE_LOST,
			"%s; the state was restored, but nobody holds the device, which is closed now",
			why);
		if (t->json)
			print_summary(t, why, &result, 0);
	}
	if (!status) {
		snprintf(then, sizeof(then), "; process %d holds it", pid);
		tell(t, &result, pid, then);
	}
	vfiomig_holder_free(holder);
	return status;
}

static int restore_into(struct restore *r, struct vfiomig_device *dev, int fd)
{
	struct transfer *t = &r->transfer;
	bool borrowed = vfiomig_device_is_borrowed(dev);
	struct vfiomig_result result;
	int status;

	warn_of_owner(t->cli, dev);
	if (!r->no_hold && !borrowed)
		return restore_and_hold(t, dev, fd);
	status = restore_from(t, dev, fd, &result);
	if (!give_back(t->cli, dev, &status, "")) {
		result.now.state = -1;
		if (t->json)
			print_summary(t, vfiomig_get_error(t->cli->ctx), &result, 0);
	}
	if (!status)
		tell(t, &result, 0,
		     borrowed ? "" : " and closed now, which on most devices ends its state");
	return status;
}

static int restore(struct cli *cli, int argc, char **argv)
{
	struct restore r = { .transfer = TRANSFER_INIT(cli) };
	struct vfiomig_device *dev;
	uint64_t flags;
	int status = cli_parse(cli, &argp, argc, argv, &r);
	int fd;

	if (status)
		return status;
	fd = open_input(cli, r.transfer.input, &status);
	if (fd < 0)
		return status;
	signals_catch(cli->ctx);
	status = open_migratable(cli, &dev, &flags);
	if (!status) {
		status = restore_into(&r, dev, fd);
		vfiomig_device_unref(dev);
	}
	close(fd);
	return status;
}

const struct command cmd_restore = {
	.name = "restore",
	.help = "Load a device's state from an image",
	.main = restore,
};
