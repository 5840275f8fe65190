/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The way of the bytes: read into a chunk, work on it, write it.
 *
 *	reader thread -> worker threads -> writer (the caller's thread)
 *
 * Reading and writing keep the order, the work between goes on in parallel. A
 * chunk lives in one of a fixed number of slots, so that memory is bounded and
 * whichever side is slow stops the other one.
 */
#ifndef VFIOMIG_PIPELINE_H
#define VFIOMIG_PIPELINE_H

#include <sys/uio.h>

#include "internal.h"

struct chunk {
	uint64_t number; /* from 0 */
	uint8_t *in;	 /* what was read, @in_size bytes of it */
	size_t in_size;
	uint8_t *out; /* what the work has made, as far as it is not in @in */
	size_t out_size;
	struct iovec *iov; /* what is to be written: pieces of both */
	int iov_count;
};

/* All stages return 0, or what ctx_fail() returned. */
struct pipeline {
	struct vfiomig_ctx *ctx;
	int threads;	 /* workers */
	size_t in_room;	 /* bytes at chunk->in */
	size_t out_room; /* bytes at chunk->out */
	int iov_room;	 /* pieces at chunk->iov */

	/* Fills chunk->in (and chunk->iov, if there is no work to be done);
	 * leaves in_size 0 at the end. */
	int (*read)(void *from, struct chunk *chunk);
	void *from;

	/* Any worker does any chunk. NULL where chunk->in is to be written. */
	int (*work)(void *worker, struct chunk *chunk);
	void *(*worker_new)(const void *how);
	void (*worker_free)(void *worker);
	const void *how;

	/* Writes chunk->iov. */
	int (*write)(void *to, struct chunk *chunk);
	void *to;
};

/* Until the reader has come to the end and all is written, or one fails. */
int pipeline_run(const struct pipeline *p);

#endif
