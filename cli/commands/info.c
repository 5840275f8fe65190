// SPDX-License-Identifier: GPL-2.0-or-later
/* vfiomig info: what a device is and what it can do. */
#include <argp.h>
#include <stdio.h>
#include <string.h>

#include "describe.h"
#include "device.h"
#include "message.h"
#include "names.h"
#include "options.h"
#include "stream.h"
#include "user.h"

static void print_identity(const struct vfiomig_device *dev)
{
	const char *cdev = vfiomig_device_get_cdev(dev);
	const char *mdev_type = vfiomig_device_get_mdev_type(dev);
	struct vfiomig_pci_id id = VFIOMIG_PCI_ID_INIT;
	char vendor[128], device[128];

	print_line("device:     %s", vfiomig_device_get_name(dev));
	if (vfiomig_device_get_pci_id(dev, &id))
		print_line("name:       %s %s", pci_vendor_name(&id, vendor, sizeof(vendor)) ?: "?",
			   pci_device_name(&id, device, sizeof(device)) ?: "?");
	print_line("bus:        %s", vfiomig_device_get_bus(dev) ?: "unknown");
	if (vfiomig_device_get_pci_id(dev, &id)) {
		print_line("PCI id:     %04x:%04x (rev %02x), subsystem %04x:%04x", id.vendor,
			   id.device, id.revision, id.subsystem_vendor, id.subsystem_device);
		print_line("PCI class:  %06x (%s)", id.class_code,
			   pci_class_name(&id, device, sizeof(device)) ?: "?");
	}
	if (mdev_type)
		print_line("mdev type:  %s", mdev_type);
	print_line("driver:     %s", vfiomig_device_get_driver(dev) ?: "unknown");
	print_line("group:      %d", vfiomig_device_get_group(dev));
	if (cdev)
		print_line("cdev:       %s", cdev);
}

static void print_migration(struct vfiomig_device *dev, uint64_t flags)
{
	int state = vfiomig_device_get_state(dev);
	uint64_t bytes;

	printf("migration: ");
	for (int bit = 0; bit < 64; bit++) {
		if (!(flags & (1ULL << bit)))
			continue;
		if (bit < NR_FLAGS)
			printf(" %s", flag_names[bit]);
		else
			printf(" unknown(0x%llx)", 1ULL << bit);
	}
	printf("\nstates:    ");
	for (int s = 0; s < VFIOMIG_NR_STATES; s++)
		if (s != VFIOMIG_STATE_ERROR && vfiomig_fsm_supports(flags, s))
			printf(" %s", vfiomig_state_name(s));
	printf("\nstate:      %s\n", state < 0 ? "unknown" : vfiomig_state_name(state));
	if (vfiomig_device_get_data_size(dev, &bytes) == 0)
		printf("state size: %llu bytes (stop-copy, estimated)\n",
		       (unsigned long long)bytes);
	else
		printf("state size: unknown (no MIG_DATA_SIZE)\n");
}

/* How many features to probe. Newer kernels have features that have no name here. Their numbers are
 * consecutive; Linux 7.3 has 14. */
#define FEATURES_PROBED 64

struct feature_name {
	char text[32];
};

static struct feature_name feature_name(unsigned int feature)
{
	const char *known = vfiomig_feature_name(feature);
	struct feature_name name;

	if (known)
		snprintf(name.text, sizeof(name.text), "%s", known);
	else
		snprintf(name.text, sizeof(name.text), "FEATURE_%u", feature);
	return name;
}

static void print_features(const struct vfiomig_device *dev)
{
	bool any = false;

	printf("features:  ");
	for (unsigned int f = 0; f < FEATURES_PROBED; f++) {
		unsigned int ops = vfiomig_device_probe(dev, f);

		any |= ops;
		if (ops)
			printf(" %s(%s%s%s)", feature_name(f).text,
			       ops & VFIOMIG_FEATURE_GET ? "get" : "",
			       ops == (VFIOMIG_FEATURE_GET | VFIOMIG_FEATURE_SET) ? "," : "",
			       ops & VFIOMIG_FEATURE_SET ? "set" : "");
	}
	printf("%s\n", any ? "" : " none");
}

/* DMA logging is two features of the uAPI. */
static bool has_dma_logging(const struct vfiomig_device *dev)
{
	for (unsigned int f = 0; vfiomig_feature_name(f); f++)
		if (strcmp(vfiomig_feature_name(f), "DMA_LOGGING_START") == 0)
			return vfiomig_device_probe(dev, f);
	return false;
}

/* What can be known about a device that somebody else has open. */
static void print_from_outside(const struct vfiomig_device *dev, const struct user *user)
{
	print_identity(dev);
	if (!user->pid)
		return;
	print_line("open by:    %d (%s)", user->pid, user->is_holder ? "holder" : user->comm);
	print_line("state:      %s", user->state < 0 ? "-" : vfiomig_state_name(user->state));
}

