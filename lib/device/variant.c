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
static int vfio_alias(const char *syspath, char *alias, size_t size)
{
	size_t prefix = strlen("vfio_");

	memcpy(alias, "vfio_", prefix);
	return sysfs_read_text(syspath, "modalias", alias + prefix, size - prefix);
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

	if (!dev->sys.is_pci || !dev->sys.syspath ||
	    vfio_alias(dev->sys.syspath, alias, sizeof(alias)))
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

/* ---- All aliases ------------------------------------------------------------ */

#define PREFIX "vfio_pci:"

/* @pattern and @module may be parts of a line. */
static int add(struct variants *v, const char *pattern, const char *module)
{
	struct variant *list, *to;

	if (strncmp(pattern, PREFIX, strlen(PREFIX)) != 0 || strcmp(module, "vfio_pci") == 0)
		return 0;
	list = reallocarray(v->list, v->n + 1, sizeof(*list));
	if (!list)
		return -ENOMEM;
	v->list = list;
	to = &list[v->n++];
	to->pattern = strdup(pattern);
	to->module = strdup(module);
	return to->pattern && to->module ? 0 : -ENOMEM;
}

/* "alias PATTERN MODULE" */
static int add_line(struct variants *v, char *line)
{
	char *rest, *word = strtok_r(line, " \n", &rest), *pattern, *module;

	if (!word || strcmp(word, "alias") != 0)
		return 0;
	pattern = strtok_r(NULL, " \n", &rest);
	module = strtok_r(NULL, " \n", &rest);
	return module ? add(v, pattern, module) : 0;
}

/* "MODULE.alias=PATTERN": a module that is a part of the kernel */
static int add_builtin(struct variants *v, char *entry)
{
	char *key = strchr(entry, '.');

	if (!key || strncmp(key, ".alias=", strlen(".alias=")) != 0)
		return 0;
	*key = '\0';
	return add(v, key + strlen(".alias="), entry);
}

/* Call @fn for each entry of the file, of which @end is the last character. */
static int add_file(struct variants *v, const char *dir, const char *name, int end,
		    int (*fn)(struct variants *v, char *entry))
{
	char path[PATH_MAX], *entry = NULL;
	size_t size = 0;
	int err = 0;
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	f = fopen(path, "re");
	if (!f)
		return -errno;
	while (!err && getdelim(&entry, &size, end, f) > 0)
		err = fn(v, entry);
	free(entry);
	fclose(f);
	return err;
}

int variants_read(const struct vfiomig_ctx *ctx, struct variants *v)
{
	struct kmod_ctx *kmod = modules_open(ctx);
	const char *dir;
	int err, builtin_err;

	*v = (struct variants){ .n = 0 };
	if (!kmod)
		return -ENOMEM;
	dir = kmod_get_dirname(kmod);
	err = add_file(v, dir, "modules.alias", '\n', add_line);
	/* depmod does not make this file, so it is there if the kernel's package is. */
	builtin_err = add_file(v, dir, "modules.builtin.modinfo", '\0', add_builtin);
	kmod_unref(kmod);
	return err ? err : builtin_err == -ENOMEM ? builtin_err : 0;
}

void variants_free(struct variants *v)
{
	for (size_t i = 0; i < v->n; i++) {
		free(v->list[i].pattern);
		free(v->list[i].module);
	}
	free(v->list);
	*v = (struct variants){ .n = 0 };
}

bool variants_fit(const struct variants *v, const char *syspath)
{
	char alias[256];

	if (vfio_alias(syspath, alias, sizeof(alias)))
		return false;
	for (size_t i = 0; i < v->n; i++)
		if (fnmatch(v->list[i].pattern, alias, 0) == 0)
			return true;
	return false;
}
