/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Images without a device. */
#ifndef VFIOMIG_PACK_H
#define VFIOMIG_PACK_H

#include "internal.h"

/* Make an image of the raw state that @in has, or the raw state of an image. @opt is checked, and
 * @result is as a transfer begins with it. Returns 0 or what ctx_fail() returned. */
int pack_state(struct vfiomig_ctx *ctx, int in, int out, const struct vfiomig_options *opt,
	       struct vfiomig_result *result);
int pack_set(struct vfiomig_ctx *ctx, const int ins[], const char *const names[], size_t count,
	     int out, const struct vfiomig_options *opt, struct vfiomig_result *result);
int unpack_image(struct vfiomig_ctx *ctx, int in, int out, const struct vfiomig_options *opt,
		 struct vfiomig_result *result);

#endif
