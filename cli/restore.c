// SPDX-License-Identifier: GPL-2.0-or-later
/* vfiomig restore: image -> device. */
#include <unistd.h>

#include "cli.h"

enum {
	OPT_FORCE = 256,
	OPT_NO_VERIFY
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct transfer *t = state->input;

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
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static const struct argp_option options[] = {
	{ "input", 'i', "FILE", 0,
	  "Read the image from FILE (default: standard input)", 0 },
	{ "force", OPT_FORCE, NULL, 0,
	  "Restore an image that is of another device", 0 },
	{ "no-verify", OPT_NO_VERIFY, NULL, 0,
	  "Do not check all of an image file before the device is touched", 0 },
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
	.doc = "Load a device's state from an image.\vWhen the command ends and nobody else has the device open, its session ends too, and most devices lose with it what was restored.",
	.children = children,
};

static int restore_from(struct transfer *t, struct vfiomig_device *dev, int fd)
{
	struct vfiomig_result result;
	char size[32];
	int err;

	progress_start(t);
	err = vfiomig_restore(dev, fd, &t->opt, &result);
	progress_end();
	if (err)
		return fail_transfer(t->cli, err,
				     vfiomig_get_error(t->cli->ctx), &result);
	notice(t->cli,
	       "restored %llu bytes (%s) in %.3f s; the device is in %s and closed now, which on most devices ends its state",
	       (unsigned long long)result.bytes,
	       format_bytes(result.bytes, size), result.ns / 1e9,
	       vfiomig_state_name(result.now.state));
	return STATUS_OK;
}

static int restore(struct cli *cli, int argc, char **argv)
{
	struct transfer t = TRANSFER_INIT(cli);
	struct vfiomig_device *dev;
	uint64_t flags;
	int status = cli_parse(cli, &argp, argc, argv, &t);
	int fd;

	if (status)
		return status;
	fd = open_input(cli, t.input, &status);
	if (fd < 0)
		return status;
	signals_catch(cli->ctx);
	status = open_migratable(cli, &dev, &flags);
	if (!status) {
		status = restore_from(&t, dev, fd);
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
