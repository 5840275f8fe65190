// SPDX-License-Identifier: GPL-2.0-or-later
/* vfiomig list: the devices that have a VFIO driver. Without --probe, it opens none of them. */
#include <argp.h>
#include <stdio.h>
#include <string.h>

#include "arguments.h"
#include "describe.h"
#include "device.h"
#include "message.h"
#include "names.h"
#include "options.h"
#include "table.h"
#include "user.h"

enum {
	OPT_PROBE = 256
};

struct options {
	struct cli *cli;
	bool probe;
	struct table table;
	struct json_object *devices;
};

/* What is known about a device beyond what sysfs says. */
struct finding {
	struct user user;
	bool in_use, probed;
	uint64_t flags;
	int state;
	char refusal[1024]; /* why the device could not be opened, or "" */
};

static void probe(const struct cli *cli, struct vfiomig_device *dev, struct finding *found)
{
	if (vfiomig_device_open(dev, 0)) {
		snprintf(found->refusal, sizeof(found->refusal), "%s", vfiomig_get_error(cli->ctx));
		notice(cli, "%s: %s", vfiomig_device_get_name(dev), found->refusal);
		return;
	}
	found->probed = true;
	if (vfiomig_device_get_migration(dev, &found->flags) == 0)
		found->state = vfiomig_device_get_state(dev);
	vfiomig_device_close(dev);
}

static void add_object(const struct options *opt, const struct vfiomig_device *dev,
		       const struct finding *found)
{
	struct json_object *object = describe_device(dev, found->in_use ? &found->user : NULL);

	add_state(object, "state", found->state);
	if (found->probed)
		add_flags(object, found->flags);
	if (found->refusal[0])
		add_string(object, "error", found->refusal);
	append_value(opt->devices, object);
}

static const char *describe_flags(const struct finding *found, char text[32])
{
	if (!found->probed)
		return NULL;
	text[0] = '\0';
	for (int bit = 0; bit < NR_FLAGS; bit++)
		if (found->flags & (1ULL << bit))
			strcat(strcat(text, *text ? "," : ""), flag_names[bit]);
	return *text ? text : "none";
}

static const char *describe_name(const struct vfiomig_device *dev, char text[160])
{
	struct vfiomig_pci_id id = VFIOMIG_PCI_ID_INIT;
	char name[128];

	if (!vfiomig_device_get_pci_id(dev, &id))
		return vfiomig_device_get_mdev_type(dev);
	snprintf(text, 160, "%s [%04x:%04x]", pci_device_name(&id, name, sizeof(name)) ?: "",
		 id.vendor, id.device);
	return text[0] == ' ' ? text + 1 : text;
}

static void add_row(struct options *opt, const struct vfiomig_device *dev,
		    const struct finding *found)
{
	char group[16], user[48], flags[32], name[160];
	const char *state = found->state < 0 ? NULL : vfiomig_state_name(found->state);

	snprintf(group, sizeof(group), "%d", vfiomig_device_get_group(dev));
	snprintf(user, sizeof(user), "%d (%s)", found->user.pid,
		 found->user.is_holder ? "holder" : found->user.comm);
	if (opt->probe)
		table_row(&opt->table, vfiomig_device_get_name(dev), state,
			  describe_flags(found, flags), found->in_use ? user : NULL,
			  vfiomig_device_get_driver(dev));
	else
		table_row(&opt->table, vfiomig_device_get_name(dev), vfiomig_device_get_driver(dev),
			  state, found->in_use ? user : NULL,
			  vfiomig_device_get_group(dev) < 0 ? NULL : group,
			  vfiomig_device_get_cdev(dev), describe_name(dev, name));
}

static int add_device(void *data, const struct vfiomig_use *use)
{
	struct vfiomig_device *dev = use->device;
	struct options *opt = data;
	struct finding found = { .state = -1 };

	found.in_use = take_user(use, &found.user);
	found.state = found.user.state;
	/* Probe an open device only through its holder: borrowing from a process can do harm. */
	if (opt->probe && (!found.in_use || found.user.is_holder))
		probe(opt->cli, dev, &found);
	if (opt->cli->json)
		add_object(opt, dev, &found);
	else
		add_row(opt, dev, &found);
	return 0;
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct options *opt = state->input;

	switch (key) {
	case ARGP_KEY_INIT:
		return share_input(state, 1, opt->cli);
	case OPT_PROBE:
		opt->probe = true;
		return 0;
	case ARGP_KEY_ARG:
		return usage_error(state, "'%s': list takes no argument", arg);
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static const struct argp_option options[] = {
	{ "probe", OPT_PROBE, NULL, 0,
	  "Open each device that nobody has open, which resets the device, and show its migration flags and state",
	  0 },
	{ 0 }
};

static const struct argp_child children[] = {
	{ .argp = &argp_json },
	{ 0 },
};

static const struct argp argp = {
	.children = children,
	.options = options,
	.parser = parse,
	.doc = "List the devices that have a VFIO driver, without opening them.\vOPEN BY is the holder of the device, or the process that has its group or character device open, as far as this user may see. STATE is the migration state of such a device, if the kernel shows that (VFIO_DEBUGFS).",
};

static void begin_table(struct options *opt)
{
	table_init(&opt->table, opt->probe ? 5 : 7);
	if (opt->probe)
		table_row(&opt->table, "DEVICE", "STATE", "MIGRATION", "OPEN BY", "DRIVER");
	else
		table_row(&opt->table, "DEVICE", "DRIVER", "STATE", "OPEN BY", "GROUP", "CDEV",
			  "NAME");
}

static int print_table(const struct options *opt)
{
	if (opt->table.out_of_memory)
		return fail(opt->cli, STATUS_FAILED, "out of memory");
	if (opt->table.cells == opt->table.columns)
		notice(opt->cli, "no device has a VFIO driver");
	else
		table_print(&opt->table);
	return STATUS_OK;
}

static int print_object(struct options *opt)
{
	struct json_object *object = new_object();

	add_value(object, "devices", opt->devices);
	opt->devices = NULL;
	return print_json(opt->cli, object, stdout);
}

static int list(struct cli *cli, int argc, char **argv)
{
	struct options opt = { .cli = cli };
	int err, status = cli_parse(cli, &argp, argc, argv, &opt);

	if (status)
		return status;
	if (cli->json)
		opt.devices = new_array();
	else
		begin_table(&opt);
	err = vfiomig_device_foreach_use(cli->ctx, PATIENCE_MS, add_device, &opt);
	if (err)
		status = fail_at(cli, FIND_DEVICE, err);
	else if (cli->json)
		status = print_object(&opt);
	else
		status = print_table(&opt);
	json_object_put(opt.devices);
	table_free(&opt.table);
	return status;
}

const struct command cmd_list = {
	.name = "list",
	.help = "List VFIO devices",
	.main = list,
};
