// SPDX-License-Identifier: GPL-2.0-or-later
/* vfiomig info: what a device is and can do. */
#include <argp.h>
#include <json-c/json.h>
#include <stdio.h>
#include <string.h>

#include "describe.h"
#include "device.h"
#include "json.h"
#include "message.h"
#include "names.h"
#include "options.h"
#include "user.h"

static void print_identity(const struct vfiomig_device *dev)
{
	const char *cdev = vfiomig_device_get_cdev(dev);
	const char *mdev_type = vfiomig_device_get_mdev_type(dev);
	struct vfiomig_pci_id id;
	char vendor[128], device[128];

	printf("device:     %s\n", vfiomig_device_get_name(dev));
	if (vfiomig_device_get_pci_id(dev, &id))
		printf("name:       %s %s\n", pci_vendor_name(&id, vendor, sizeof(vendor)) ?: "?",
		       pci_device_name(&id, device, sizeof(device)) ?: "?");
	printf("bus:        %s\n", vfiomig_device_get_bus(dev) ?: "unknown");
	if (vfiomig_device_get_pci_id(dev, &id)) {
		printf("PCI id:     %04x:%04x (rev %02x), subsystem %04x:%04x\n", id.vendor,
		       id.device, id.revision, id.subsystem_vendor, id.subsystem_device);
		printf("PCI class:  %06x (%s)\n", id.class_code,
		       pci_class_name(&id, device, sizeof(device)) ?: "?");
	}
	if (mdev_type)
		printf("mdev type:  %s\n", mdev_type);
	printf("driver:     %s\n", vfiomig_device_get_driver(dev) ?: "unknown");
	printf("group:      %d\n", vfiomig_device_get_group(dev));
	if (cdev)
		printf("cdev:       %s\n", cdev);
}

static void print_migration(struct vfiomig_device *dev, uint64_t flags)
{
	int state = vfiomig_device_get_state(dev);
	uint64_t bytes;

	printf("migration: ");
	for (int bit = 0; bit < 64; bit++) {
		if (!(flags & (1ULL << bit)))
			continue;
		if (bit < 3)
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

/*
 * A newer kernel has features that nobody here knows the name of. Their numbers
 * follow each other; Linux 7.3 has 14.
 */
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

/* Two of the features by the name of what they are good for. */
static bool has_dma_logging(const struct vfiomig_device *dev)
{
	for (unsigned int f = 0; vfiomig_feature_name(f); f++)
		if (strcmp(vfiomig_feature_name(f), "DMA_LOGGING_START") == 0)
			return vfiomig_device_probe(dev, f);
	return false;
}

/* What can be known of a device that somebody else has open. */
static void print_from_outside(const struct vfiomig_device *dev)
{
	struct user user;

	print_identity(dev);
	if (!find_user(dev, &user))
		return;
	printf("open by:    %d (%s)\n", user.pid, user.is_holder ? "holder" : user.comm);
	if (user.state >= 0)
		printf("state:      %s\n", vfiomig_state_name(user.state));
}

/* ---- The same as JSON ---------------------------------------------------- */

static void add_migration(struct json_object *object, struct vfiomig_device *dev)
{
	struct json_object *states = json_object_new_array();
	uint64_t flags, bytes;

	if (vfiomig_device_get_migration(dev, &flags))
		flags = 0;
	json_flags(object, flags);
	for (int s = 0; s < VFIOMIG_NR_STATES; s++)
		if (flags && s != VFIOMIG_STATE_ERROR && vfiomig_fsm_supports(flags, s))
			json_object_array_add(states,
					      json_object_new_string(vfiomig_state_name(s)));
	json_object_object_add(object, "states", states);
	json_state(object, "state", flags ? vfiomig_device_get_state(dev) : -1);
	json_object_object_add(object, "expected_bytes",
			       flags && vfiomig_device_get_data_size(dev, &bytes) == 0
				       ? json_object_new_uint64(bytes)
				       : NULL);
}

static void add_features(struct json_object *object, const struct vfiomig_device *dev)
{
	struct json_object *features = json_object_new_object();

	for (unsigned int f = 0; f < FEATURES_PROBED; f++) {
		unsigned int ops = vfiomig_device_probe(dev, f);
		struct json_object *list;

		if (!ops)
			continue;
		list = json_object_new_array();
		if (ops & VFIOMIG_FEATURE_GET)
			json_object_array_add(list, json_object_new_string("get"));
		if (ops & VFIOMIG_FEATURE_SET)
			json_object_array_add(list, json_object_new_string("set"));
		json_object_object_add(features, feature_name(f).text, list);
	}
	json_object_object_add(object, "features", features);
	json_object_object_add(object, "dma_logging",
			       json_object_new_boolean(has_dma_logging(dev)));
}

/* @open: it is, so that it can be asked. */
static void print_object(struct vfiomig_device *dev, bool open)
{
	struct json_object *object = describe_device(dev);
	struct user user;

	if (open) {
		add_migration(object, dev);
		add_features(object, dev);
	} else {
		find_user(dev, &user);
		json_state(object, "state", user.state);
	}
	print_json(object, stdout);
	json_object_put(object);
}

/* ---- The command --------------------------------------------------------- */

struct options {
	struct cli *cli;
	bool json;
};

enum {
	OPT_JSON = 256
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct options *opt = state->input;

	switch (key) {
	case OPT_JSON:
		opt->json = true;
		return 0;
	default:
		return parse_device(state, key, arg, opt->cli);
	}
}

static const struct argp_option options[] = { { "json", OPT_JSON, NULL, 0, "One JSON object", 0 },
					      { 0 } };

static const struct argp_child children[] = {
	{ .argp = &argp_device },
	{ 0 },
};

static const struct argp argp = {
	.options = options,
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

static int info(struct cli *cli, int argc, char **argv)
{
	struct options opt = { .cli = cli };
	struct vfiomig_device *dev;
	int err, status = cli_parse(cli, &argp, argc, argv, &opt);
	uint64_t flags;

	if (status)
		return status;
	status = find_device(cli, &dev);
	if (status)
		return status;
	status = open_found(cli, dev, 0);
	if (opt.json && (!status || status == STATUS_BUSY))
		print_object(dev, !status);
	else if (status == STATUS_BUSY)
		print_from_outside(dev);
	else if (!status)
		print_text(dev);
	if (!status) {
		err = vfiomig_device_get_migration(dev, &flags);
		if (err)
			status = fail_at(cli, OPEN_DEVICE, err);
	}
	vfiomig_device_unref(dev);
	return status;
}

const struct command cmd_info = {
	.name = "info",
	.help = "Tell what a device is and can do",
	.main = info,
};
