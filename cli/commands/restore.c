// SPDX-License-Identifier: GPL-2.0-or-later
/* vfiomig restore: image -> device. */
#include <argp.h>
#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include "device.h"
#include "holder.h"
#include "input.h"
#include "message.h"
#include "options.h"
#include "progress.h"
#include "signals.h"
#include "summary.h"
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
		return share_input(state, 2, t);
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
	{ "force", OPT_FORCE, NULL, 0,
	  "Restore an image that is of another device, or, with --raw, state that begins like an image",
	  0 },
	{ "no-verify", OPT_NO_VERIFY, NULL, 0,
	  "Do not check all of an image file before the device is touched", 0 },
	{ "no-hold", OPT_NO_HOLD, NULL, 0, "Close the device at the end, to try an image", 0 },
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
	.args_doc = "[NAME=]DEV...",
	.doc = "Load the state of devices from an image, which calls DEV NAME.\vUnless another process has the device open, restore leaves a background process that keeps the device open, because otherwise the restored state would be lost. \"vfiomig release\" ends that process.",
	.children = children,
};

/* How a restore ended. */
struct ending {
	struct transfer *t;
	struct devices *devices;
	int status;
	size_t which;	 /* the device that the failure is about, if there is one */
	char error[512]; /* why the status is not 0; the message was printed already */
	/* Of each device: a holder that was made for it, or NULL, and the process that holds it. */
	struct vfiomig_holder *holder[VFIOMIG_SET_MAX];
	int pid[VFIOMIG_SET_MAX];
};

static void note_error(struct ending *end, size_t which)
{
	end->which = which;
	snprintf(end->error, sizeof(end->error), "%s", vfiomig_get_error(end->t->cli->ctx));
}

static void restore_from(struct ending *end, int fd)
{
	struct devices *devices = end->devices;
	struct transfer *t = end->t;
	size_t which;
	int err;

	progress_start(t);
	err = vfiomig_restore_set(devices->member, devices->count, fd, &t->opt, &devices->whole,
				  &which);
	progress_end();
	if (!err)
		return;
	note_error(end, which);
	end->status = fail_devices(t->cli, MOVE_STATE, err, end->error, devices, which);
}

/* What becomes of the device now: the rest of a sentence. */
static void print_then(const struct ending *end, size_t i, bool borrowed, char then[64])
{
	if (end->pid[i])
		snprintf(then, 64, "; process %d holds it", end->pid[i]);
	else
		snprintf(then, 64, "%s",
			 borrowed ? "" : " and closed now, which on most devices ends its state");
}

static void print_text(const struct ending *end, const bool borrowed[])
{
	struct cli *cli = end->t->cli;
	size_t count = end->devices->count;
	char size[32], then[64];

	for (size_t i = 0; i < count; i++) {
		const struct vfiomig_result *r = &end->devices->result[i];

		speak_of(cli, end->devices, i);
		print_then(end, i, borrowed[i], then);
		notice(cli, "restored %llu bytes (%s) in %.3f s; the device is in %s%s",
		       (unsigned long long)r->bytes, format_bytes(r->bytes, size), r->ns / 1e9,
		       vfiomig_state_name(r->state), then);
	}
	speak_of(cli, end->devices, count);
}

/* Report the end of the restore. Returns the exit status. */
static int report(const struct ending *end, const bool borrowed[])
{
	int printed = STATUS_OK;

	if (end->t->cli->json)
		printed = print_restore(end->t, end->status ? end->error : NULL, end->devices,
					end->which, end->pid);
	else if (!end->status)
		print_text(end, borrowed);
	return end->status ? end->status : printed;
}

/* ---- Holders --------------------------------------------------------------------------------- */

/* Make the holders first: if that fails, no device is touched. */
static int make_holders(struct ending *end, const bool borrowed[])
{
	struct cli *cli = end->t->cli;
	int err = 0;

	for (size_t i = 0; i < end->devices->count && !err; i++) {
		if (borrowed[i])
			continue;
		speak_of(cli, end->devices, i);
		err = vfiomig_holder_new(end->devices->device[i], &end->holder[i]);
		if (err)
			return fail_at(cli, FIND_DEVICE, err);
	}
	speak_of(cli, end->devices, end->devices->count);
	return STATUS_OK;
}

/* End the holder of device @i. One that does not end stays in the result. */
static void end_holder(struct ending *end, size_t i)
{
	struct cli *cli = end->t->cli;
	struct vfiomig_device *dev = end->devices->device[i];

	vfiomig_device_close(dev);
	if (!vfiomig_device_release(dev)) {
		end->pid[i] = 0;
		return;
	}
	speak_of(cli, end->devices, i);
	warn(cli, "process %d still holds it: %s", end->pid[i], vfiomig_get_error(cli->ctx));
	speak_of(cli, end->devices, end->devices->count);
}

