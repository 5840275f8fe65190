// SPDX-License-Identifier: GPL-2.0-or-later
/* vfiomig state: read the migration state, or drive it. */
#include "cli.h"

struct options {
	struct cli *cli;
	int state; /* to drive to, or -1 */
	bool reset;
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct options *opt = state->input;

	if (key == 'R') {
		opt->reset = true;
		return 0;
	}
	if (key != ARGP_KEY_ARG || state->arg_num != 1)
		return parse_device(state, key, arg, opt->cli);
	opt->state = parse_state(state, arg);
	return opt->state < 0 ? EINVAL : 0;
}

static const struct argp_option options[] = {
	{ "reset", 'R', NULL, 0,
	  "Reset the device first (VFIO_DEVICE_RESET): the way out of ERROR and RESUMING. The device's state is lost.",
	  0 },
	{ 0 }
};

static const struct argp argp = {
	.options = options,
	.parser = parse,
	.args_doc = "DEV [STATE]",
	.doc = "Print the migration state of a device, or drive it to STATE and print the path taken.\vThis opens the device, which resets it if nobody else has it open; its state ends with the command then.",
};

static int print_step(void *data, int state, uint64_t ns)
{
	(void)data;
	(void)ns;
	printf(" -> %s", vfiomig_state_name(state));
	/* An arc can take long: show what is behind us. */
	fflush(stdout);
	return signals_came() ? -EINTR : 0;
}

static int drive(struct cli *cli, struct vfiomig_device *dev, uint64_t flags,
		 int to)
{
	int from = vfiomig_device_get_state(dev);
	struct vfiomig_result result = { .before = from };
	int err;

	if (from < 0)
		return fail(cli, STATUS_FAILED, "%s",
			    vfiomig_get_error(cli->ctx));
	result.touched = vfiomig_fsm_path(flags, from, to, NULL) >= 0;
	if (result.touched)
		printf("%s", vfiomig_state_name(from));
	err = vfiomig_device_drive(dev, to, NULL, print_step, NULL);
	if (result.touched)
		printf("\n");
	if (!err)
		return STATUS_OK;
	/* Before the message about it. */
	fflush(stdout);
	result.now = vfiomig_device_recover(dev, from);
	return fail_transfer(cli, err, vfiomig_get_error(cli->ctx), &result);
}

static int state(struct cli *cli, int argc, char **argv)
{
	struct options opt = { .cli = cli, .state = -1 };
	struct vfiomig_device *dev;
	int status = cli_parse(cli, &argp, argc, argv, &opt);
	uint64_t flags;
	int now;

	if (status)
		return status;
	signals_catch(cli->ctx);
	status = open_migratable(cli, &dev, &flags);
	if (status)
		return status;

	if (opt.reset && vfiomig_device_reset(dev)) {
		status = fail(cli, STATUS_FAILED, "%s",
			      vfiomig_get_error(cli->ctx));
	} else if (opt.state >= 0) {
		status = drive(cli, dev, flags, opt.state);
	} else {
		now = vfiomig_device_get_state(dev);
		if (now < 0)
			status = fail(cli, STATUS_FAILED, "%s",
				      vfiomig_get_error(cli->ctx));
		else
			printf("%s\n", vfiomig_state_name(now));
	}
	vfiomig_device_unref(dev);
	return status;
}

const struct command cmd_state = {
	.name = "state",
	.help = "Print a device's migration state, or drive it",
	.main = state,
};
