// SPDX-License-Identifier: LGPL-2.1-or-later
/* The two ways to a device that a kernel may have, and what the machine has for them. */
#include <dirent.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "checks.h"
#include "device/module.h"
#include "device/sysfs.h"

/* Whether there is a file, of which the parts of the path are put together like this. */
__attribute__((format(printf, 1, 2))) static bool exists(const char *fmt, ...)
{
	char path[PATH_MAX];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(path, sizeof(path), fmt, ap);
	va_end(ap);
	return access(path, F_OK) == 0;
}

enum way way_by_group(const struct vfiomig_ctx *ctx)
{
	if (exists("%s/module/vfio_iommu_type1", ctx->sysfs) && exists("%s/class/vfio", ctx->sysfs))
		return WAY_OPEN;
	return module_exists(ctx, "vfio_iommu_type1") ? WAY_LOADABLE : WAY_NO;
}

/* Counts the devices that have a VFIO driver. @cdevs receives how many of them have a cdev. */
static size_t count(const struct vfiomig_ctx *ctx, size_t *cdevs)
{
	struct dirent *entry;
	char path[PATH_MAX];
	size_t n = 0;
	DIR *d;

	*cdevs = 0;
	snprintf(path, sizeof(path), "%s/class/vfio-dev", ctx->sysfs);
	d = opendir(path);
	while (d && (entry = readdir(d))) {
		if (!sysfs_is_visible(entry))
			continue;
		n++;
		*cdevs += exists("%s/%s/dev", path, entry->d_name);
	}
	if (d)
		closedir(d);
	return n;
}

size_t count_devices(const struct vfiomig_ctx *ctx)
{
	size_t cdevs;

	return count(ctx, &cdevs);
}

enum way way_by_cdev(const struct vfiomig_ctx *ctx)
{
	bool iommufd = exists("%s/iommu", ctx->devfs) || exists("%s/class/misc/iommu", ctx->sysfs);
	size_t cdevs, n = count(ctx, &cdevs);

	if (n && !cdevs)
		return WAY_NO;
	if (!iommufd)
		return module_exists(ctx, "iommufd") ? WAY_LOADABLE : WAY_NO;
	return n ? WAY_OPEN : WAY_UNKNOWN;
}
