// SPDX-License-Identifier: LGPL-2.1-or-later
/* PCI drivers, by their names or by those of their modules. */
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "device/module.h"
#include "driver.h"
#include "step.h"

/* Look for a driver that the kernel has already. @driver receives NULL if there is none. */
static int registered(struct vfiomig_ctx *ctx, const char *name, char **driver)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s/bus/pci/drivers/%s", ctx->sysfs, name);
	if (access(path, F_OK)) {
		*driver = module_pci_driver(ctx, name);
		return 0;
	}
	*driver = strdup(name);
	return *driver ? 0 : ctx_fail_memory(ctx);
}

static int fail_missing(struct vfiomig_ctx *ctx, const char *name)
{
	return ctx_fail(ctx, -ENOENT, "the kernel has no PCI driver %s and no module of that name",
			name);
}

static int load_module(struct vfiomig_ctx *ctx, const char *name)
{
	int err = step_load(ctx, name);

	switch (err) {
	case 0:
		ctx_log(ctx, "loaded %s", name);
		return 0;
	/* Nothing of the device was touched. */
	case -EINPROGRESS:
		return -EINTR;
	case -ENOENT:
		return fail_missing(ctx, name);
	case -ENOLINK:
		return ctx_fail(
			ctx, -EIO,
			"cannot load the module %s: it needs what the kernel has not got, or its file is gone; the kernel's log (dmesg) may say what",
			name);
	case -EPERM:
	case -EACCES:
		return ctx_fail(ctx, -EPERM, "not permitted to load the module %s; run as root",
				name);
	default:
		return ctx_fail(
			ctx, -EIO,
			"cannot load the module %s: %s; the kernel's log (dmesg) may say why", name,
			strerror(-err));
	}
}

int driver_find(struct vfiomig_ctx *ctx, const char *name, bool load, char **driver)
{
	int err = registered(ctx, name, driver);

	if (err || *driver)
		return err;
	if (!load) {
		if (!module_exists(ctx, name))
			return fail_missing(ctx, name);
		/* vfio-pci is known to have another name than its module. */
		*driver = strdup(strcmp(name, "vfio_pci") == 0 ? "vfio-pci" : name);
		return *driver ? 0 : ctx_fail_memory(ctx);
	}
	err = load_module(ctx, name);
	if (!err)
		err = registered(ctx, name, driver);
	if (err || *driver)
		return err;
	return ctx_fail(ctx, -ENOENT, "the module %s brings no PCI driver of that name", name);
}
