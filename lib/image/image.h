/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * An image as a sequence of frames: header, chunks, trailer. There are stages for pipelines in both
 * directions.
 */
#ifndef VFIOMIG_IMAGE_H
#define VFIOMIG_IMAGE_H

#include "frame.h"
#include "meta.h"
#include "raw.h"

/* The frames of one device, and what the image says of it. */
struct image_device {
	/* These are of a device of a set: */
	char *name;
	char *header;  /* the object that the image's header has of it: as a header of format 1 */
	char *trailer; /* NULL before it is there */
	uint64_t frames;
	/* The digest of the compressed frames, in which a bit may flip without changing what they
	 * decode to. */
	XXH64_state_t *frames_digest;
};

struct image {
	struct vfiomig_ctx *ctx;
	int fd;
	char *header, *trailer;	      /* JSON texts, NULL before they are there */
	struct image_device *devices; /* of a set, in format 2 */
	const char **names;	      /* theirs */
	int nr_devices;		      /* 0 if the image is of one device, in format 1 */
	struct image_device one;      /* that one: only its frames */
	char *verified;		      /* the trailer when the image was verified, or NULL */
	size_t chunk_size;
	bool compressed;
	uint64_t frames,
		bytes; /* of all devices; the bytes, as their trailers have them, of a set */
	uint64_t size; /* of the image, in bytes */
	off_t end;     /* of the file that the image is read from; 0 if that is no regular file */
	/* What was read already by whoever found out that this is an image. */
	uint8_t first[RAW_PEEK_MAX];
	size_t first_size;
	/* What image_peek() has read: the next frame's size (0 if nothing) and its first bytes. */
	size_t peeked;
	uint8_t magic[4];
	/* The digest of a set's header and of the trailers of its devices. */
	XXH64_state_t *metadata_digest;
};

void image_free(struct image *image);

/* Whether a set can have so many devices of these names. Returns 0, or -EINVAL after ctx_fail(). */
int image_check_names(struct vfiomig_ctx *ctx, const char *const *names, size_t count);
/* Write the @header, of one device or of a set; the image owns it from then on, also after a
 * failure. */
int image_begin(struct image *image, struct vfiomig_ctx *ctx, int fd, char *header);
/* Write a frame. In a set, chunk->iov has room for one more piece. */
int image_write(void *image, struct chunk *chunk);
/* Add the next frame of this device, 0 if there is one, to the digest of its compressed frames. */
void image_add(struct image *image, int device, const void *frame, size_t size);
/* Write the trailer. */
int image_end(struct image *image, const struct raw *raw);
/* Write the trailer of a device of a set, after its last frame; and that of the set after these. */
int image_end_device(struct image *image, int device, const struct raw *raw);
int image_end_set(struct image *image);

/* Read the header. Returns -EBADMSG for a bad header, -ENODATA when there is nothing to read, and
 * other negative errnos. */
int image_open(struct image *image, struct vfiomig_ctx *ctx, int fd);
/* The same for an image whose first bytes raw_peek() has read. */
int image_open_peeked(struct image *image, const struct raw *peeked);
/* Which device of a set has this name, or -1. */
int image_find(const struct image *image, const char *name);
/* "A, B and C", or "A, B and 3 more": as many whole names of devices as there is room for. */
void image_list_names(const struct image *image, char *list, size_t size);
/*
 * For whoever wants one state: the one of @device, which may be NULL if there is only one. Returns
 * its number, 0 for an image of format 1; or -EDESTADDRREQ after ctx_fail(), with a sentence that
 * names the devices.
 */
int image_choose(const struct image *image, const char *device);
/* What the header says of this device: that of format 1 itself. */
const char *image_header(const struct image *image, int device);
/* Wait for the first frame after the header. Returns -ENODATA after ctx_fail() if that is the
 * trailer: the image has no state in it. */
int image_peek(struct image *image);
/* Read a frame; or at the end the trailer, and check it against the frames. In a set, a chunk with
 * @ends_lane is the trailer of one device. */
int image_read(void *image, struct chunk *chunk);
/* Fetch a frame from a regular file. */
int image_fetch(void *image, struct chunk *chunk);
/*
 * After an image was verified, which begins at @start: go back there to read the image once more.
 * From then on a header or a trailer that has changed is -EBADMSG. The trailer has the digest of
 * the state, or of the trailers that have one, so what is read is what was verified.
 */
int image_reopen(struct image *image, off_t start);
/* Pass over the chunks to the trailer instead, without reading them if @fd can seek. */
int image_skim(struct image *image);
/* After the last frame of this device: check its trailer against the state that came out of the
 * frames. */
int image_check(const struct image *image, int device, const struct raw *raw);

#endif
