/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The state itself, outside of images. */
#ifndef VFIOMIG_RAW_H
#define VFIOMIG_RAW_H

#include <xxhash.h>
/* XXH3 with the vector instructions that the processor has: four times as fast as with SSE2. */
#if defined(__x86_64__) && __has_include(<xxh_x86dispatch.h>)
#include <xxh_x86dispatch.h>
#endif

#include "pipeline.h"

/* As many bytes as tell an image from raw state. */
#define RAW_PEEK     16
/* As many bytes as can be peeked at: all that a stream says of its device is in them. */
#define RAW_PEEK_MAX 96

/* The state as it comes from a device or goes to one. Its bytes are counted and digested on the
 * way. */
struct raw {
	struct vfiomig_ctx *ctx;
	int fd;		  /* -1 for nowhere, to verify an image */
	const char *what; /* for messages: "reading the device's state" */
	size_t chunk_size;
	off_t at;    /* in a file that raw_find() has workers read: the next chunk */
	bool sparse; /* a new file: leave holes where the state is zero */
	uint8_t peeked[RAW_PEEK_MAX]; /* bytes that were read already */
	size_t peeked_size;
	_Atomic uint64_t bytes; /* that have gone by; read by the progress function's thread */
	uint64_t since_ns;	/* CLOCK_MONOTONIC, when its reader could begin; 0: at once */
	XXH3_state_t *digest;	/* NULL where nobody wants it */
	/* Called for all bytes that go by, in order; may be NULL. It returns 0 or what ctx_fail()
	 * returned, and then the transfer ends. A state that raw_find() finds has none. */
	int (*tap)(void *data, const void *bytes, size_t size);
	void *tap_data;
};

int raw_init(struct raw *raw, struct vfiomig_ctx *ctx, int fd, const char *what);
void raw_free(struct raw *raw);
/* Write "xxh128:" and the digest of all bytes that have gone by. */
void raw_digest(const struct raw *raw, char text[48]);
/*
 * Find out whether there is something to read, and, unless @force, whether it begins as something
 * else than raw state. Returns 0 or, after ctx_fail(), -ENODATA, -EBADMSG or another negative
 * errno.
 */
int raw_peek(struct raw *raw, bool force);
/* Then: read RAW_PEEK_MAX bytes, fewer only at the end. Returns 0 or what ctx_fail() returned. */
int raw_peek_more(struct raw *raw);
int raw_read(void *raw, struct chunk *chunk);
/* Whether the state is in a regular file, of more than one chunk, from which workers can read it.
 * Then this prepares for that. */
bool raw_is_file(struct raw *raw, size_t chunk_size);
/* These read it so: find the next chunk, and fetch it. */
int raw_find(void *raw, struct chunk *chunk);
int raw_fetch(void *raw, struct chunk *chunk);
/* Add these bytes to the digest, the next ones of the state. */
void raw_add(struct raw *raw, const void *data, size_t size);
void raw_add_zeros(struct raw *raw, size_t size);
int raw_write(void *raw, struct chunk *chunk);
/* After the last raw_write(): a sparse file gets its size. */
int raw_end(const struct raw *raw);
/* Whether what raw_peek() has read is the beginning of an image. */
bool raw_is_image(const struct raw *raw);
/* For other stages: count these bytes, and show them to the tap. Returns 0 or what ctx_fail()
 * returned. */
int raw_account(struct raw *raw, const void *data, size_t size);
/* Note a failure, and return @err. */
int raw_fail(const struct raw *raw, int err);

#endif
