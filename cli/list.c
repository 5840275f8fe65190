// SPDX-License-Identifier: GPL-2.0-or-later
/* vfiomig list: the devices that have a VFIO driver. Opens none of them. */
#include "cli.h"

static int add_row(struct vfiomig_device *dev, void *data)
{
	char group[16], id[32], user[48];
	const char *type = vfiomig_device_get_mdev_type(dev);
	const char *opener = NULL, *state = NULL;
	struct vfiomig_pci_id pci;
	struct table *table = data;
	char comm[16];
	int pid;

	snprintf(group, sizeof(group), "%d", vfiomig_device_get_group(dev));
	if (vfiomig_device_get_pci_id(dev, &pci)) {
		snprintf(id, sizeof(id), "%04x:%04x", pci.vendor, pci.device);
		type = id;
	}
	if (vfiomig_device_get_holder(dev, &pid) == 0) {
		snprintf(user, sizeof(user), "%d (holder)", pid);
		opener = user;
	} else if (vfiomig_device_get_opener(dev, &pid, comm) == 0) {
		snprintf(user, sizeof(user), "%d (%s)", pid, comm);
		opener = user;
	}
	if (opener) {
		/* Of a device that nobody has open it would mean nothing. */
		if (vfiomig_device_peek_state(dev) >= 0)
			state = vfiomig_state_name(
				vfiomig_device_peek_state(dev));
	}
	table_row(table, vfiomig_device_get_name(dev), type,
		  vfiomig_device_get_driver(dev), group,
		  vfiomig_device_get_cdev(dev), state, opener);
	return 0;
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
	if (key != ARGP_KEY_ARG)
		return ARGP_ERR_UNKNOWN;
	return usage_error(state, "'%s': list takes no argument", arg);
}

static const struct argp argp = {
	.parser = parse,
	.doc = "List the devices that have a VFIO driver, without opening them.\vOPEN BY is the device's holder, or the process that has its group or character device open, as far as this user may see; STATE is its migration state then, where the kernel shows that (VFIO_DEBUGFS).",
};

static int list(struct cli *cli, int argc, char **argv)
{
	struct table table;
	int err, status = cli_parse(cli, &argp, argc, argv, NULL);

	if (status)
		return status;
	table_init(&table, 7);
	table_row(&table, "DEVICE", "TYPE", "DRIVER", "GROUP", "CDEV", "STATE",
		  "OPEN BY");
	err = vfiomig_device_foreach(cli->ctx, add_row, &table);
	if (err)
		return fail(cli, STATUS_FAILED, "%s", strerror(-err));
	if (table.cells == table.columns)
		notice(cli, "no device has a VFIO driver");
	else
		table_print(&table, stdout);
	return STATUS_OK;
}

const struct command cmd_list = {
	.name = "list",
	.help = "List VFIO devices",
	.main = list,
};
