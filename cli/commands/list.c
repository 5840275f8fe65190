// SPDX-License-Identifier: GPL-2.0-or-later
/* vfiomig list: the devices that have a VFIO driver. Without --probe, it opens none of them. */
#include <argp.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "arguments.h"
#include "describe.h"
#include "message.h"
#include "names.h"
#include "options.h"
#include "spelling.h"
#include "table.h"
#include "user.h"
#include "values.h"

enum {
	OPT_PROBE = 256
};

/* What is known about a device beyond what sysfs says. */
struct finding {
	struct vfiomig_device *dev;
	struct user user;
	bool in_use, probed;
	uint64_t flags;
	int state;
	char refusal[512]; /* why the device could not be opened, or did not answer; or "" */
};

struct options {
	struct cli *cli;
	bool probe;
	struct table table;
	struct json_object *devices;
	struct finding *list;
	size_t n;
};

/* ---- Finding out --------------------------------------------------------- */

static int add_device(void *data, const struct vfiomig_use *use)
{
	struct options *opt = data;
	struct finding *list = reallocarray(opt->list, opt->n + 1, sizeof(*list)), *found;

	if (!list)
		return -ENOMEM;
	opt->list = list;
	found = &list[opt->n++];
	*found = (struct finding){ .dev = vfiomig_device_ref(use->device) };
	found->in_use = take_user(use, &found->user);
	found->state = found->user.state;
	return 0;
}

/* Probe an open device only through its holder: borrowing from a process can do harm. */
static bool is_probed(const struct finding *found)
{
	return !found->in_use || found->user.is_holder;
}

/* The devices that are probed, and whose turn it is. */
struct turn {
	struct options *opt;
	size_t next;
};

static int take_answers(void *data, const struct vfiomig_probe *probe)
{
	struct turn *turn = data;
	struct finding *found = &turn->opt->list[turn->next++];

	while (found->dev != probe->device)
		found = &turn->opt->list[turn->next++];
	found->probed = !probe->open && !is_unknown(probe->migration);
	found->flags = probe->migration ? 0 : probe->flags;
	if (probe->state >= 0)
		found->state = probe->state;
	if (found->probed && probe->error != -ETIMEDOUT)
		return 0;
	snprintf(found->refusal, sizeof(found->refusal), "%s", probe->sentence);
	notice(turn->opt->cli, "%s: %s", vfiomig_device_get_name(found->dev), found->refusal);
	return 0;
}

static int probe(struct options *opt, uint64_t start)
{
	struct vfiomig_device **devices = calloc(opt->n + 1, sizeof(struct vfiomig_device *));
	struct turn turn = { .opt = opt };
	size_t n = 0;
	int err;

	if (!devices)
		return fail(opt->cli, STATUS_FAILED, "out of memory");
	for (size_t i = 0; i < opt->n; i++)
		if (is_probed(&opt->list[i]))
			devices[n++] = opt->list[i].dev;
	err = vfiomig_probe_devices(opt->cli->ctx, devices, n, ms_left(start), 0, take_answers,
				    &turn);
	free(devices);
	return err ? fail_at(opt->cli, OPEN_DEVICE, err) : STATUS_OK;
}

/* Say what could not be found out. The reason usually is the same for all devices. */
static void tell_unknown(const struct options *opt)
{
	const struct finding *first = NULL;
	size_t others = 0;

	for (size_t i = 0; i < opt->n; i++) {
		const struct finding *found = &opt->list[i];

		if (found->user.is_silent) {
			notice(opt->cli, "%s: %s", vfiomig_device_get_name(found->dev),
			       found->user.sentence);
			continue;
		}
		others += found->user.error && first;
		if (found->user.error && !first)
			first = found;
	}
	if (first && others)
		notice(opt->cli,
		       "%s and %zu others: not all could be found out about who has them open: %s",
		       vfiomig_device_get_name(first->dev), others, why_unknown(&first->user));
	else if (first)
		notice(opt->cli, "%s: not all could be found out about who has it open: %s",
		       vfiomig_device_get_name(first->dev), why_unknown(&first->user));
}

/* ---- Printing ------------------------------------------------------------ */

static void add_object(const struct options *opt, const struct finding *found)
{
	struct json_object *object = describe_device(found->dev, &found->user);

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

static void add_row(struct options *opt, const struct finding *found)
{
	const struct vfiomig_device *dev = found->dev;
	char group[16], text[48], flags[32], name[160];
	const char *user = found->in_use ? print_user(&found->user, text) : NULL;
	const char *state = found->state < 0 ? NULL : vfiomig_state_name(found->state);

	snprintf(group, sizeof(group), "%d", vfiomig_device_get_group(dev));
	if (opt->probe)
		table_row(&opt->table, vfiomig_device_get_name(dev), state,
			  describe_flags(found, flags), user, vfiomig_device_get_driver(dev));
	else
		table_row(&opt->table, vfiomig_device_get_name(dev), vfiomig_device_get_driver(dev),
			  state, user, vfiomig_device_get_group(dev) < 0 ? NULL : group,
			  vfiomig_device_get_cdev(dev), describe_name(dev, name));
}

static error_t refuse_argument(struct argp_state *state, const char *arg)
{
	const char *option = option_called(state->root_argp, arg), *device = spell_device(arg);

	if (option)
		return usage_error(state, "'%s': list takes no argument; did you mean '--%s'?", arg,
				   option);
	if (names_device(device))
		return usage_error(
			state, "'%s': list takes no argument; did you mean \"vfiomig info %s\"?",
			arg, device);
	return usage_error(state, "'%s': list takes no argument", arg);
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
		return refuse_argument(state, arg);
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

static int print_table(struct options *opt)
{
	begin_table(opt);
	for (size_t i = 0; i < opt->n; i++)
		add_row(opt, &opt->list[i]);
	if (opt->table.out_of_memory)
		return fail(opt->cli, STATUS_FAILED, "out of memory");
	if (!opt->n)
		notice(opt->cli, "no device has a VFIO driver");
	else
		table_print(&opt->table);
	return STATUS_OK;
}

static int print_object(struct options *opt)
{
	struct json_object *object = new_object();

	opt->devices = new_array();
	for (size_t i = 0; i < opt->n; i++)
		add_object(opt, &opt->list[i]);
	add_value(object, "devices", opt->devices);
	return print_json(opt->cli, object, stdout);
}

static int print_list(struct options *opt)
{
	int status;

	tell_unknown(opt);
	if (opt->cli->json)
		return print_object(opt);
	status = print_table(opt);
	table_free(&opt->table);
	return status;
}

static int list(struct cli *cli, int argc, char **argv)
{
	struct options opt = { .cli = cli };
	uint64_t start = clock_ns();
	int err, status = cli_parse(cli, &argp, argc, argv, &opt);

	if (status)
		return status;
	err = vfiomig_device_foreach_use(cli->ctx, PATIENCE_MS, add_device, &opt);
	if (err)
		status = fail_at(cli, FIND_DEVICE, err);
	else if (opt.probe)
		status = probe(&opt, start);
	if (!status)
		status = print_list(&opt);
	for (size_t i = 0; i < opt.n; i++)
		vfiomig_device_unref(opt.list[i].dev);
	free(opt.list);
	return status;
}

const struct command cmd_list = {
	.name = "list",
	.help = "List VFIO devices",
	.main = list,
};
