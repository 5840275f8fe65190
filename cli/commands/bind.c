// SPDX-License-Identifier: GPL-2.0-or-later
/* vfiomig bind and unbind: give a PCI function to a VFIO driver, and give it back. */
#include <argp.h>
#include <stdio.h>

#include "arguments.h"
#include "device.h"
#include "json.h"
#include "message.h"
#include "options.h"
#include "signals.h"
#include "stream.h"

struct options {
	struct cli *cli;
	const char *driver; /* NULL: the driver that fits best */
	unsigned int flags;
	struct json_object *functions; /* with --json: what was done with each */
};

enum {
	OPT_DRIVER = 256,
	OPT_DRY_RUN,
	OPT_FORCE,
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct options *opt = state->input;

	switch (key) {
	case ARGP_KEY_INIT:
		return share_input(state, 2, opt->cli);
	case 'g':
		opt->flags |= VFIOMIG_BIND_GROUP;
		return 0;
	case 'n':
		opt->flags |= VFIOMIG_BIND_DRY_RUN;
		return 0;
	case OPT_FORCE:
		opt->flags |= VFIOMIG_BIND_FORCE;
		return 0;
	case 'd':
		opt->driver = arg;
		return 0;
	case ARGP_KEY_NO_ARGS:
		if (opt->cli->device)
			return ARGP_ERR_UNKNOWN;
		/* "vfiomig list" shows only the functions that are bound already. */
		return usage_error(state, "which device? \"lspci -D\" shows the PCI functions");
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

/* Versions of clang-format differ about macros that are initializers. */
/* clang-format off */
#define OPTION_GROUP \
	{ "group", 'g', NULL, 0, "Change all endpoint functions of the IOMMU group", 0 }
#define OPTION_DRY_RUN \
	{ "dry-run", 'n', NULL, 0, "Print what would be done, and do nothing", 0 }
/* clang-format on */

static const struct argp_option bind_options[] = {
	{ "driver", 'd', "NAME", 0,
	  "Bind to this PCI driver, not to the variant driver that fits best, or vfio-pci", 0 },
	{ "force", OPT_FORCE, NULL, 0,
	  "Bind even a device whose disk, network interface, console or virtual functions are in use",
	  0 },
	OPTION_GROUP,
	OPTION_DRY_RUN,
	{ 0 }
};

static const struct argp_option unbind_options[] = {
	OPTION_GROUP,
	OPTION_DRY_RUN,
	{ 0 },
};

static const struct argp_child children[] = {
	{ .argp = &argp_device },
	{ .argp = &argp_json },
	{ 0 },
};

static const struct argp bind_argp = {
	.children = children,
	.options = bind_options,
	.parser = parse,
	.args_doc = "DEV",
	.doc = "Bind a PCI function to the VFIO driver that fits it best.\vIf a step fails, all changes are undone. \"vfiomig unbind\" gives the function back to the driver that it had.",
};

static const struct argp unbind_argp = {
	.children = children,
	.options = unbind_options,
	.parser = parse,
	.args_doc = "DEV",
	.doc = "Give a PCI function back to the driver that it had before \"vfiomig bind\".\vA function that was bound to VFIO by other means gets the driver that the kernel chooses.",
};

static const char *driver_name(const char *driver)
{
	return driver ? driver : "no driver";
}

static void print_text(const struct options *opt, const struct vfiomig_binding *b)
{
	const char *to = b->unknown ? "the driver that the kernel chooses" : driver_name(b->to);
	bool dry_run = opt->flags & VFIOMIG_BIND_DRY_RUN;

	if (b->unchanged)
		print_line("%s: bound to %s already", b->device, driver_name(b->from));
	else
		print_line("%s: %sbound to %s (%s %s)", b->device, dry_run ? "would be " : "", to,
			   dry_run ? "now" : "before", driver_name(b->from));
}

static void append_function(struct json_object *functions, const struct vfiomig_binding *b)
{
	struct json_object *function = new_object();

	add_string(function, "name", b->device);
	add_string(function, "before", b->from);
	add_string(function, "after", b->to);
	add_bool(function, "changed", !b->unchanged);
	add_bool(function, "kernel_chooses", b->unknown);
	add_string(function, "lost", b->lost);
	append_value(functions, function);
}

static void print_binding(void *data, const struct vfiomig_binding *b)
{
	const struct options *opt = data;

	if (opt->cli->json)
		append_function(opt->functions, b);
	else if (!opt->cli->quiet)
		print_text(opt, b);
	if (b->lost)
		notice(opt->cli, "%s had the driver %s, which the kernel has no more", b->device,
		       b->lost);
}

/* The change has ended with @err. Returns the exit status, after a message if it is not 0. */
static int finish(struct options *opt, int err)
{
	struct json_object *object;

	if (err)
		return fail_at(opt->cli, FIND_DEVICE, err);
	if (!opt->cli->json)
		return STATUS_OK;
	object = new_object();
	add_string(object, "device", opt->cli->device);
	add_bool(object, "dry_run", opt->flags & VFIOMIG_BIND_DRY_RUN);
	add_value(object, "functions", json_object_get(opt->functions));
	return print_json(opt->cli, object, stdout);
}

/* Report now what would make the next command fail. */
static void tell_of_obstacle(const struct cli *cli, const struct vfiomig_device *dev)
{
	char name[256], driver[256];

	if (vfiomig_device_get_obstacle(dev, name, driver))
		return;
	notice(cli,
	       "its IOMMU group %d cannot be used yet: %s is in it and bound to %s; --group takes it along",
	       vfiomig_device_get_group(dev), name, driver);
}

static int change_bind(struct options *opt, struct vfiomig_device *dev)
{
	int err = vfiomig_device_bind(dev, opt->driver, opt->flags, print_binding, opt);
	int status = finish(opt, err);

	fflush(stdout);
	if (!status && !(opt->flags & VFIOMIG_BIND_DRY_RUN))
		tell_of_obstacle(opt->cli, dev);
	return status;
}

static int change_unbind(struct options *opt, struct vfiomig_device *dev)
{
	return finish(opt, vfiomig_device_unbind(dev, opt->flags, print_binding, opt));
}

static int run(struct cli *cli, const struct argp *argp, int argc, char **argv,
	       int (*change)(struct options *opt, struct vfiomig_device *dev))
{
	struct options opt = { .cli = cli };
	struct vfiomig_device *dev;
	int status = cli_parse(cli, argp, argc, argv, &opt);

	if (!status)
		status = find_device(cli, &dev);
	if (status)
		return status;
	signals_catch(cli->ctx);
	vfiomig_device_set_wait(dev, cli->wait);
	opt.functions = cli->json ? new_array() : NULL;
	status = change(&opt, dev);
	json_object_put(opt.functions);
	vfiomig_device_unref(dev);
	return status;
}

static int bind_main(struct cli *cli, int argc, char **argv)
{
	return run(cli, &bind_argp, argc, argv, change_bind);
}

static int unbind_main(struct cli *cli, int argc, char **argv)
{
	return run(cli, &unbind_argp, argc, argv, change_unbind);
}

const struct command cmd_bind = {
	.name = "bind",
	.help = "Bind a device to the VFIO driver that fits it best",
	.main = bind_main,
};

const struct command cmd_unbind = {
	.name = "unbind",
	.help = "Give a device back to the driver it had",
	.main = unbind_main,
};
