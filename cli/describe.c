// SPDX-License-Identifier: GPL-2.0-or-later
/* A device as JSON. */
#include <stdio.h>
#include <string.h>

#include "describe.h"
#include "names.h"

static void add_hex(struct json_object *object, const char *key, int digits, unsigned int value)
{
	char text[16];

	snprintf(text, sizeof(text), "%0*x", digits, value);
	add_string(object, key, text);
}

static void add_pci(struct json_object *object, const struct vfiomig_pci_id *id)
{
	char name[128];

	add_hex(object, "vendor", 4, id->vendor);
	add_hex(object, "device", 4, id->device);
	add_hex(object, "subsystem_vendor", 4, id->subsystem_vendor);
	add_hex(object, "subsystem_device", 4, id->subsystem_device);
	add_hex(object, "class", 6, id->class_code);
	add_hex(object, "revision", 2, id->revision);
	add_string(object, "vendor_name", pci_vendor_name(id, name, sizeof(name)));
	add_string(object, "device_name", pci_device_name(id, name, sizeof(name)));
	add_string(object, "class_name", pci_class_name(id, name, sizeof(name)));
}

static struct json_object *describe_user(const struct user *user)
{
	struct json_object *object = new_object();

	if (user->pid)
		add_int(object, "pid", user->pid);
	else
		add_value(object, "pid", NULL);
	add_string(object, "command", user->pid ? user->comm : NULL);
	/* Only the holder itself can say that it is the holder. */
	if (user->is_silent) {
		add_value(object, "holder", NULL);
		add_string(object, "error", user->sentence);
	} else {
		add_bool(object, "holder", user->is_holder);
	}
	return object;
}

struct json_object *describe_device(const struct vfiomig_device *dev, const struct user *user)
{
	struct json_object *object = new_object();
	int group = vfiomig_device_get_group(dev);
	struct vfiomig_pci_id id = VFIOMIG_PCI_ID_INIT;

	add_string(object, "name", vfiomig_device_get_name(dev));
	add_string(object, "syspath", vfiomig_device_get_syspath(dev));
	add_string(object, "bus", vfiomig_device_get_bus(dev));
	if (vfiomig_device_get_pci_id(dev, &id))
		add_pci(object, &id);
	if (vfiomig_device_get_mdev_type(dev))
		add_string(object, "mdev_type", vfiomig_device_get_mdev_type(dev));
	add_string(object, "driver", vfiomig_device_get_driver(dev));
	if (group < 0)
		add_value(object, "group", NULL);
	else
		add_int(object, "group", group);
	add_string(object, "cdev", vfiomig_device_get_cdev(dev));
	add_value(object, "open_by", user->pid || user->is_silent ? describe_user(user) : NULL);
	if (user->error && !user->is_silent)
		add_string(object, "use_error", why_unknown(user));
	return object;
}

const char *const flag_names[NR_FLAGS] = { "STOP_COPY", "P2P", "PRE_COPY" };

void add_flags(struct json_object *object, uint64_t flags)
{
	struct json_object *array = new_array();

	for (int bit = 0; bit < NR_FLAGS; bit++)
		if (flags & (1ULL << bit))
			append_string(array, flag_names[bit]);
	add_value(object, "migration", array);
}
