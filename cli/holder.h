/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The process that holds a device open. */
#ifndef HOLDER_H
#define HOLDER_H

#include "cli.h"

/* Serve until the device is released. Returns the exit status, after a message if it is not 0. */
int serve_holder(const struct cli *cli, struct vfiomig_device *dev, struct vfiomig_holder *holder);
/* Serve in a background process. Returns 0, or a negative errno that is still to be reported. */
int holder_leave(const struct cli *cli, struct vfiomig_device *dev, struct vfiomig_holder *holder,
		 int *pid);

#endif
