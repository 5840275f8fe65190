// SPDX-License-Identifier: GPL-2.0-or-later
/* vfiomig list: the devices that have a VFIO driver. Opens none of them. */
#include <argp.h>
#include <json-c/json.h>
#include <stdio.h>
#include <string.h>

#include "arguments.h"
#include "describe.h"
#include "device.h"
#include "json.h"
#include "message.h"
#include "names.h"
#include "options.h"
#include "table.h"
#include "user.h"

enum {
	OPT_PROBE = 256,
	OPT_JSON
};

struct options {
	struct cli *cli;
	bool probe, json;
	struct table table;
	struct json_object *devices;
};

/* What is known of a device, beyond what sysfs says. */
struct finding {
	struct user user;
	bool in_use, probed;
	uint64_t flags;
	int state;
	char refusal[1024]; /* why it cannot be opened; what follows fails too
			     */
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
	struct json_object *object = describe_device(dev);

	json_state(object, "state", found->state);
	if (found->probed)
		json_flags(object, found->flags);
	if (found->refusal[0])
		json_string(object, "error", found->refusal);
	json_object_array_add(opt->devices, object);
}

static const char *describe_flags(const struct finding *found, char text[32])
{
	if (!found->probed)
		return NULL;
	text[0] = '\0';
	for (int bit = 0; bit < 3; bit++)
		if (found->flags & (1ULL << bit))
			strcat(strcat(text, *text ? "," : ""), flag_names[bit]);
	return *text ? text : "none";
}

static const char *describe_name(const struct vfiomig_device *dev, char text[160])
{
	struct vfiomig_pci_id id;
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

static int add_device(struct vfiomig_device *dev, void *data)
{
	struct options *opt = data;
	struct finding found = { .state = -1 };

	found.in_use = find_user(dev, &found.user);
	found.state = found.user.state;
	/* What somebody has open is asked only where that is harmless. */
	if (opt->probe && (!found.in_use || found.user.is_holder))
		probe(opt->cli, dev, &found);
	if (opt->json)
		add_object(opt, dev, &found);
	else
		add_row(opt, dev, &found);
	return 0;
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct options *opt = state->input;

	switch (key) {
	case OPT_PROBE:
		opt->probe = true;
		return 0;
	case OPT_JSON:
		opt->json = true;
		return 0;
	case ARGP_KEY_ARG:
		return usage_error(state, "'%s': list takes no argument", arg);
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static const struct argp_option options[] = {
	{ "probe", OPT_PROBE, NULL, 0,
	  "Open each device that nobody has open, which resets it, and show its migration flags and state",
	  0 },
	{ "json", OPT_JSON, NULL, 0, "One JSON object", 0 },
	{ 0 }
};

static const struct argp argp = {
	.options = options,
	.parser = parse,
	.doc = "List the devices that have a VFIO driver, without opening them.\vOPEN BY is the device's holder, or the process that has its group or character device open, as far as this user may see; STATE is its migration state then, where the kernel shows that (VFIO_DEBUGFS).",
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

static void print_devices(struct options *opt)
{
	struct json_object *all;

	if (!opt->json) {
		if (opt->table.cells == opt->table.columns)
			notice(opt->cli, "no device has a VFIO driver");
		else
			table_print(&opt->table, stdout);
		table_free(&opt->table);
		return;
	}
	all = json_object_new_object();
	json_object_object_add(all, "devices", opt->devices);
	print_json(all, stdout);
	json_object_put(all);
}

static int list(struct cli *cli, int argc, char **argv)
{
	struct options opt = { .cli = cli };
	int err, status = cli_parse(cli, &argp, argc, argv, &opt);

	if (status)
		return status;
	if (opt.json)
		opt.devices = json_object_new_array();
	else
		begin_table(&opt);
	err = vfiomig_device_foreach(cli->ctx, add_device, &opt);
	if (err)
		return fail_at(cli, FIND_DEVICE, err);
	print_devices(&opt);
	return STATUS_OK;
}

const struct command cmd_list = {
	.name = "list",
	.help = "List VFIO devices",
	.main = list,
};
