/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Whole streams of a device: they are read in pieces, compared by digest, and kept in a file. */
#ifndef CHECK_STREAM_H
#define CHECK_STREAM_H

#include "run.h"

struct stream {
	uint64_t size, digest;
};

/* A large stream is not moved byte by byte: so many calls move its first bytes, and the first and
 * the last ones when it is written. */
#define SMALL_CALLS_MAX 65536

/* Read from @data_fd to the end of the stream, at most @step bytes at a time. The stream is written
 * to @file, unless that is -1. Expects that read() neither fails nor gives ENOMSG, and that there
 * is an end. */
struct stream read_stream(struct run *run, int data_fd, size_t step, int file);
/* The same, as an addition to what was read before. */
struct digest;
struct digest *digest_new(struct run *run);
void digest_add(struct digest *digest, const void *buf, size_t size);
struct stream digest_end(struct digest *digest);
void read_more(struct run *run, int data_fd, size_t step, int file, struct digest *digest);
/* Read what PRE_COPY has to say until ENOMSG or, as some drivers do, 0; at most @max bytes. Returns
 * the bytes. */
uint64_t read_precopy(struct run *run, int data_fd, uint64_t max, int file, struct digest *digest);

/* Skip the test if a session in PRE_COPY has given @bytes and still has no temporary end. */
void expect_quiet(struct run *run, uint64_t bytes);

/* Save the device, which is in RUNNING, and leave it in STOP. */
struct stream save_stream(struct run *run);

/* What MIG_DATA_SIZE said; 0 if it said nothing, or a number that no state has. */
uint64_t plausible_size(const struct run *run);

/* A device of which the size is not known may have a lot to say. */
#define UNKNOWN_SIZE_MAX (256ULL << 30)

/* A stream that can be loaded: that of the device after a reset. It is in run->reference. */
struct stream reference_stream(struct run *run);

/* How to write a stream into a device: what of it, and what is changed in it. */
struct load {
	int file;		    /* -1: run->reference */
	uint64_t from, to;	    /* the bytes to write; 0, 0: all */
	size_t step;		    /* bytes of a write(), see SMALL_CALLS_MAX; 0: as it likes */
	uint64_t invert_at, invert; /* bytes to invert, and how many */
	unsigned int with_writev;   /* parts of a writev(), or 0 */
};
/* Write the stream. Returns 0 or write()'s negative errno. */
int write_stream(struct run *run, int data_fd, const struct load *load);

/* Bring a SET_STATE to fail: a session of loading that has got nothing. Returns its errno. */
int fail_to_load(struct run *run, int to);

/* A file without a name. Skips the test if there is no place for one. */
int new_file(struct run *run);
/* The same, but a negative errno if there is no place. */
int nameless_file(void);

#endif
