/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Reads and writes on descriptors, which vfiomig_interrupt() ends. */
#ifndef VFIOMIG_DATA_H
#define VFIOMIG_DATA_H

#include <sys/uio.h>

#include "internal.h"

/*
 * What the functions below also return. These are no errnos, and no numbers of bytes; fd_fail()
 * knows what they mean.
 */
#define FD_ENDED  (-4096) /* the progress function has ended the transfer */
#define FD_BEYOND (-4097) /* a driver claims to have moved more bytes than it was asked for */
#define FD_STUCK  (-4098) /* EINTR or EAGAIN again and again */

/* Returns the number of bytes of one read that got any, 0 at the end, or a negative number: an
 * errno or one of the above. */
ssize_t fd_read(struct vfiomig_ctx *ctx, int fd, void *buf, size_t size);
/* Returns @size, fewer bytes only at the end, or a negative number. */
ssize_t fd_read_full(struct vfiomig_ctx *ctx, int fd, void *buf, size_t size);
/* The same for bytes of a regular file, from @at on. Any number of threads may read. */
ssize_t fd_pread_full(struct vfiomig_ctx *ctx, int fd, void *buf, size_t size, off_t at);
/*
 * These write everything, for the caller's thread. They return 0 or a negative number. @iov is used
 * up.
 */
int fd_writev(struct vfiomig_ctx *ctx, int fd, struct iovec *iov, int count);
int fd_write(struct vfiomig_ctx *ctx, int fd, const void *buf, size_t size);

/* What read(2) or write(2) of @most bytes returned, or FD_BEYOND if that cannot be. */
static inline ssize_t fd_count(ssize_t n, size_t most)
{
	return n > 0 && (size_t)n > most ? FD_BEYOND : n;
}

/* The size of a regular file, or 0 for anything else. */
off_t fd_file_size(int fd);

/* Bytes that are zero, and take no memory. */
#define ZEROS_SIZE (128u << 10)
extern const uint8_t *const zeros;

/* The tries of a read or a write that fails. */
struct fd_tries {
	uint64_t since; /* when the first one failed, 0 for none */
	unsigned int count;
	bool told; /* the user was */
};

/*
 * A read or a write has failed with errno. Returns 0, after a while, if it is to be tried again; or
 * a negative number: FD_STUCK when it was tried for too long.
 */
int fd_again(struct vfiomig_ctx *ctx, struct fd_tries *tries);

/* Whether a read would end with -EINTR or -ECANCELED. */
bool fd_is_cancelled(const struct vfiomig_ctx *ctx);

/* Have a pipe take more bytes at a time, for fewer switches between its two ends. It is no matter
 * if @fd is no pipe, or the kernel does not allow it. */
void fd_widen(int fd);

/*
 * Open the writing end of a pipe once more, in non-blocking mode. A write to a blocking pipe may
 * sleep in the middle, where neither an interruption nor the progress function could end it, and
 * the mode of @fd itself is not ours to change: others may have it too.
 *
 * Returns a new descriptor, or -1 if @fd is not the writing end of a pipe or cannot be opened: then
 * use @fd.
 */
int fd_reopen_pipe(int fd);

/*
 * Note that doing @what failed with @err, which one of the above returned. Returns @err; for
 * FD_ENDED what the progress function returned, which has its sentence already; for FD_BEYOND -EIO;
 * for FD_STUCK -ETIMEDOUT.
 */
int fd_fail(struct vfiomig_ctx *ctx, int err, const char *what);

#endif
