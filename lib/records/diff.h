/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Where two states differ. */
#ifndef VFIOMIG_DIFF_H
#define VFIOMIG_DIFF_H

#include "internal.h"

/* See vfiomig_diff(). Returns 0, what @fn returned, or what ctx_fail() returned. */
int diff_states(struct vfiomig_ctx *ctx, const int fds[2], const char *driver,
		const struct vfiomig_options *opt, vfiomig_difference_fn fn, void *data);

#endif
