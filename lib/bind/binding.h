/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a PCI function is bound to, and changing it. */
#ifndef VFIOMIG_BINDING_H
#define VFIOMIG_BINDING_H

#include <limits.h>

#include "device/opener.h"

struct binding {
	char *driver;	/* the driver that the function has, or NULL */
	char *override; /* driver_override, or NULL */
};

/* @path receives that of a file of the function in sysfs. Returns 0, or -ENAMETOOLONG after
 * ctx_fail(). */
int binding_path(const struct vfiomig_device *dev, const char *name, char path[PATH_MAX]);

void binding_clear(struct binding *b);
/* Read what it is bound to now into @b, which must be empty. Returns 0 or a negative errno. */
int binding_read(const struct vfiomig_device *dev, struct binding *b);

/* Returns -EBUSY, with a sentence: somebody else is changing what the function is bound to. */
int binding_fail_changing(const struct vfiomig_device *dev);

/*
 * Change it in several steps. A failure may leave the function between two of them. An interruption
 * ends a step in which the kernel waits, later if this is the way @back. The kernel then goes on
 * with the step, and -EINPROGRESS is returned.
 */
int binding_set(struct vfiomig_device *dev, const struct binding *to, bool back);
/* Remove the driver_override, and let the kernel choose a driver, or none. */
int binding_set_default(struct vfiomig_device *dev);

/* Returns 0, or -EPERM when this process may not change what the function is bound to. */
int binding_check_permitted(struct vfiomig_device *dev);
/*
 * Returns 0, or -EBUSY when a process has the device open: taking it from its VFIO driver would
 * wait for that process. An interruption ends it with -EINTR, unless this is the way @back. It
 * makes the @look if it needs one.
 */
int binding_check_idle(struct vfiomig_device *dev, struct look *look, bool back);

#endif
