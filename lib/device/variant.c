// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Which VFIO driver fits a PCI function. A driver that binds only by driver_override has its ids in
 * aliases with the prefix "vfio_pci:" (see PCI_DRIVER_OVERRIDE_DEVICE_VFIO), which modprobe does
 * not look up by itself. The kernel documents the rule that the alias with the fewest wildcards is
 * the best one. The alias of vfio_pci itself, which fits every function, consists of wildcards.
 */
#include <fnmatch.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "module.h"
#include "sysfs.h"
#include "variant.h"

/* Make the "vfio_pci:" alias of the function from its modalias "pci:v...d...". */
static int vfio_alias(const struct vfiomig_device *dev, char *alias, size_t size)
{
	size_t prefix = strlen("vfio_");

	memcpy(alias, "vfio_", prefix);
	return sysfs_read_text(dev->sys.syspath, "modalias", alias + prefix, size - prefix);
}

static int count_wildcards(const char *pattern)
{
	int n = 0;

	for (; *pattern; pattern++)
		n += *pattern == '*';
	return n;
}

/* Returns the smallest number of wildcards in an alias of the module that matches. A module that
 * cannot be read comes last, because it can hardly be loaded either. */
static int fewest_wildcards(const struct kmod_module *mod, const char *alias)
{
	struct kmod_list *info = NULL, *item;
	int fewest = INT_MAX;

	if (kmod_module_get_info(mod, &info) < 0)
		return INT_MAX;
	kmod_list_foreach(item, info)
	{
		const char *pattern = kmod_module_info_get_value(item);
		int n;

		if (strcmp(kmod_module_info_get_key(item), "alias") != 0 ||
		    fnmatch(pattern, alias, 0) != 0)
			continue;
		n = count_wildcards(pattern);
		if (n < fewest)
			fewest = n;
	}
	kmod_module_info_free_list(info);
	return fewest;
}

/* Returns the name of the best module in @list. Of equally good ones it is the @present one, or
 * libkmod's first. */
static char *best_module(const struct kmod_list *list, const char *alias, const char *present)
{
	const struct kmod_list *item;
	int fewest = INT_MAX;
	char *best = NULL;

	kmod_list_foreach(item, list)
	{
		struct kmod_module *mod = kmod_module_get_module(item);
		int n = fewest_wildcards(mod, alias);
		bool same = present && strcmp(kmod_module_get_name(mod), present) == 0;

		if (!best || n < fewest || (n == fewest && same)) {
			free(best);
			best = strdup(kmod_module_get_name(mod));
			fewest = n;
		}
		kmod_module_unref(mod);
	}
	return best;
}

static char *module_for(const struct vfiomig_ctx *ctx, const char *alias, const char *present)
{
	struct kmod_list *list = NULL, *allowed = NULL;
	struct kmod_ctx *kmod = modules_open(ctx);
	char *best = NULL;

	if (!kmod)
		return NULL;
	/* A module that the administrator has blacklisted is loaded only by its name, and not
	 * because it fits. */
	if (kmod_module_new_from_lookup(kmod, alias, &list) >= 0 &&
	    kmod_module_apply_filter(kmod, KMOD_FILTER_BLACKLIST, list, &allowed) >= 0)
		best = best_module(allowed, alias, present);
	kmod_module_unref_list(allowed);
	kmod_module_unref_list(list);
	kmod_unref(kmod);
	return best;
}

char *variant_driver_for(const struct vfiomig_device *dev)
{
	_cleanup_free_ char *module = NULL, *present = NULL;
	char alias[256], path[PATH_MAX], *driver;

	if (!dev->sys.is_pci || !dev->sys.syspath || vfio_alias(dev, alias, sizeof(alias)))
		return NULL;
	snprintf(path, sizeof(path), "%s/driver", dev->sys.syspath);
	present = sysfs_link_name(path, "module");
	module = module_for(dev->ctx, alias, present);
	if (!module || strcmp(module, "vfio_pci") == 0)
		return NULL;
	/* A driver usually has the name of its module, but not always. */
	driver = module_pci_driver(dev->ctx, module);
	return driver ? driver : strdup(module);
}
