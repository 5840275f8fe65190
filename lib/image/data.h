/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Whole reads and writes on descriptors, interruptible by the context's flag. */
#ifndef VFIOMIG_DATA_H
#define VFIOMIG_DATA_H

#include <sys/uio.h>

#include "internal.h"

/* One read that got something, 0 at the end, or a negative errno. */
ssize_t fd_read(const struct vfiomig_ctx *ctx, int fd, void *buf, size_t size);
/* As many as there are: fewer than @size only at the end. */
ssize_t fd_read_full(const struct vfiomig_ctx *ctx, int fd, void *buf, size_t size);
/* These write all of it: 0 or a negative errno. @iov is used up. */
int fd_writev(const struct vfiomig_ctx *ctx, int fd, struct iovec *iov, int count);
int fd_write(const struct vfiomig_ctx *ctx, int fd, const void *buf, size_t size);

/* Whether a read would end with -EINTR or -ECANCELED. */
bool fd_is_cancelled(const struct vfiomig_ctx *ctx);

/* If it is a pipe, have it take more at a time: fewer switches between the two
 * ends. What it is beyond that, and whether that is allowed, is no matter. */
void fd_widen(int fd);

/* What strerror() says, but for what a signal does. */
const char *fd_error(int err);

#endif
