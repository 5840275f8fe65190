/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * An image as a sequence of frames: header, chunks, trailer. Both directions
 * are made of stages for a pipeline.
 */
#ifndef VFIOMIG_IMAGE_H
#define VFIOMIG_IMAGE_H

#include <xxhash.h>
/* XXH3 with what the processor has, four times as fast as with SSE2. */
#if defined(__x86_64__) && __has_include(<xxh_x86dispatch.h>)
#include <xxh_x86dispatch.h>
#endif

#include "frame.h"
#include "meta.h"

/* The state itself, as it comes from a device or goes to one: counted and
 * digested on the way, in order. */
struct raw {
	struct vfiomig_ctx *ctx;
	int fd;		  /* -1 for nowhere: verify only */
	const char *what; /* for messages: "reading the device's state" */
	size_t chunk_size;
	bool sparse;		/* a new file: leave out what is zero */
	uint8_t *peeked;	/* a byte that was read already, or NULL */
	_Atomic uint64_t bytes; /* the writer's thread shows it to the user */
	XXH3_state_t *digest;	/* NULL where nobody wants it */
};

int raw_init(struct raw *raw, struct vfiomig_ctx *ctx, int fd,
	     const char *what);
void raw_free(struct raw *raw);
/* "xxh128:" and the digest of all bytes that went by. */
void raw_digest(const struct raw *raw, char text[48]);
/* See that there is something to read: 0, or -ENODATA after ctx_fail(). */
int raw_peek(struct raw *raw);
int raw_read(void *raw, struct chunk *chunk);
int raw_write(void *raw, struct chunk *chunk);
/* After the last raw_write() of a sparse one: give the file its size. */
int raw_end(const struct raw *raw);
/* For other stages: count and digest these bytes; tell of a failure. */
void raw_account(struct raw *raw, const void *data, size_t size);
int raw_fail(const struct raw *raw, int err);

struct image {
	struct vfiomig_ctx *ctx;
	int fd;
	struct json_object *header, *trailer;
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

/* Takes @header over, also on failure, and writes it. */
int image_begin(struct image *image, struct vfiomig_ctx *ctx, int fd,
		struct json_object *header);
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
