// SPDX-License-Identifier: LGPL-2.1-or-later
/* A device as sysfs shows it. */
#include <dirent.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "apart.h"
#include "name.h"
#include "sysdev.h"
#include "sysfs.h"

static int fail_read(struct vfiomig_ctx *ctx, const struct sysdev *s, const char *name, int err)
{
	return ctx_fail(ctx, err, "cannot read %s/%s: %s", s->syspath, name, strerror(-err));
}

static int read_pci_id(struct vfiomig_ctx *ctx, struct sysdev *s)
{
	static const char *const names[] = { "vendor",		 "device", "subsystem_vendor",
					     "subsystem_device", "class",  "revision" };
	unsigned long n[ARRAY_SIZE(names)];

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		int err = sysfs_read_number(s->syspath, names[i], &n[i]);

		if (err)
			return err == -ENOENT ? 0 : fail_read(ctx, s, names[i], err);
	}
	s->pci = (struct vfiomig_pci_id){
		.vendor = n[0],
		.device = n[1],
		.subsystem_vendor = n[2],
		.subsystem_device = n[3],
		.class_code = n[4],
		.revision = n[5],
	};
	s->is_pci = true;
	return 0;
}

/* The name of the file that the link @name points to; NULL if there is no such link. */
static int read_link(struct vfiomig_ctx *ctx, const struct sysdev *s, const char *name,
		     char **value)
{
	*value = sysfs_link_name(s->syspath, name);
	return *value || errno == ENOENT ? 0 : fail_read(ctx, s, name, -errno);
}

static int read_cdev(struct vfiomig_ctx *ctx, struct sysdev *s)
{
	s->cdev = sysfs_first_entry(s->syspath, "vfio-dev");
	return s->cdev || errno == ENOENT ? 0 : fail_read(ctx, s, "vfio-dev", -errno);
}

static int read_group(struct vfiomig_ctx *ctx, struct sysdev *s)
{
	_cleanup_free_ char *group = NULL;
	int err = read_link(ctx, s, "iommu_group", &group);

	s->group = group ? atoi(group) : -1;
	return err;
}

int sysdev_refresh(struct vfiomig_ctx *ctx, struct sysdev *s)
{
	int err, cdev_err, group_err;

	free(s->driver);
	free(s->cdev);
	err = read_link(ctx, s, "driver", &s->driver);
	cdev_err = read_cdev(ctx, s);
	group_err = read_group(ctx, s);
	return err ?: cdev_err ?: group_err;
}

int sysdev_read(struct vfiomig_ctx *ctx, const char *syspath, struct sysdev *s)
{
	int err;

	*s = SYSDEV_NONE;
	s->syspath = strdup(syspath);
	if (!s->syspath)
		return ctx_fail_memory(ctx);
	s->name = strrchr(s->syspath, '/') + 1;
	err = read_link(ctx, s, "subsystem", &s->bus);
	if (!err)
		err = read_link(ctx, s, "mdev_type", &s->mdev_type);
	if (!err && s->bus && strcmp(s->bus, "pci") == 0)
		err = read_pci_id(ctx, s);
	return err ? err : sysdev_refresh(ctx, s);
}

void sysdev_free(struct sysdev *s)
{
	free(s->syspath);
	free(s->bus);
	free(s->mdev_type);
	free(s->driver);
	free(s->cdev);
	*s = SYSDEV_NONE;
}

/* ---- All that are registered with VFIO ----------------------------------- */

static int by_name(const void *a, const void *b)
{
	const struct sysdev *x = a, *y = b;

	return strcmp(x->name, y->name);
}

static bool has_device(const struct sysdevs *all, const char *syspath)
{
	for (size_t i = 0; i < all->count; i++)
		if (strcmp(all->list[i].syspath, syspath) == 0)
			return true;
	return false;
}

/* Whether the link @path leads to the device of the same name. Nearly all links in a group do, and
 * this takes less than to find out where it leads. */
static bool is_link_to_device(const struct sysdevs *all, const char *path)
{
	const char *name = strrchr(path, '/') + 1;

	for (size_t i = 0; i < all->count; i++)
		if (strcmp(all->list[i].name, name) == 0)
			return is_same_file(path, all->list[i].syspath);
	return false;
}

