// SPDX-License-Identifier: LGPL-2.1-or-later
/* From the name of a device to its directory in sysfs. */
#include <ctype.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "name.h"
#include "sysfs.h"

/* Does @text have the shape of @pattern, where 'x' stands for a hex digit? */
static bool has_shape(const char *text, const char *pattern)
{
	for (; *pattern; text++, pattern++) {
		if (*pattern == 'x' ? !isxdigit((unsigned char)*text) : *text != *pattern)
			return false;
	}
	return !*text;
}

/* Copy @text in lower case. A text that has one of the shapes below is short enough. */
static void lower(char *to, size_t size, const char *prefix, const char *text)
{
	snprintf(to, size, "%s%s", prefix, text);
	for (; *to; to++)
		*to = tolower((unsigned char)*to);
}

/*
 * Find the device whose directory @path names, or is in: /sys/class/vfio-dev/vfio0 and any file in
 * 0000:3b:00.1/ name the function 0000:3b:00.1.
 */
static int climb_to_device(struct vfiomig_ctx *ctx, const char *path, const char *name,
			   char **syspath)
{
	char real[PATH_MAX], root[PATH_MAX];
	size_t root_len;
	char *slash;

	if (!realpath(path, real) || !realpath(ctx->sysfs, root))
		return ctx_fail(ctx, -ENOENT, "there is no device %s", name);
	root_len = strlen(root);
	if (strncmp(real, root, root_len) != 0 || (real[root_len] && real[root_len] != '/'))
		return ctx_fail(ctx, -ENOENT, "%s is not in %s", name, ctx->sysfs);

	while (!sysfs_is_device(real)) {
		slash = strrchr(real, '/');
		if ((size_t)(slash - real) <= root_len)
			return ctx_fail(ctx, -ENOENT, "%s is not the path of a device", name);
		*slash = '\0';
	}
	*syspath = strdup(real);
	return *syspath ? 0 : ctx_fail_memory(ctx);
}

/* "vfio0", or "noiommu-vfio0" of a device without an IOMMU (Linux 7.3) */
static bool is_cdev(const char *name)
{
	if (strncmp(name, "noiommu-", 8) == 0)
		name += 8;
	return strncmp(name, "vfio", 4) == 0 && name[4] &&
	       strspn(name + 4, "0123456789") == strlen(name + 4);
}

/* Say why @name is none, and what may be meant. */
static int fail_name(struct vfiomig_ctx *ctx, const char *name)
{
	size_t length = strlen(ctx->devfs);
	int group, end = 0;

	if (has_shape(name, "xx:xx") || has_shape(name, "xxxx:xx:xx") ||
	    has_shape(name, "xxxxx:xx:xx"))
		return ctx_fail(ctx, -EINVAL,
				"'%s' is a PCI device; name one of its functions, as in %s.0", name,
				name);
	if (strncmp(name, ctx->devfs, length) == 0 &&
	    (sscanf(name + length, "/vfio/%d%n", &group, &end) == 1 ||
	     sscanf(name + length, "/vfio/noiommu-%d%n", &group, &end) == 1) &&
	    !name[length + end])
		return ctx_fail(
			ctx, -EINVAL,
			"'%s' is an IOMMU group; name one of its devices, which are in %s/kernel/iommu_groups/%d/devices",
			name, ctx->sysfs, group);
	return ctx_fail(
		ctx, -EINVAL,
		"'%s' does not name a device; give a PCI address (0000:3b:00.1), the UUID of a mediated device, a VFIO cdev (vfio0) or a path in %s",
		name, ctx->sysfs);
}

int name_to_syspath(struct vfiomig_ctx *ctx, const char *name, char **syspath)
{
	char id[64], path[PATH_MAX];
	const char *cdev = name;
	const char *bus = NULL;

	if (strncmp(name, "/dev/vfio/devices/", 18) == 0)
		cdev = name + 18;

	if (has_shape(name, "xxxx:xx:xx.x") || has_shape(name, "xxxxx:xx:xx.x")) {
		bus = "pci";
		lower(id, sizeof(id), "", name);
	} else if (has_shape(name, "xx:xx.x")) {
		bus = "pci";
		lower(id, sizeof(id), "0000:", name);
	} else if (has_shape(name, "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx")) {
		bus = "mdev";
		lower(id, sizeof(id), "", name);
	}

	if (bus)
		snprintf(path, sizeof(path), "%s/bus/%s/devices/%s", ctx->sysfs, bus, id);
	else if (is_cdev(cdev) && strlen(cdev) < sizeof(id))
		snprintf(path, sizeof(path), "%s/class/vfio-dev/%s", ctx->sysfs, cdev);
	else if (strncmp(name, ctx->sysfs, strlen(ctx->sysfs)) == 0 && strlen(name) < sizeof(path))
		strcpy(path, name);
	else
		return fail_name(ctx, name);
	return climb_to_device(ctx, path, name, syspath);
}
