/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Following a migration that another process drives. vfiomig.h describes these functions. */
#ifndef VFIOMIG_WATCHER_H
#define VFIOMIG_WATCHER_H

#include "internal.h"

int watcher_new(struct vfiomig_device *dev, int data_fd, unsigned int flags,
		struct vfiomig_watch **watch);
int watcher_look(struct vfiomig_watch *watch, unsigned int ms, const struct vfiomig_look **look);
struct vfiomig_ctx *watcher_ctx(const struct vfiomig_watch *watch);

#endif
