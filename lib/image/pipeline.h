/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The way of the bytes: they are read into a chunk, worked on, and written.
 *
 *	reader thread -> worker threads -> writer (the caller's thread)
 *
 * Chunks are read and written in order, and worked on in parallel. There is a fixed number of slots
 * for them, so that memory is bounded, and the slower side holds up the other one.
 *
 * When the context is interrupted, or one of the threads fails, all of them end, also where one
 * sleeps in a system call that a signal can interrupt.
 */
#ifndef VFIOMIG_PIPELINE_H
#define VFIOMIG_PIPELINE_H

#include <sys/uio.h>

#include "internal.h"

/* The memory that a pipeline takes at most, whatever it is asked for. vfiomig-image(5) promises
 * that the whole program needs no more than 256 MiB. */
#define PIPELINE_MEMORY_MAX (240u << 20)

struct chunk {
	uint64_t number; /* from 0 */
	uint8_t *in;	 /* the @in_size bytes that were read */
	size_t in_size;
	uint8_t *out; /* bytes that the work has made */
	size_t out_size;
	struct iovec *iov; /* the bytes to be written: pieces of @in and @out */
	int iov_count;
};

/* All stages return 0 or what ctx_fail() returned. */
struct pipeline {
	struct vfiomig_ctx *ctx;
	int threads;	    /* workers, if the memory allows as many */
	size_t in_room;	    /* bytes at chunk->in */
	size_t out_room;    /* bytes at chunk->out */
	int iov_room;	    /* pieces at chunk->iov */
	size_t worker_room; /* bytes that each worker needs */

	/* Fill chunk->in, and chunk->iov if there is no work to be done. Leave in_size 0 at the
	 * end. */
	int (*read)(void *from, struct chunk *chunk);
	void *from;

	/* Make chunk->iov of chunk->in. Any worker gets any chunk. NULL if there is no work to be
	 * done. */
	int (*work)(void *worker, struct chunk *chunk);
	void *(*worker_new)(const void *how);
	void (*worker_free)(void *worker);
	const void *how;

	/* Write chunk->iov. */
	int (*write)(void *to, struct chunk *chunk);
	void *to;
};

/* Run until the reader has come to the end and everything is written, or a stage fails. Returns 0
 * or what ctx_fail() returned for the first failure. */
int pipeline_run(const struct pipeline *p);

#endif
