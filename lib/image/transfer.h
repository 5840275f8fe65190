/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The pipelines between the state and the image. */
#ifndef VFIOMIG_TRANSFER_H
#define VFIOMIG_TRANSFER_H

#include "image.h"

/* The first stages of a pipeline, see pipeline.h. */
struct reader {
	int (*read)(void *from, struct chunk *chunk);
	int (*fetch)(void *from, struct chunk *chunk);
	bool (*ahead)(const void *from);
	int (*end)(void *from);
	void *from;
};

/*
 * Read the state @from and write it to the frames of @image or, if that is NULL, as it is @to. If
 * @reader is not NULL, it reads instead of raw_read(), and accounts for the bytes in @from.
 *
 * These return 0 or what ctx_fail() returned. They set @result->bytes and @result->ns.
 */
int transfer_out(const struct vfiomig_options *opt, struct raw *from, const struct reader *reader,
		 struct raw *to, struct image *image, struct vfiomig_result *result);
/* Read the state from the frames of @image or, if that is NULL, as it is @from; and write it @to.
 * Also sets @result->complete. */
int transfer_in(const struct vfiomig_options *opt, struct raw *from, struct image *image,
		struct raw *to, struct vfiomig_result *result);

#endif
