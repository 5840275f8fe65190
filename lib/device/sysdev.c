// SPDX-License-Identifier: LGPL-2.1-or-later
/* A device as sysfs shows it. */
#include <dirent.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

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

int sysdev_refresh(struct vfiomig_ctx *ctx, struct sysdev *s)
{
	int err, cdev_err;

	free(s->driver);
	free(s->cdev);
	err = read_link(ctx, s, "driver", &s->driver);
	cdev_err = read_cdev(ctx, s);
	return err ? err : cdev_err;
}

int sysdev_read(struct vfiomig_ctx *ctx, const char *syspath, struct sysdev *s)
{
	_cleanup_free_ char *group = NULL;
	int err;

	*s = SYSDEV_NONE;
	s->syspath = strdup(syspath);
	if (!s->syspath)
		return ctx_fail_memory(ctx);
	s->name = strrchr(s->syspath, '/') + 1;
	err = read_link(ctx, s, "iommu_group", &group);
	if (group)
		s->group = atoi(group);
	if (!err)
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

static int add(struct vfiomig_ctx *ctx, struct sysdevs *all, const char *cdev)
{
	struct sysdev *s = &all->list[all->count];
	_cleanup_free_ char *syspath = NULL;
	int err = name_to_syspath(ctx, cdev, &syspath);

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

int sysdevs_read(struct vfiomig_ctx *ctx, struct sysdevs *all)
{
	struct dirent **entries;
	char path[PATH_MAX];
	int n, err = 0;

	*all = (struct sysdevs){ .count = 0 };
	snprintf(path, sizeof(path), "%s/class/vfio-dev", ctx->sysfs);
	n = scandir(path, &entries, sysfs_is_visible, NULL);
	if (n < 0 && errno == ENOENT)
		return 0;
	if (n < 0)
		return ctx_fail(ctx, -errno, "cannot read %s: %m", path);
	all->list = calloc(n + 1, sizeof(*all->list));
	if (!all->list)
		err = ctx_fail_memory(ctx);
	for (int i = 0; i < n; i++) {
		if (!err)
			err = add(ctx, all, entries[i]->d_name);
		free(entries[i]);
	}
	free(entries);
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
