/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The fixtures of tests that are the kernel behind one open device. */
#ifndef SESSION_H
#define SESSION_H

#include "feature.h"
#include "unit.h"

static struct vfiomig_device *dev;

/* What a system call returns that fails with this errno, or succeeds without one. */
static inline int refuse(int error)
{
	errno = error;
	return error ? -1 : 0;
}

/* For setups: make a context, and an open device. */
static void open_session(void)
{
	assert_int_equal(vfiomig_new(&ctx), 0);
	dev = feature_device(ctx, feature_null());
	dev->name = strdup("device");
}

static int close_session(void **state)
{
	(void)state;
	vfiomig_device_unref(dev);
	vfiomig_unref(ctx);
	return 0;
}

#endif
