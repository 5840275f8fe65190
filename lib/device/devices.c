// SPDX-License-Identifier: LGPL-2.1-or-later
/* Several devices that are opened together. */
#include <string.h>

#include "device.h"
#include "lock.h"
#include "rundir.h"

/* ---- Each only once ------------------------------------------------------- */

static bool have_common(const struct vfiomig_device *a, const struct vfiomig_device *b)
{
	for (size_t i = 0; i < a->identity.count; i++)
		if (identity_has(&b->identity, a->identity.syspath[i]))
			return true;
	return false;
}

/* The same descriptor of the same process. Nothing else is known of what sysfs does not have. */
static bool same_origin(const struct vfiomig_device *a, const struct vfiomig_device *b)
{
	return a->origin.backend && a->origin.backend == b->origin.backend && a->origin.fd >= 0 &&
	       a->origin.fd == b->origin.fd && a->origin.pid == b->origin.pid;
}

static int compare(const struct vfiomig_device *a, const struct vfiomig_device *b)
{
	if (a == b || same_origin(a, b) ||
	    (a->identity.count == 1 && b->identity.count == 1 && have_common(a, b)))
		return ctx_fail(a->ctx, -ENOTUNIQ, "the device %s was given twice", b->name);
	if (have_common(a, b))
		return ctx_fail(a->ctx, -ENOTUNIQ,
				"cannot tell whether %s is another device than %s", b->name,
				a->name);
	return 0;
}

int devices_check(struct vfiomig_device *const *devices, size_t n, int *which)
{
	int err = 0;

	for (size_t i = 1; i < n && !err; i++)
		for (size_t other = 0; other < i && !err; other++) {
			err = compare(devices[other], devices[i]);
			if (err)
				*which = i;
		}
	return err;
}

/* ---- One after the other -------------------------------------------------- */

/* One of the locks of a device. */
struct wanted {
	struct vfiomig_device *dev;
	size_t number;
};

static int by_name(const void *a, const void *b)
{
	const struct wanted *x = a, *y = b;

	return strcmp(device_lock_name(x->dev, x->number), device_lock_name(y->dev, y->number));
}

static size_t count_locks(struct vfiomig_device *const *devices, size_t n)
{
	size_t count = 0;

	for (size_t i = 0; i < n; i++)
		count += devices[i]->identity.count;
	return count;
}

static int index_of(struct vfiomig_device *const *devices, const struct vfiomig_device *dev)
{
	int i = 0;

	while (devices[i] != dev)
		i++;
	return i;
}

/* Whoever takes several locks takes them in the order of their names: then no two wait for each
 * other. */
static int lock_all(struct vfiomig_device *const *devices, size_t n, int *which)
{
	struct vfiomig_ctx *ctx = devices[0]->ctx;
	struct turn turn = turn_begin(ctx, devices[0]->wait);
	struct wanted *wanted = calloc(count_locks(devices, n) + 1, sizeof(*wanted));
	size_t count = 0;
	int err = 0;

	if (!wanted)
		return ctx_fail_memory(ctx);
	for (size_t i = 0; i < n && !err; i++) {
		err = device_begin_lock(devices[i]);
		*which = err ? (int)i : *which;
		for (size_t j = 0; j < devices[i]->identity.count; j++)
			wanted[count++] = (struct wanted){ devices[i], j };
	}
	qsort(wanted, count, sizeof(*wanted), by_name);
	for (size_t i = 0; i < count && !err; i++) {
		err = device_take_lock(wanted[i].dev, wanted[i].number, &turn);
		*which = err ? index_of(devices, wanted[i].dev) : *which;
	}
	free(wanted);
	return err;
}

/* One of those before @i that was opened here, and is in the same group. */
static const struct vfiomig_device *find_companion(struct vfiomig_device *const *devices, size_t i)
{
	for (size_t j = 0; j < i; j++)
		if (devices[i]->sys.group >= 0 && devices[j]->sys.group == devices[i]->sys.group &&
		    !device_is(devices[j], BACKEND_SESSION_GOES_ON))
			return devices[j];
	return NULL;
}

/* The sentence stays. */
static void close_all(struct vfiomig_device *const *devices, size_t n)
{
	struct failure why = ctx_get_failure(devices[0]->ctx);

	for (size_t i = 0; i < n; i++)
		device_close(devices[i]);
	ctx_set_failure(devices[0]->ctx, &why);
}

int devices_open(struct vfiomig_device *const *devices, size_t n, unsigned int flags, int *which)
{
	int err = devices_check(devices, n, which);

	for (size_t i = 0; i < n && !err; i++)
		if (devices[i]->fd >= 0 || devices[i]->locks) {
			*which = i;
			return ctx_fail(devices[i]->ctx, -EBUSY,
					"busy: this process has the device open");
		}
	if (err)
		return err;
	err = lock_all(devices, n, which);
	for (size_t i = 0; i < n && !err; i++) {
		devices[i]->companion = find_companion(devices, i);
		err = device_open(devices[i], flags);
		devices[i]->companion = NULL;
		*which = err ? (int)i : *which;
	}
	if (err)
		close_all(devices, n);
	return err;
}
