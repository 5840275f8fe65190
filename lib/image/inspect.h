/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* An image that is looked into. */
#ifndef VFIOMIG_INSPECT_H
#define VFIOMIG_INSPECT_H

#include "image.h"

struct vfiomig_image {
	struct image image;
	struct vfiomig_ctx *ctx;
	bool looked_into; /* the chunks have been gone over, or not all of them */
};

/* See vfiomig.h for these. They return 0 or what ctx_fail() returned. */
int inspect_open(struct vfiomig_ctx *ctx, int fd, struct vfiomig_image **image);
int inspect_skim(struct vfiomig_image *image);
int inspect_verify(struct vfiomig_image *image, const struct vfiomig_options *opt,
		   struct vfiomig_result *result);

#endif
