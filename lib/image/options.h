/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The options and the result of a transfer, as programs of other versions have them. */
#ifndef VFIOMIG_OPTIONS_H
#define VFIOMIG_OPTIONS_H

#include "internal.h"

/*
 * Copy the caller's options, NULL for the defaults, check them, and put in the values that 0 stands
 * for. Returns 0 or a negative errno, after ctx_fail():
 *  -EINVAL	the structure has no size, or an option is out of bounds
 *  -E2BIG	the structure is of a newer version, and an option that is unknown here is set
 */
int options_read(struct vfiomig_ctx *ctx, const struct vfiomig_options *given,
		 struct vfiomig_options *opt);

/* Whether the caller's structure, or NULL, has the size of any version. Returns 0, or -EINVAL after
 * ctx_fail(). */
int result_check(struct vfiomig_ctx *ctx, const struct vfiomig_result *given);
/* Copy @result to the caller's structure, unless that is NULL. Members that are unknown here become
 * 0. */
void result_write(struct vfiomig_result *given, const struct vfiomig_result *result);

#endif