/* ---- The same as JSON ---------------------------------------------------- */

static void add_migration(struct json_object *object, struct vfiomig_device *dev)
{
	struct json_object *states = new_array();
	uint64_t flags, bytes;

	if (vfiomig_device_get_migration(dev, &flags))
		flags = 0;
	add_flags(object, flags);
	for (int s = 0; s < VFIOMIG_NR_STATES; s++)
		if (flags && s != VFIOMIG_STATE_ERROR && vfiomig_fsm_supports(flags, s))
			append_string(states, vfiomig_state_name(s));
	add_value(object, "states", states);
	add_state(object, "state", flags ? vfiomig_device_get_state(dev) : -1);
	if (flags && vfiomig_device_get_data_size(dev, &bytes) == 0)
		add_uint(object, "expected_bytes", bytes);
	else
		add_value(object, "expected_bytes", NULL);
}

static void add_features(struct json_object *object, const struct vfiomig_device *dev)
{
	struct json_object *features = new_object();

	for (unsigned int f = 0; f < FEATURES_PROBED; f++) {
		unsigned int ops = vfiomig_device_probe(dev, f);
		struct json_object *list;

		if (!ops)
			continue;
		list = new_array();
		if (ops & VFIOMIG_FEATURE_GET)
			append_string(list, "get");
		if (ops & VFIOMIG_FEATURE_SET)
			append_string(list, "set");
		add_value(features, feature_name(f).text, list);
	}
	add_value(object, "features", features);
	add_bool(object, "dma_logging", has_dma_logging(dev));
}

/* @open: the device is open, so that it can be asked. Returns the exit status. */
static int print_object(const struct cli *cli, struct vfiomig_device *dev, const struct user *user,
			bool open)
{
	struct json_object *object = describe_device(dev, user->pid ? user : NULL);

	if (open) {
		add_migration(object, dev);
		add_features(object, dev);
	} else {
		add_state(object, "state", user->state);
	}
	return print_json(cli, object, stdout);
}

/* ---- The command --------------------------------------------------------- */

static error_t parse(int key, char *arg, struct argp_state *state)
{
	(void)arg;
	return key == ARGP_KEY_INIT ? share_input(state, 2, state->input) : ARGP_ERR_UNKNOWN;
}

static const struct argp_child children[] = {
	{ .argp = &argp_open },
	{ .argp = &argp_json },
	{ 0 },
};

static const struct argp argp = {
	.parser = parse,
	.args_doc = "DEV",
	.children = children,
	.doc = "Tell what a device is and can do.\vThis opens the device, which resets it if nobody else has it open.",
};

static void print_text(struct vfiomig_device *dev)
{
	uint64_t flags;

	print_identity(dev);
	if (vfiomig_device_get_migration(dev, &flags) == 0)
		print_migration(dev, flags);
	printf("DMA log:    %s\n", has_dma_logging(dev) ? "yes" : "no");
	print_features(dev);
}

/* Returns the exit status. */
static int print_open(const struct cli *cli, struct vfiomig_device *dev, const struct user *user)
{
	int err, status = STATUS_OK;
	uint64_t flags;

	if (cli->json)
		status = print_object(cli, dev, user, true);
	else
		print_text(dev);
	err = vfiomig_device_get_migration(dev, &flags);
	return err ? fail_at(cli, OPEN_DEVICE, err) : status;
}

static void print_busy(const struct cli *cli, struct vfiomig_device *dev, const struct user *user)
{
	if (cli->json)
		print_object(cli, dev, user, false);
	else
		print_from_outside(dev, user);
}

/* A holder that does not answer is not asked again: that would take as long as it is stopped. */
static int open_answering(struct cli *cli, struct vfiomig_device *dev, const struct user *user)
{
	if (user->is_silent && cli->wait == 0)
		return fail(cli, STATUS_BUSY, "busy: its holder does not answer");
	return open_found(cli, dev, 0);
}

static int info(struct cli *cli, int argc, char **argv)
{
	struct vfiomig_device *dev;
	struct user user;
	int status = cli_parse(cli, &argp, argc, argv, cli);

	if (status)
		return status;
	status = find_device(cli, &dev);
	if (status)
		return status;
	find_user(dev, &user);
	status = open_answering(cli, dev, &user);
	if (!status)
		status = print_open(cli, dev, &user);
	else if (status == STATUS_BUSY)
		print_busy(cli, dev, &user);
	vfiomig_device_unref(dev);
	return status;
}

const struct command cmd_info = {
	.name = "info",
	.help = "Tell what a device is and can do",
	.main = info,
};
