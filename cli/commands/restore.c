// SPDX-License-Identifier: GPL-2.0-or-later
/* vfiomig restore: image -> device. */
#include <argp.h>
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
	{ "no-hold", OPT_NO_HOLD, NULL, 0,
	  "Close the device at the end, to try an image. On most devices that ends the state.", 0 },
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
	.doc = "Load a device's state from an image.\vUnless another process has the device open, restore leaves a background process that keeps the device open, because otherwise the restored state would be lost. \"vfiomig release\" ends that process.",
	.children = children,
};

/* How a restore ended. */
struct ending {
	struct vfiomig_result result;
	int status;
	const char *error; /* why the status is not 0; the message was printed already */
	int holder;	   /* the PID of the process that holds the device, or 0 */
};

static void restore_from(struct transfer *t, struct vfiomig_device *dev, int fd, struct ending *end)
{
	int err;

	progress_start(t);
	err = vfiomig_restore(dev, fd, &t->opt, &end->result);
	progress_end();
	if (!err)
		return;
	end->error = vfiomig_get_error(t->cli->ctx);
	end->status = fail_transfer(t->cli, MOVE_STATE, err, end->error, &end->result);
}

/* Report the end of the restore. @then: the rest of the sentence. Returns the exit status. */
static int report(const struct transfer *t, const struct ending *end, const char *then)
{
	const struct vfiomig_result *r = &end->result;
	int printed = STATUS_OK;
	char size[32];

	if (t->cli->json)
		printed = print_restore(t, end->error, r, end->holder);
	else if (!end->status)
		notice(t->cli, "restored %llu bytes (%s) in %.3f s; the device is in %s%s",
		       (unsigned long long)r->bytes, format_bytes(r->bytes, size), r->ns / 1e9,
		       vfiomig_state_name(r->state), then);
	return end->status ? end->status : printed;
}

static void leave_holder(const struct cli *cli, struct vfiomig_device *dev,
			 struct vfiomig_holder *holder, struct ending *end)
{
	int pid;

	if (holder_leave(cli, dev, holder, &pid) == 0) {
		end->holder = pid;
		return;
	}
	/* The session ends with this process. */
	end->error = vfiomig_get_error(cli->ctx);
	end->status =
		fail(cli, STATUS_DEVICE_LOST,
		     "%s; the state was restored, but nobody holds the device, which is closed now",
		     end->error);
}

static int restore_and_hold(struct transfer *t, struct vfiomig_device *dev, int fd)
{
	struct vfiomig_holder *holder;
	struct ending end = { .result = VFIOMIG_RESULT_INIT };
	char then[64];
	/* Make the holder first: if that fails, the device is not touched. */
	int err = vfiomig_holder_new(dev, &holder);

	if (err)
		return fail_at(t->cli, FIND_DEVICE, err);
	restore_from(t, dev, fd, &end);
	if (!end.status)
		leave_holder(t->cli, dev, holder, &end);
	snprintf(then, sizeof(then), "; process %d holds it", end.holder);
	err = report(t, &end, then);
	vfiomig_holder_free(holder);
	return err;
}

/* The device does not lose what was restored because its holder does not take it back, unless the
 * holder has ended. A device of our own that is being closed is on its way to lose it. */
static void close_restored(struct transfer *t, struct vfiomig_device *dev, struct ending *end)
{
	bool borrowed = vfiomig_device_is_borrowed(dev);
	int err = vfiomig_device_close(dev);
	bool lost = err == -EOWNERDEAD || !borrowed;

	if (!err)
		return;
	end->error = vfiomig_get_error(t->cli->ctx);
	end->status =
		fail(t->cli, status_of(OPEN_DEVICE, err), "%s%s", end->error,
		     err == -EOWNERDEAD ? ""
		     : lost ? "; all of the state was restored, but closing ends it on most devices"
			    : "; all of the state was restored, and the device has it");
	end->result.state = -1;
	end->result.loaded = !lost;
}

static int restore_and_close(struct transfer *t, struct vfiomig_device *dev, int fd)
{
	bool borrowed = vfiomig_device_is_borrowed(dev);
	struct ending end = { .result = VFIOMIG_RESULT_INIT };

	restore_from(t, dev, fd, &end);
	/* Report a failure now: closing the device replaces the library's sentence. */
	if (end.status)
		return report(t, &end, "");
	close_restored(t, dev, &end);
	return report(t, &end,
		      borrowed ? "" : " and closed now, which on most devices ends its state");
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
	r.transfer.summary = stdout;
	fd = open_input(cli, r.transfer.input, false, &status);
	if (fd < 0)
		return status;
	signals_catch(cli->ctx);
	status = open_migratable(cli, &dev, &flags);
	if (!status) {
		warn_of_owner(cli, dev);
		if (r.no_hold || vfiomig_device_is_borrowed(dev))
			status = restore_and_close(&r.transfer, dev, fd);
		else
			status = restore_and_hold(&r.transfer, dev, fd);
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
