/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Whole reads and writes on descriptors, interruptible by the context's flag.
 */
#ifndef VFIOMIG_DATA_H
#define VFIOMIG_DATA_H

#include "internal.h"

/* One read that got something, 0 at the end, or a negative errno. */
ssize_t fd_read(const struct vfiomig_ctx *ctx, int fd, void *buf, size_t size);
/* Writes all of it: 0 or a negative errno. */
int fd_write(const struct vfiomig_ctx *ctx, int fd, const void *buf,
	     size_t size);

/* What strerror() says, but for what a signal does. */
const char *fd_error(int err);

#endif
