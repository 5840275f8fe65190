// SPDX-License-Identifier: GPL-2.0-or-later
/* vfiomig info: what a device is and can do. */
#include "cli.h"

static void print_identity(const struct vfiomig_device *dev)
{
	const char *cdev = vfiomig_device_get_cdev(dev);
	const char *mdev_type = vfiomig_device_get_mdev_type(dev);
	struct vfiomig_pci_id id;

	printf("device:     %s\n", vfiomig_device_get_name(dev));
	printf("bus:        %s\n", vfiomig_device_get_bus(dev));
	if (vfiomig_device_get_pci_id(dev, &id)) {
		printf("PCI id:     %04x:%04x (rev %02x), subsystem %04x:%04x\n",
		       id.vendor, id.device, id.revision, id.subsystem_vendor,
		       id.subsystem_device);
		printf("PCI class:  %06x\n", id.class_code);
	}
	if (mdev_type)
		printf("mdev type:  %s\n", mdev_type);
	printf("driver:     %s\n", vfiomig_device_get_driver(dev));
	printf("group:      %d\n", vfiomig_device_get_group(dev));
	if (cdev)
		printf("cdev:       %s\n", cdev);
}

static void print_migration(struct vfiomig_device *dev, uint64_t flags)
{
	static const char *const names[] = { "STOP_COPY", "P2P", "PRE_COPY" };
	int state = vfiomig_device_get_state(dev);
	uint64_t bytes;

	printf("migration: ");
	for (int bit = 0; bit < 64; bit++) {
		if (!(flags & (1ULL << bit)))
			continue;
		if (bit < 3)
			printf(" %s", names[bit]);
		else
			printf(" unknown(0x%llx)", 1ULL << bit);
	}
	printf("\nstates:    ");
	for (int s = 0; s < VFIOMIG_NR_STATES; s++)
		if (s != VFIOMIG_STATE_ERROR && vfiomig_fsm_supports(flags, s))
			printf(" %s", vfiomig_state_name(s));
	printf("\nstate:      %s\n",
	       state < 0 ? "unknown" : vfiomig_state_name(state));
	if (vfiomig_device_get_data_size(dev, &bytes) == 0)
		printf("state size: %llu bytes (stop-copy, estimated)\n",
		       (unsigned long long)bytes);
	else
		printf("state size: unknown (no MIG_DATA_SIZE)\n");
}

static void print_features(const struct vfiomig_device *dev)
{
	printf("features:  ");
	for (unsigned int f = 0; vfiomig_feature_name(f); f++) {
		unsigned int ops = vfiomig_device_probe(dev, f);

		if (ops)
			printf(" %s(%s%s%s)", vfiomig_feature_name(f),
			       ops & VFIOMIG_FEATURE_GET ? "get" : "",
			       ops == (VFIOMIG_FEATURE_GET |
				       VFIOMIG_FEATURE_SET)
				       ? ","
				       : "",
			       ops & VFIOMIG_FEATURE_SET ? "set" : "");
	}
	printf("\n");
}

/* Two of the features by the name of what they are good for. */
static void print_dma_logging(const struct vfiomig_device *dev)
{
	bool logging = false;

	for (unsigned int f = 0; vfiomig_feature_name(f); f++)
		if (strcmp(vfiomig_feature_name(f), "DMA_LOGGING_START") == 0)
			logging = vfiomig_device_probe(dev, f);
	printf("DMA log:    %s\n", logging ? "yes" : "no");
}

/* What can be known of a device that somebody else has open. */
static void print_from_outside(const struct vfiomig_device *dev)
{
	int state = vfiomig_device_peek_state(dev);
	char comm[16];
	int pid;

	if (vfiomig_device_get_opener(dev, &pid, comm))
		return;
	print_identity(dev);
	printf("open by:    %d (%s)\n", pid, comm);
	if (state >= 0)
		printf("state:      %s\n", vfiomig_state_name(state));
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
	if (key == ARGP_KEY_INIT) {
		state->child_inputs[0] = state->input;
		return 0;
	}
	return parse_device(state, key, arg, state->input);
}

static const struct argp_child children[] = {
	{ .argp = &argp_device },
	{ 0 },
};

static const struct argp argp = {
	.parser = parse,
	.args_doc = "DEV",
	.children = children,
	.doc = "Tell what a device is and can do.\vThis opens the device, which resets it if nobody else has it open.",
};

static int info(struct cli *cli, int argc, char **argv)
{
	struct vfiomig_device *dev;
	int status = cli_parse(cli, &argp, argc, argv, cli);
	uint64_t flags;

	if (status)
		return status;
	status = find_device(cli, &dev);
	if (status)
		return status;
	status = open_found(cli, dev);
	if (status == STATUS_BUSY)
		print_from_outside(dev);
	if (status) {
		vfiomig_device_unref(dev);
		return status;
	}
	print_identity(dev);
	if (vfiomig_device_get_migration(dev, &flags) == 0)
		print_migration(dev, flags);
	else
		status = fail(cli, STATUS_UNSUPPORTED, "%s",
			      vfiomig_get_error(cli->ctx));
	print_dma_logging(dev);
	print_features(dev);
	vfiomig_device_unref(dev);
	return status;
}

const struct command cmd_info = {
	.name = "info",
	.help = "Tell what a device is and can do",
	.main = info,
};
