// SPDX-License-Identifier: GPL-2.0-or-later
/* vfiomig save: device -> image. */
#include "cli.h"

struct options {
	struct cli *cli;
	const char *output;
	int leave; /* a state, or -1 for the one that it was in */
	bool raw;
};

enum {
	OPT_LEAVE = 256,
	OPT_RAW
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct options *opt = state->input;

	switch (key) {
	case 'o':
		opt->output = arg;
		return 0;
	case OPT_LEAVE:
		opt->leave = parse_state(state, arg);
		return opt->leave < 0 ? EINVAL : 0;
	case OPT_RAW:
		opt->raw = true;
		return 0;
	case ARGP_KEY_END:
		if (!opt->raw)
			return usage_error(
				state,
				"this version writes only the kernel's bytes; say so with --raw");
		return ARGP_ERR_UNKNOWN;
	default:
		return parse_device(state, key, arg, opt->cli);
	}
}

static const struct argp_option options[] = {
	{ "output", 'o', "FILE", 0,
	  "Write to FILE, which appears when it is whole (default: standard output)",
	  0 },
	{ "leave", OPT_LEAVE, "STATE", 0,
	  "The state to leave the device in (default: the one it was in)", 0 },
	{ "raw", OPT_RAW, NULL, 0, "The kernel's bytes, without a container",
	  0 },
	{ 0 }
};

static const struct argp argp = {
	.options = options,
	.parser = parse,
	.args_doc = "DEV",
	.doc = "Stop a device, stream its state out, and put it back into the state it was in.",
};

static int save_to(struct cli *cli, struct vfiomig_device *dev,
		   const struct options *opt, struct output *out)
{
	struct vfiomig_result result;
	int status = STATUS_OK, committed;

	if (vfiomig_save(dev, out->fd, opt->leave, &result))
		status = fail_transfer(cli, &result);
	/* A device that did not come home gave a whole image all the same, and
	 * it may be all that is left of the state. */
	if (!result.complete) {
		output_discard(out);
		return status;
	}
	committed = output_commit(cli, out);
	if (committed)
		return status ? status : committed;
	notice(cli, "saved %llu bytes in %.3f s; the device is in %s",
	       (unsigned long long)result.bytes, result.ns / 1e9,
	       vfiomig_state_name(result.now.state));
	return status;
}

static int save(struct cli *cli, int argc, char **argv)
{
	struct options opt = { .cli = cli, .leave = -1 };
	struct vfiomig_device *dev;
	uint64_t flags;
	struct output out;
	int status = cli_parse(cli, &argp, argc, argv, &opt);

	if (status)
		return status;
	/* A destination that cannot be had costs the device nothing. */
	status = output_open(cli, &out, opt.output);
	if (status)
		return status;
	signals_catch(cli->ctx);
	status = open_migratable(cli, &dev, &flags);
	if (status) {
		output_discard(&out);
		return status;
	}
	status = save_to(cli, dev, &opt, &out);
	vfiomig_device_unref(dev);
	return status;
}

const struct command cmd_save = {
	.name = "save",
	.help = "Save a device's state to an image",
	.main = save,
};