/* Have room for one more device, and return it. */
static struct sysdev *next(struct sysdevs *all)
{
	struct sysdev *list = reallocarray(all->list, all->count + 1, sizeof(*list));

	if (!list)
		return NULL;
	all->list = list;
	list[all->count] = SYSDEV_NONE;
	return &list[all->count];
}

/* Add the device that @path leads to, unless it is one of the list, or of @known, already. */
static int add(struct vfiomig_ctx *ctx, struct sysdevs *all, const char *path,
	       const struct sysdevs *known)
{
	_cleanup_free_ char *syspath = NULL;
	struct sysdev *s;
	int err;

	if (known && is_link_to_device(known, path))
		return 0;
	s = next(all);
	if (!s)
		return ctx_fail_memory(ctx);
	err = name_to_syspath(ctx, path, &syspath);
	if (!err && (has_device(all, syspath) || (known && has_device(known, syspath))))
		return 0;
	if (!err)
		err = sysdev_read(ctx, syspath, s);
	if (!err) {
		all->count++;
		return 0;
	}
	sysdev_free(s);
	/* A device may go away while it is looked at. No other failure is passed over, because
	 * a caller that tells devices apart has to see all of them. */
	return err == -ENOENT || err == -ENODEV ? 0 : err;
}

/* Call add() for each entry of the directory @dir. It is no failure if there is no such directory.
 */
static int add_all(struct vfiomig_ctx *ctx, struct sysdevs *all, const char *dir,
		   const struct sysdevs *known)
{
	struct dirent **entries;
	char path[PATH_MAX];
	int n, err = 0;

	n = scandir(dir, &entries, sysfs_is_visible, NULL);
	if (n < 0)
		return errno == ENOENT ? 0 : ctx_fail(ctx, -errno, "cannot read %s: %m", dir);
	for (int i = 0; i < n; i++) {
		if (!err && snprintf(path, sizeof(path), "%s/%s", dir, entries[i]->d_name) <
				    (int)sizeof(path))
			err = add(ctx, all, path, known);
		free(entries[i]);
	}
	free(entries);
	return err;
}

bool sysdev_group_name(const struct vfiomig_ctx *ctx, const struct sysdev *s, char name[32])
{
	char path[PATH_MAX];

	if (s->group < 0)
		return false;
	snprintf(path, sizeof(path), "%s/class/vfio/noiommu-%d", ctx->sysfs, s->group);
	snprintf(name, 32, "%s%d", access(path, F_OK) ? "" : "noiommu-", s->group);
	return true;
}

/*
 * While the kernel takes a driver from a device, it holds the device's lock, without which it does
 * not tell the driver_override. Newer kernels tell that without the lock, and mediated devices have
 * none. But a group stays registered with VFIO as long as somebody has one of its devices open.
 */
static bool is_last_of_group(struct vfiomig_ctx *ctx, const struct sysdev *s)
{
	char path[PATH_MAX], name[32];
	struct dirent **entries;
	int n, registered = 0, idle = 0;

	if (s->driver || s->cdev || !sysdev_group_name(ctx, s, name))
		return false;
	snprintf(path, sizeof(path), "%s/class/vfio/%s", ctx->sysfs, name);
	if (access(path, F_OK))
		return false;
	snprintf(path, sizeof(path), "%s/iommu_group/devices", s->syspath);
	n = scandir(path, &entries, sysfs_is_visible, NULL);
	for (int i = 0; i < n; i++) {
		char member[PATH_MAX + NAME_MAX + 2];
		_cleanup_free_ char *driver = NULL, *cdev = NULL;

		snprintf(member, sizeof(member), "%s/%s", path, entries[i]->d_name);
		driver = sysfs_link_name(member, "driver");
		cdev = sysfs_first_entry(member, "vfio-dev");
		registered += cdev != NULL;
		idle += !driver;
		free(entries[i]);
	}
	if (n >= 0)
		free(entries);
	return !registered && idle == 1;
}

