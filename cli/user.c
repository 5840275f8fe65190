// SPDX-License-Identifier: GPL-2.0-or-later
/* The process that has a device open. */
#include <string.h>

#include "user.h"

bool find_user(const struct vfiomig_device *dev, struct user *user)
{
	*user = (struct user){ .state = -1 };
	user->is_holder = vfiomig_device_get_holder(dev, &user->pid) == 0;
	if (user->is_holder)
		strcpy(user->comm, "vfiomig-hold");
	else if (vfiomig_device_get_opener(dev, &user->pid, user->comm))
		return false;
	/* The state of a device that nobody has open would mean nothing. */
	user->state = vfiomig_device_peek_state(dev);
	return true;
}
