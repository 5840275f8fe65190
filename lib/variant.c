// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Which VFIO driver fits a PCI function. Drivers that only bind by
 * driver_override have their ids in aliases with the prefix "vfio_pci:" (see
 * PCI_DRIVER_OVERRIDE_DEVICE_VFIO), where modprobe does not look by itself.
 */
#include <libkmod.h>
#include <string.h>

#include "internal.h"

/* The function's "pci:v...d..." as a "vfio_pci:" alias. */
static int vfio_alias(const struct vfiomig_device *dev, char *alias,
		      size_t size)
{
	size_t prefix = strlen("vfio_");

	memcpy(alias, "vfio_", prefix);
	return sysfs_read_text(dev->syspath, "modalias", alias + prefix,
			       size - prefix);
}

char *variant_driver_for(const struct vfiomig_device *dev)
{
	struct kmod_list *list = NULL, *item;
	struct kmod_ctx *kmod = NULL;
	char alias[256], *best = NULL;

	if (!dev->is_pci || !dev->syspath ||
	    vfio_alias(dev, alias, sizeof(alias)))
		return NULL;
	kmod = kmod_new(NULL, NULL);
	if (!kmod || kmod_module_new_from_lookup(kmod, alias, &list) < 0)
		goto out;
	kmod_list_foreach(item, list)
	{
		struct kmod_module *mod = kmod_module_get_module(item);
		const char *name = kmod_module_get_name(mod);

		/* vfio_pci fits every function: any other is made for this. */
		if (!best || strcmp(best, "vfio_pci") == 0) {
			free(best);
			best = strdup(name);
		}
		kmod_module_unref(mod);
	}
out:
	kmod_module_unref_list(list);
	kmod_unref(kmod);
	return best;
}
