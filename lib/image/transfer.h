/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Pipelines between the state itself and what is stored of it. */
#ifndef VFIOMIG_TRANSFER_H
#define VFIOMIG_TRANSFER_H

#include "image.h"

/* The caller's options with their defaults put in: 0, or what ctx_fail()
 * returned. */
int options_check(struct vfiomig_ctx *ctx, const struct vfiomig_options *given,
		  struct vfiomig_options *opt);

struct precopy;

/* State to bytes as they are, or, with an @image, to its frames; with @live,
 * of a device that runs. */
int transfer_out(const struct vfiomig_options *opt, struct raw *from, struct precopy *live,
		 struct raw *to, struct image *image, struct vfiomig_result *result);
/* And the other way. */
int transfer_in(const struct vfiomig_options *opt, struct raw *from, struct image *image,
		struct raw *to, struct vfiomig_result *result);

#endif
