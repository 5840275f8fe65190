// SPDX-License-Identifier: LGPL-2.1-or-later
/* The kernel's modules, through libkmod. */
#include <dirent.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "module.h"
#include "sysfs.h"

/* Without a function of ours, libkmod prints to standard error. */
static void say_nothing(void *data, int priority, const char *file, int line, const char *fn,
			const char *format, va_list args)
{
	(void)data, (void)priority, (void)file, (void)line;
	(void)fn, (void)format, (void)args;
}

struct kmod_ctx *modules_open(const struct vfiomig_ctx *ctx)
{
	struct kmod_ctx *kmod = kmod_new(ctx->modules, NULL);

	if (kmod)
		kmod_set_log_fn(kmod, say_nothing, NULL);
	return kmod;
}

/* Call @fn for each module of this name, until it fails. Returns the number of modules, or a
 * negative errno. */
static int lookup(const struct vfiomig_ctx *ctx, const char *name,
		  int (*fn)(struct kmod_module *mod))
{
	struct kmod_list *list = NULL, *item;
	struct kmod_ctx *kmod = modules_open(ctx);
	int err, n = 0;

	if (!kmod)
		return -ENOMEM;
	err = kmod_module_new_from_lookup(kmod, name, &list);
	kmod_list_foreach(item, list)
	{
		struct kmod_module *mod = kmod_module_get_module(item);

		if (err >= 0 && fn)
			err = fn(mod);
		kmod_module_unref(mod);
		n++;
	}
	kmod_module_unref_list(list);
	kmod_unref(kmod);
	return err < 0 ? err : n;
}

static int insert(struct kmod_module *mod)
{
	int err = kmod_module_probe_insert_module(mod, 0, NULL, NULL, NULL, NULL);

	/* libkmod returns -ENOENT for an unknown symbol, and for a file that is gone. But there is
	 * a module of this name. */
	if (err == -ENOENT)
		return -ENOLINK;
	return err > 0 ? -EACCES : err;
}

int module_load(const struct vfiomig_ctx *ctx, const char *name)
{
	int n = lookup(ctx, name, insert);

	if (n < 0)
		return n;
	return n ? 0 : -ENOENT;
}

bool modules_are_indexed(const struct vfiomig_ctx *ctx)
{
	struct kmod_ctx *kmod = modules_open(ctx);
	char path[PATH_MAX] = "";

	if (kmod)
		snprintf(path, sizeof(path), "%s/modules.dep.bin", kmod_get_dirname(kmod));
	kmod_unref(kmod);
	return access(path, F_OK) == 0;
}

bool module_exists(const struct vfiomig_ctx *ctx, const char *name)
{
	return lookup(ctx, name, NULL) > 0;
}

/* @options is "NAME=TEXT NAME=TEXT NAME", of which the last one with the name counts. */
static int find_option(const char *options, const char *name, char *text, size_t size)
{
	size_t length = strlen(name);
	int err = -ENOENT;

	for (; options && *options; options += strcspn(options, " ")) {
		options += strspn(options, " ");
		if (strncmp(options, name, length) != 0 || !strchr("= ", options[length]))
			continue;
		options += length + (options[length] == '=');
		snprintf(text, size, "%.*s", (int)strcspn(options, " "), options);
		err = 0;
	}
	return err;
}

int module_get_parameter(const struct vfiomig_ctx *ctx, const char *module, const char *name,
			 char *text, size_t size)
{
	struct kmod_module *mod = NULL;
	struct kmod_ctx *kmod;
	char dir[PATH_MAX];
	int err = -ENOENT;

	snprintf(dir, sizeof(dir), "%s/module/%s", ctx->sysfs, module);
	if (access(dir, F_OK) == 0) {
		snprintf(dir, sizeof(dir), "%s/module/%s/parameters", ctx->sysfs, module);
		return sysfs_read_text(dir, name, text, size) ? -ENOENT : 0;
	}
	kmod = modules_open(ctx);
	if (kmod && kmod_module_new_from_name(kmod, module, &mod) >= 0)
		err = find_option(kmod_module_get_options(mod), name, text, size);
	kmod_module_unref(mod);
	if (kmod)
		kmod_unref(kmod);
	return err;
}

char *module_pci_driver(const struct vfiomig_ctx *ctx, const char *name)
{
	char path[PATH_MAX], module[128];
	struct dirent *entry;
	char *driver = NULL;
	DIR *d;

	/* In sysfs the names of modules have '_' instead of '-'. */
	snprintf(module, sizeof(module), "%s", name);
	for (char *p = module; *p; p++)
		if (*p == '-')
			*p = '_';
	snprintf(path, sizeof(path), "%s/module/%s/drivers", ctx->sysfs, module);
	d = opendir(path);
	while (d && !driver && (entry = readdir(d)))
		if (strncmp(entry->d_name, "pci:", 4) == 0)
			driver = strdup(entry->d_name + 4);
	if (d)
		closedir(d);
	return driver;
}
