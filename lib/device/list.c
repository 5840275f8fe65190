// SPDX-License-Identifier: LGPL-2.1-or-later
/* Every device that is registered with VFIO, whatever its bus. */
#include <dirent.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "device.h"

struct list {
	struct vfiomig_device **devs;
	int count;
};

static int by_name(const void *a, const void *b)
{
	const struct vfiomig_device *const *x = a, *const *y = b;

	return strcmp((*x)->name, (*y)->name);
}

static int is_visible(const struct dirent *entry)
{
	return entry->d_name[0] != '.';
}

static int add(struct list *list, struct vfiomig_ctx *ctx, const char *name)
{
	int err = vfiomig_device_new(ctx, name, &list->devs[list->count]);

	if (!err)
		list->count++;
	/* One that goes away while we look is none of ours. But who has to tell
	 * devices apart must see all that there are. */
	return err == -ENOENT || err == -ENODEV ? 0 : err;
}

static int collect(struct list *list, struct vfiomig_ctx *ctx)
{
	struct dirent **entries;
	char path[PATH_MAX];
	int n, err = 0;

	snprintf(path, sizeof(path), "%s/class/vfio-dev", ctx->sysfs);
	n = scandir(path, &entries, is_visible, NULL);
	if (n < 0 && errno == ENOENT)
		return 0;
	if (n < 0)
		return ctx_fail(ctx, -errno, "cannot read %s: %m", path);
	list->devs = calloc(n + 1, sizeof(*list->devs));
	if (!list->devs)
		err = ctx_fail(ctx, -ENOMEM, "out of memory");
	for (int i = 0; i < n; i++) {
		if (!err)
			err = add(list, ctx, entries[i]->d_name);
		free(entries[i]);
	}
	free(entries);
	return err;
}

EXPORT int vfiomig_device_foreach(struct vfiomig_ctx *ctx,
				  int (*fn)(struct vfiomig_device *dev, void *data), void *data)
{
	struct list list = { .count = 0 };
	int ret = collect(&list, ctx);

	if (list.count)
		qsort(list.devs, list.count, sizeof(*list.devs), by_name);
	for (int i = 0; i < list.count; i++) {
		if (!ret)
			ret = fn(list.devs[i], data);
		vfiomig_device_unref(list.devs[i]);
	}
	free(list.devs);
	return ret;
}
