// SPDX-License-Identifier: LGPL-2.1-or-later
/* The ways to reach a device. */
#include "device/device.h"
#include "holder/held.h"

/*
 * A device that was named by one of them is reached that way. For any other device, the first that
 * fits is taken: a holder before everything else, because nobody else gets the device then.
 */
const struct backend *const backends[] = {
	&backend_process, &backend_fd, &backend_holder, &backend_cdev, &backend_group, NULL,
};
