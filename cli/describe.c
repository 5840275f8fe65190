// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Devices as JSON, for list and info, and states and their paths, for what
 * moves them. The keys are documented in the commands' pages: they stay.
 */
#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>

#include "describe.h"
#include "names.h"
#include "user.h"
#include "utf8.h"

/* Names of files and of processes are bytes: what is no UTF-8 is replaced. */
static struct json_object *new_string(const char *value)
{
	struct json_object *object;
	char *text = NULL;
	size_t size, n;
	FILE *f = open_memstream(&text, &size);

	if (!f)
		return NULL;
	for (; *value; value += n ? n : 1) {
		n = utf8_length(value);
		if (n)
			fwrite(value, 1, n, f);
		else
			fputs("\357\277\275", f);
	}
	fclose(f);
	object = json_object_new_string(text);
	free(text);
	return object;
}

void json_string(struct json_object *object, const char *key, const char *value)
{
	json_object_object_add(object, key, value ? new_string(value) : NULL);
}

void json_state(struct json_object *object, const char *key, int state)
{
	json_string(object, key, state < 0 ? NULL : vfiomig_state_name(state));
}

static void json_hex(struct json_object *object, const char *key, int digits, unsigned int value)
{
	char text[16];

	snprintf(text, sizeof(text), "%0*x", digits, value);
	json_string(object, key, text);
}

static void add_pci(struct json_object *object, const struct vfiomig_pci_id *id)
{
	char name[128];

	json_hex(object, "vendor", 4, id->vendor);
	json_hex(object, "device", 4, id->device);
	json_hex(object, "subsystem_vendor", 4, id->subsystem_vendor);
	json_hex(object, "subsystem_device", 4, id->subsystem_device);
	json_hex(object, "class", 6, id->class_code);
	json_hex(object, "revision", 2, id->revision);
	json_string(object, "vendor_name", pci_vendor_name(id, name, sizeof(name)));
	json_string(object, "device_name", pci_device_name(id, name, sizeof(name)));
	json_string(object, "class_name", pci_class_name(id, name, sizeof(name)));
}

static struct json_object *open_by(const struct vfiomig_device *dev)
{
	struct json_object *object;
	struct user user;

	if (!find_user(dev, &user))
		return NULL;
	object = json_object_new_object();
	json_object_object_add(object, "pid", json_object_new_int(user.pid));
	json_string(object, "command", user.comm);
	json_object_object_add(object, "holder", json_object_new_boolean(user.is_holder));
	return object;
}

struct json_object *describe_device(const struct vfiomig_device *dev)
{
	struct json_object *object = json_object_new_object();
	int group = vfiomig_device_get_group(dev);
	struct vfiomig_pci_id id;

	json_string(object, "name", vfiomig_device_get_name(dev));
	json_string(object, "syspath", vfiomig_device_get_syspath(dev));
	json_string(object, "bus", vfiomig_device_get_bus(dev));
	if (vfiomig_device_get_pci_id(dev, &id))
		add_pci(object, &id);
	if (vfiomig_device_get_mdev_type(dev))
		json_string(object, "mdev_type", vfiomig_device_get_mdev_type(dev));
	json_string(object, "driver", vfiomig_device_get_driver(dev));
	json_object_object_add(object, "group", group < 0 ? NULL : json_object_new_int(group));
	json_string(object, "cdev", vfiomig_device_get_cdev(dev));
	json_object_object_add(object, "open_by", open_by(dev));
	return object;
}

const char *const flag_names[3] = { "STOP_COPY", "P2P", "PRE_COPY" };

void json_flags(struct json_object *object, uint64_t flags)
{
	struct json_object *array = json_object_new_array();

	for (int bit = 0; bit < 3; bit++)
		if (flags & (1ULL << bit))
			json_object_array_add(array, json_object_new_string(flag_names[bit]));
	json_object_object_add(object, "migration", array);
}

void json_seconds(struct json_object *object, const char *key, uint64_t ns)
{
	char text[32];

	/* As many digits as it has, and no more. */
	snprintf(text, sizeof(text), "%.9f", ns / 1e9);
	json_object_object_add(object, key, json_object_new_double_s(ns / 1e9, text));
}

struct json_object *describe_transfer(const struct cli *cli, const char *error,
				      const struct vfiomig_result *r)
{
	struct json_object *object = json_object_new_object();
	struct json_object *path = json_object_new_array();

	for (unsigned int i = 0; i < r->path_length; i++)
		json_object_array_add(path, json_object_new_string(vfiomig_state_name(r->path[i])));
	json_string(object, "device", cli->device);
	if (error)
		json_string(object, "error", error);
	json_object_object_add(object, "complete", json_object_new_boolean(!error));
	json_object_object_add(object, "bytes", json_object_new_uint64(r->bytes));
	json_seconds(object, "seconds", r->ns);
	json_object_object_add(object, "bytes_per_second",
			       json_object_new_uint64(r->ns ? r->bytes * 1e9 / r->ns : 0));
	json_object_object_add(object, "path", path);
	json_state(object, "before", r->before);
	json_state(object, "state", r->now.state);
	json_object_object_add(object, "reset", json_object_new_boolean(r->now.reset));
	return object;
}
