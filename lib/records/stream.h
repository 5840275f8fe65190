/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Going through the records of an image, or of raw state. */
#ifndef VFIOMIG_STREAM_H
#define VFIOMIG_STREAM_H

#include "records.h"

/* See vfiomig_walk(). Returns 0, what @fn returned, or what ctx_fail() returned. */
int stream_walk(struct vfiomig_ctx *ctx, int fd, const char *driver,
		const struct vfiomig_options *opt, vfiomig_record_fn fn, void *data);

#endif
