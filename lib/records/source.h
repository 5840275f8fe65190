/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A state that is read in pieces, from an image or raw. The caller asks for the next piece when it
 * wants one. A pipeline would push them, and two states that are compared could not be read in
 * step. An image is verified on the way.
 */
#ifndef VFIOMIG_SOURCE_H
#define VFIOMIG_SOURCE_H

#include "format.h"
#include "image/image.h"

struct source {
	struct vfiomig_ctx *ctx;
	const char *name; /* "A": sentences about failures begin with it */
	struct raw from;
	struct raw state; /* what has come out of the image, for its digest */
	struct image image;
	bool is_image;
	int device; /* the one of the image whose state it is */
	struct frame_how how;
	void *decoder;
	struct chunk chunk;
	int piece; /* of the chunk: the next one */
	bool ended;
	uint8_t first[RECORDS_PEEK];
	size_t first_size, first_used;
};

/* Versions of clang-format differ about macros that are initializers. */
/* clang-format off */
/* A source that is not open, which source_free() takes. */
#define SOURCE_NONE { .state = { .fd = -1 }, .image = { .fd = -1 } }
/* clang-format on */

/* Returns 0 or what ctx_fail() returned; release the source with source_free() in both cases. */
int source_open(struct source *s, struct vfiomig_ctx *ctx, int fd, const char *name,
		const struct vfiomig_options *opt);
void source_free(struct source *s);
/* What the header of an image says of the device, or NULL. */
const char *source_header(const struct source *s);
/* How many bytes of state are expected, 0 if that is not known. */
uint64_t source_expected(const struct source *s);
/* The first RECORDS_PEEK bytes are in @first then, or all of a shorter state. Call this before the
 * first source_next(). Returns 0 or what ctx_fail() returned. */
int source_peek(struct source *s);
/* The next bytes, which stay valid until the next call; *@size is 0 at the end. Returns 0 or what
 * ctx_fail() returned. */
int source_next(struct source *s, const uint8_t **bytes, size_t *size);

#endif
