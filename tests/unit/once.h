/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Checks before a function is taken from its driver, each with a look of its own. */
#ifndef ONCE_H
#define ONCE_H

#include "bind/binding.h"
#include "bind/usage.h"

static inline int check_usage_once(struct vfiomig_device *dev)
{
	struct look look = { .made = false };
	int err = usage_check(dev, &look);

	look_clear(&look);
	return err;
}

static inline int check_idle_once(struct vfiomig_device *dev, bool back)
{
	struct look look = { .made = false };
	int err = binding_check_idle(dev, &look, back);

	look_clear(&look);
	return err;
}

#endif
