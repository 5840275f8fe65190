// SPDX-License-Identifier: GPL-2.0-or-later
/* vfiomig info: what a device is and what it can do. */
#include <argp.h>
#include <errno.h>
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

/* ---- What the device has answered ---------------------------------------- */

struct answers {
	struct vfiomig_probe probe;
	char sentence[512];
};

static int keep_answers(void *data, const struct vfiomig_probe *probe)
{
	struct answers *a = data;

	a->probe = *probe;
	snprintf(a->sentence, sizeof(a->sentence), "%s", probe->sentence);
	return 0;
}

static void print_flags(uint64_t flags)
{
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
	printf("\n");
}

/* What has not come is "-". */
static void print_migration(const struct vfiomig_probe *p)
{
	if (is_unknown(p->migration))
		printf("migration:  -\nstates:     -\n");
	else if (p->migration)
		return;
	else
		print_flags(p->flags);
	if (p->state >= 0)
		printf("state:      %s\n", vfiomig_state_name(p->state));
	else
		printf("state:      %s\n", p->state == -ETIMEDOUT ? "-" : "unknown");
	if (p->data_size == 0)
		printf("state size: %llu bytes (stop-copy, estimated)\n",
		       (unsigned long long)p->bytes);
	else
		printf("state size: %s\n",
		       is_unknown(p->data_size) ? "-" : "unknown (no MIG_DATA_SIZE)");
}

struct feature_name {
	char text[32];
};

/* Newer kernels have features that have no name here. */
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

static void print_features(const struct vfiomig_probe *p)
{
	bool any = false;

	printf("features:  ");
	for (unsigned int f = 0; f < VFIOMIG_PROBE_NR_FEATURES && !p->features; f++) {
		unsigned int ops = p->ops[f];

		any |= ops;
		if (ops)
			printf(" %s(%s%s%s)", feature_name(f).text,
			       ops & VFIOMIG_FEATURE_GET ? "get" : "",
			       ops == (VFIOMIG_FEATURE_GET | VFIOMIG_FEATURE_SET) ? "," : "",
			       ops & VFIOMIG_FEATURE_SET ? "set" : "");
	}
	printf("%s\n", p->features ? " -" : any ? "" : " none");
}

/* DMA logging is two features of the uAPI. */
static bool has_dma_logging(const struct vfiomig_probe *p)
{
	for (unsigned int f = 0; vfiomig_feature_name(f); f++)
		if (strcmp(vfiomig_feature_name(f), "DMA_LOGGING_START") == 0)
			return p->ops[f];
	return false;
}

/* What can be known about a device that somebody else has open. */
static void print_from_outside(const struct vfiomig_device *dev, const struct user *user)
{
	char text[48];

	print_identity(dev);
	if (!user->pid && !user->is_silent)
		return;
	print_line("open by:    %s", print_user(user, text));
	print_line("state:      %s", user->state < 0 ? "-" : vfiomig_state_name(user->state));
}

/* ---- The same as JSON ---------------------------------------------------- */

static void add_migration(struct json_object *object, const struct vfiomig_probe *p)
{
	uint64_t flags = p->migration ? 0 : p->flags;
	struct json_object *states;

	if (is_unknown(p->migration)) {
		add_value(object, "migration", NULL);
		add_value(object, "states", NULL);
	} else {
		states = new_array();
		add_flags(object, flags);
		for (int s = 0; s < VFIOMIG_NR_STATES; s++)
			if (flags && s != VFIOMIG_STATE_ERROR && vfiomig_fsm_supports(flags, s))
				append_string(states, vfiomig_state_name(s));
		add_value(object, "states", states);
	}
	add_state(object, "state", p->state);
	if (p->data_size == 0)
		add_uint(object, "expected_bytes", p->bytes);
	else
		add_value(object, "expected_bytes", NULL);
}

static void add_features(struct json_object *object, const struct vfiomig_probe *p)
{
	struct json_object *features;

	if (p->features) {
		add_value(object, "features", NULL);
		add_value(object, "dma_logging", NULL);
		return;
	}
	features = new_object();
	for (unsigned int f = 0; f < VFIOMIG_PROBE_NR_FEATURES; f++) {
		unsigned int ops = p->ops[f];
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
	add_bool(object, "dma_logging", has_dma_logging(p));
}

/* @probe: what the device has answered, or NULL if it was not asked. Returns the exit status. */
static int print_object(const struct cli *cli, struct vfiomig_device *dev, const struct user *user,
			const struct vfiomig_probe *probe)
{
	struct json_object *object = describe_device(dev, user);

	if (probe) {
		add_migration(object, probe);
		add_features(object, probe);
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

static void print_text(struct vfiomig_device *dev, const struct vfiomig_probe *p)
{
	print_identity(dev);
	print_migration(p);
	printf("DMA log:    %s\n", p->features ? "-" : has_dma_logging(p) ? "yes" : "no");
	print_features(p);
}

/* Returns the exit status. */
static int print_answers(const struct cli *cli, struct vfiomig_device *dev, const struct user *user,
			 const struct answers *a)
{
	int status = STATUS_OK;

	if (cli->json)
		status = print_object(cli, dev, user, &a->probe);
	else
		print_text(dev, &a->probe);
	return a->probe.error ? fail_why(cli, OPEN_DEVICE, a->probe.error, a->sentence) : status;
}

static void print_busy(const struct cli *cli, struct vfiomig_device *dev, const struct user *user)
{
	if (cli->json)
		print_object(cli, dev, user, NULL);
	else
		print_from_outside(dev, user);
}

/* Ask the device. Returns 0, or the exit status after a message. */
static int ask(struct cli *cli, struct vfiomig_device *dev, unsigned int ms, struct answers *a)
{
	int err, status = set_way(cli, dev);

	if (status)
		return status;
	err = vfiomig_probe_devices(cli->ctx, &dev, 1, ms, VFIOMIG_PROBE_FEATURES, keep_answers, a);
	return err ? fail_at(cli, OPEN_DEVICE, err) : STATUS_OK;
}

static int report(struct cli *cli, struct vfiomig_device *dev, uint64_t start)
{
	struct answers a = { .sentence = "" };
	struct user user;
	int status;

	find_user(dev, &user);
	/* A holder that does not answer is not asked again: that would take as long as it is
	 * stopped. */
	if (user.is_silent) {
		status = fail(cli, STATUS_BUSY, "%s", user.sentence);
		print_busy(cli, dev, &user);
		return status;
	}
	status = ask(cli, dev, ms_left(start), &a);
	if (status)
		return status;
	if (!a.probe.open || a.probe.open == -ETIMEDOUT)
		return print_answers(cli, dev, &user, &a);
	status = fail_why(cli, OPEN_DEVICE, a.probe.error, a.sentence);
	if (status == STATUS_BUSY)
		print_busy(cli, dev, &user);
	return status;
}

static int info(struct cli *cli, int argc, char **argv)
{
	uint64_t start = clock_ns();
	struct vfiomig_device *dev;
	int status = cli_parse(cli, &argp, argc, argv, cli);

	if (status)
		return status;
	status = find_device(cli, &dev);
	if (status)
		return status;
	status = report(cli, dev, start);
	vfiomig_device_unref(dev);
	return status;
}

const struct command cmd_info = {
	.name = "info",
	.help = "Tell what a device is and can do",
	.main = info,
};