/* Of several holders all are there, or none. */
static void end_holders(struct ending *end)
{
	for (size_t i = 0; i < end->devices->count; i++)
		if (end->pid[i])
			end_holder(end, i);
}

/* Some of the devices will be closed, which ends their states. Nobody keeps one that does not
 * belong to those of the others. */
static void drop_all(struct devices *devices)
{
	for (size_t i = 0; i < devices->count; i++) {
		struct vfiomig_result *r = &devices->result[i];

		vfiomig_device_reset_home(devices->device[i], r->before, &r->reset);
		r->state = vfiomig_device_get_state(devices->device[i]);
		r->home = r->state == r->before;
		r->loaded = !r->reset;
		devices->whole.reset |= r->reset;
	}
	devices->whole.loaded = false;
}

/* Device @i has no holder. */
static void fail_holder(struct ending *end, size_t i, int err)
{
	struct cli *cli = end->t->cli;
	struct devices *devices = end->devices;
	bool interrupted;

	note_error(end, i);
	if (devices->count == 1) {
		/* The session ends with this process. */
		end->status = fail(
			cli, STATUS_DEVICE_LOST,
			"%s; the state was restored, but nobody holds the device, which is closed now",
			end->error);
		return;
	}
	/* What ends the command is not to keep the devices as they are. */
	interrupted = vfiomig_resume(cli->ctx);
	drop_all(devices);
	end_holders(end);
	if (interrupted)
		vfiomig_interrupt(cli->ctx);
	end->status = fail_devices(cli, MOVE_STATE, err, end->error, devices, i);
}

static void leave_holders(struct ending *end)
{
	struct cli *cli = end->t->cli;
	size_t count = end->devices->count;

	for (size_t i = 0; i < count && !end->status; i++) {
		int err;

		if (!end->holder[i])
			continue;
		speak_of(cli, end->devices, i);
		err = holder_leave(cli, end->devices->device[i], end->holder[i], &end->pid[i]);
		if (!err)
			continue;
		end->pid[i] = 0;
		fail_holder(end, i, err);
	}
	speak_of(cli, end->devices, count);
}

/* ---- Without a holder ------------------------------------------------------------------------ */

/* The device does not lose what was restored because its holder does not take it back, unless the
 * holder has ended. A device of our own that is being closed is on its way to lose it. */
static void close_restored(struct ending *end, size_t i, bool borrowed)
{
	struct vfiomig_result *result = &end->devices->result[i];
	int err = vfiomig_device_close(end->devices->device[i]);
	bool lost = err == -EOWNERDEAD || !borrowed;

	if (!err)
		return;
	speak_of(end->t->cli, end->devices, i);
	note_error(end, i);
	end->status =
		fail(end->t->cli, status_of(OPEN_DEVICE, err), "%s%s", end->error,
		     err == -EOWNERDEAD ? ""
		     : lost ? "; all of the state was restored, but closing ends it on most devices"
			    : "; all of the state was restored, and the device has it");
	speak_of(end->t->cli, end->devices, end->devices->count);
	result->state = -1;
	result->loaded = !lost;
}

static int restore_to(struct transfer *t, struct devices *devices, int fd, bool no_hold)
{
	struct ending end = { .t = t, .devices = devices, .which = devices->count };
	bool borrowed[VFIOMIG_SET_MAX];
	int status = STATUS_OK;

	for (size_t i = 0; i < devices->count; i++)
		borrowed[i] = vfiomig_device_is_borrowed(devices->device[i]);
	if (!no_hold)
		status = make_holders(&end, borrowed);
	if (!status)
		restore_from(&end, fd);
	if (!status && !end.status && !no_hold)
		leave_holders(&end);
	/* A failure keeps its sentence: closing the device replaces the library's. */
	for (size_t i = 0; i < devices->count && !status && !end.status; i++)
		if (!end.holder[i])
			close_restored(&end, i, borrowed[i]);
	if (!status)
		status = report(&end, borrowed);
	for (size_t i = 0; i < devices->count; i++)
		vfiomig_holder_free(end.holder[i]);
	return status;
}

static int restore(struct cli *cli, int argc, char **argv)
{
	struct restore r = { .transfer = TRANSFER_INIT(cli) };
	static struct devices devices;
	int status = cli_parse(cli, &argp, argc, argv, &r);
	int fd;

	if (status)
		return status;
	r.transfer.summary = stdout;
	fd = open_input(cli, r.transfer.input, false, &status);
	if (fd < 0)
		return status;
	signals_catch(cli->ctx);
	status = open_devices(cli, &devices);
	if (!status) {
		status = restore_to(&r.transfer, &devices, fd, r.no_hold);
		drop_devices(&devices);
	}
	close(fd);
	return status;
}

const struct command cmd_restore = {
	.name = "restore",
	.help = "Load a device's state from an image",
	.main = restore,
};
