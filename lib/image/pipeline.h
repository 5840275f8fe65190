/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The way of the bytes: they are read into a chunk, worked on, digested, and written.
 *
 *	reader thread -> worker threads -> writer (the caller's thread)
 *
 * Chunks are read and written in order, and worked on in parallel. A reader of a file only finds
 * out where in the file a chunk is, and leaves it to the worker to fetch the bytes. The digest is
 * one over all bytes, so that the workers take turns, in the order of the chunks. There is a bound
 * to the number of chunks under way, so that memory is bounded, and the slower side holds up the
 * other one. A reader that is waited for, a stopped device's, gets ahead as far as memory allows,
 * and the workers do no more than the writer needs next until the device is home.
 *
 * All chunks of a file are written by one thread because the kernel lets only one write at a time
 * to a file, whichever thread it is from.
 *
 * Several states can go through one pipeline, each in a lane of its own: there is an order among
 * the chunks of a lane, and none between lanes. Either each lane has a reader, with its thread, and
 * one writer takes the chunks of all lanes as they come; or one reader says of each chunk which
 * lane it is for, and each lane has a writer, with its thread. No reader has more than its share of
 * the memory, so that a slow one always finds room.
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
	struct run *run; /* for pipeline_prepare() */
	uint64_t number; /* from 0, in its lane */
	int lane;	 /* which of several states it is of, from 0 */
	bool ends_lane;	 /* it has no bytes: its lane ends here, and others may go on */
	uint8_t *in;	 /* the @in_size bytes that were read */
	size_t in_size;
	bool fetch; /* the bytes are still in the file, from @at on */
	off_t at;
	bool zero;    /* the bytes are zero, and may not be at @in */
	uint8_t *out; /* bytes that the work has made */
	size_t out_size;
	struct iovec *iov; /* the bytes to be written: pieces of @in, @out and constants */
	int iov_count;
};

/* The first stages. */
struct reader {
	/* Fill chunk->in, and chunk->iov if there is no work to be done; or set chunk->fetch. Leave
	 * in_size 0 at the end. The only reader of several lanes sets chunk->lane, and
	 * chunk->ends_lane where one of them ends. */
	int (*read)(void *from, struct chunk *chunk);
	/* Fill chunk->in of a chunk with chunk->fetch. Several workers do at the same time. */
	int (*fetch)(void *from, struct chunk *chunk);
	/* Whether to read on now although chunks wait to be written, as far as memory allows. NULL
	 * for never. */
	bool (*ahead)(const void *from);
	/* After the last chunk was read; others may not be written yet. The workers leave the
	 * processors to a reader that was ahead until this has returned. NULL for nothing. */
	int (*end)(void *from);
	void *from;
};

/* The last stages. */
struct writer {
	/* Write chunk->iov. */
	int (*write)(void *to, struct chunk *chunk);
	/* After the last chunk of this lane was written. NULL for nothing. */
	int (*end)(void *to, int lane);
	void *to;
};

/* All stages return 0 or what ctx_fail() returned. */
struct pipeline {
	struct vfiomig_ctx *ctx;
	/* That there are. The writer waits for as many readers that are ahead and keep them
	 * busy. */
	int processors;
	int threads;	    /* workers, at most, and if the memory allows as many */
	size_t in_room;	    /* bytes at chunk->in */
	size_t out_room;    /* bytes at chunk->out */
	int iov_room;	    /* pieces at chunk->iov */
	size_t worker_room; /* bytes that each worker needs */
	bool takes_arcs; /* @end calls into the driver, which must not be interrupted, or @read */

	/* One of each, or several of one kind: a lane for each. */
	const struct reader *readers;
	int nr_readers;
	const struct writer *writers;
	int nr_writers;

	/* Make chunk->iov of chunk->in. Any worker gets any chunk. NULL if there is no work to be
	 * done. */
	int (*work)(void *worker, struct chunk *chunk);
	void *(*worker_new)(const void *how);
	void (*worker_free)(void *worker);
	const void *how;

	/* Add the chunk to the digests. One worker at a time does for each lane, in the order of
	 * its chunks. */
	void (*digest)(void *digests, const struct chunk *chunk);
	void *digests;
};

/*
 * For a reader that is about to stop a device, with the chunk that it fills, of which it has read
 * in_size bytes: have the kernel find the memory for so many bytes more now, as far as this reader
 * may get ahead of the writer. While the device is stopped that would take time. Does nothing if
 * there are more than twice as many: then the device waits for the writer for longer than that.
 */
void pipeline_prepare(const struct chunk *chunk, uint64_t bytes);

/* Run until all readers have come to the end and everything is written, or a stage fails. Returns 0
 * or what ctx_fail() returned for the first failure. */
int pipeline_run(const struct pipeline *p);

#endif