bool sysdev_is_changing(struct vfiomig_ctx *ctx, const struct sysdev *s)
{
	char text[256];

	return apart_read_text(ctx, s->syspath, "driver_override", text, sizeof(text),
			       now_ns() + APART_PATIENCE) == -ETIMEDOUT ||
	       is_last_of_group(ctx, s);
}

/* Add the devices in the groups of VFIO that are not among those that are @registered with it. */
static int add_unregistered(struct vfiomig_ctx *ctx, struct sysdevs *all,
			    const struct sysdevs *registered)
{
	struct dirent **entries;
	char path[PATH_MAX];
	int n, group, err = 0;

	snprintf(path, sizeof(path), "%s/class/vfio", ctx->sysfs);
	n = scandir(path, &entries, sysfs_is_visible, NULL);
	for (int i = 0; i < n; i++) {
		const char *name = entries[i]->d_name;

		if (!err &&
		    (sscanf(name, "%d", &group) == 1 || sscanf(name, "noiommu-%d", &group) == 1)) {
			snprintf(path, sizeof(path), "%s/kernel/iommu_groups/%d/devices",
				 ctx->sysfs, group);
			err = add_all(ctx, all, path, registered);
		}
		free(entries[i]);
	}
	if (n >= 0)
		free(entries);
	return err;
}

#define OVERRIDE_SIZE 256

/* Read the driver_override of those that have no driver, all at the same time: each read waits as
 * long as the kernel takes that device from its driver. */
static void read_overrides(struct vfiomig_ctx *ctx, const struct sysdevs *all,
			   struct apart_reading *list, char (*text)[OVERRIDE_SIZE])
{
	size_t n = 0;

	for (size_t i = 0; i < all->count; i++)
		if (!all->list[i].driver)
			list[n++] = (struct apart_reading){ .dir = all->list[i].syspath,
							    .name = "driver_override",
							    .text = text[i],
							    .size = OVERRIDE_SIZE };
	apart_read_all(ctx, list, n, now_ns() + APART_PATIENCE);
}

/* Move those that are being taken from VFIO from @idle to @all. */
static int take_leaving(struct vfiomig_ctx *ctx, struct sysdevs *all, struct sysdevs *idle)
{
	size_t count = idle->count;
	struct apart_reading *list = calloc(count, sizeof(*list)), *r = list;
	char(*text)[OVERRIDE_SIZE] = calloc(count, sizeof(*text));
	int err = list && text ? 0 : ctx_fail_memory(ctx);

	if (!err)
		read_overrides(ctx, idle, list, text);
	for (size_t i = 0; i < count && !err; i++) {
		struct sysdev *s = &idle->list[i], *to;

		if (s->driver || ((r++)->err != -ETIMEDOUT && !is_last_of_group(ctx, s)))
			continue;
		to = next(all);
		if (!to) {
			err = ctx_fail_memory(ctx);
			break;
		}
		*to = *s;
		*s = SYSDEV_NONE;
		all->count++;
	}
	free(list);
	free(text);
	return err;
}

/* Add the devices that are in the groups of VFIO, and not registered with it any more. */
static int add_leaving(struct vfiomig_ctx *ctx, struct sysdevs *all)
{
	struct sysdevs idle = { .count = 0 };
	int err = add_unregistered(ctx, &idle, all);

	if (!err && idle.count)
		err = take_leaving(ctx, all, &idle);
	sysdevs_free(&idle);
	return err;
}

int sysdevs_read(struct vfiomig_ctx *ctx, struct sysdevs *all)
{
	char path[PATH_MAX];
	int err;

	*all = (struct sysdevs){ .count = 0 };
	snprintf(path, sizeof(path), "%s/class/vfio-dev", ctx->sysfs);
	err = add_all(ctx, all, path, NULL);
	if (!err)
		err = add_leaving(ctx, all);
	if (all->count)
		qsort(all->list, all->count, sizeof(*all->list), by_name);
	return err;
}

void sysdevs_free(struct sysdevs *all)
{
	for (size_t i = 0; i < all->count; i++)
		sysdev_free(&all->list[i]);
	free(all->list);
	*all = (struct sysdevs){ .count = 0 };
}
