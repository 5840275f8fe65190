/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * An image as a sequence of frames: header, chunks, trailer. Both directions
 * are made of stages for a pipeline.
 */
#ifndef VFIOMIG_IMAGE_H
#define VFIOMIG_IMAGE_H

#include "frame.h"
#include "meta.h"
#include "raw.h"

struct image {
	struct vfiomig_ctx *ctx;
	int fd;
	char *header, *trailer; /* JSON texts, NULL before they are there */
	size_t chunk_size;
	bool compressed;
	bool skimmed; /* the chunks have not been looked at */
	uint64_t frames;
	uint64_t size; /* of the image, in bytes */
	/* Of the compressed frames: a bit of those may flip without a change
	 * of what they decode to. */
	XXH64_state_t *frames_digest;
};

void image_free(struct image *image);

/* Write the @header, which the image owns from then on, also after a failure. */
int image_begin(struct image *image, struct vfiomig_ctx *ctx, int fd, char *header);
int image_write(void *image, struct chunk *chunk);
/* Writes the trailer. */
int image_end(struct image *image, const struct raw *raw);

/* Reads the header. Failures of an image's content are -EBADMSG, or -ENODATA
 * when there is nothing at all. */
int image_open(struct image *image, struct vfiomig_ctx *ctx, int fd);
/* Ends with the trailer, which it checks against the frames. */
int image_read(void *image, struct chunk *chunk);
/* Instead: over the chunks, without reading them if that can be avoided. */
int image_skim(struct image *image);
/* And against what came out of them. */
int image_check(const struct image *image, const struct raw *raw);

#endif
