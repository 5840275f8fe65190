// SPDX-License-Identifier: GPL-2.0-or-later
/* The process that has a device open. */
#include <stdio.h>

#include "user.h"

bool take_user(const struct vfiomig_use *use, struct user *user)
{
	*user = (struct user){ .pid = use->pid,
			       .is_holder = use->holder,
			       .is_silent = use->silent,
			       .state = use->state };
	snprintf(user->comm, sizeof(user->comm), "%s", use->comm);
	return use->pid;
}

struct found {
	struct user *user;
	bool is_used;
};

static int take(void *data, const struct vfiomig_use *use)
{
	struct found *found = data;

	found->is_used = take_user(use, found->user);
	return 0;
}

bool find_user(struct vfiomig_device *dev, struct user *user)
{
	struct found found = { .user = user };

	*user = (struct user){ .state = -1 };
	vfiomig_device_get_use(dev, PATIENCE_MS, take, &found);
	return found.is_used;
}
