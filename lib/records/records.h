/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The records that a driver's stream consists of. A walker takes the stream in pieces of any size,
 * in one pass, and tells what is in it. Its memory does not depend on the stream.
 *
 * None of these formats belongs to the uAPI, and a driver may change its own. So a walker never
 * fails: what it does not know is opaque. The formats are tables, see format.h.
 */
#ifndef VFIOMIG_RECORDS_H
#define VFIOMIG_RECORDS_H

#include "internal.h"

/* How a stream ends. */
enum records_end {
	RECORDS_UNKNOWN, /* the format is not known, or something in the stream is not of it */
	RECORDS_WHOLE,	 /* where a stream of this format ends */
	RECORDS_CUT,	 /* too early */
	RECORDS_BEYOND,	 /* something follows the end */
};

struct records;
struct structure;

/*
 * @driver: whose stream it is, "mlx5_vfio_pci" or "mlx5"; NULL to guess by how the stream begins
 * @fn: called for each piece, see vfiomig_walk(); NULL if nobody wants to know. If it does not
 *	return 0, it is not called again.
 *
 * Returns NULL without memory.
 */
struct records *records_new(const char *driver, vfiomig_record_fn fn, void *data);
void records_free(struct records *w);

/*
 * What a comparison wants besides the pieces: all the bytes that they consist of, in the order of
 * the stream.
 */
struct records_raw {
	/* The first @size bytes of a structure, a header or the data of a record. There are fewer
	 * than the structure has only if the record or the stream ends before. The calls for the
	 * structure's fields are not made. */
	void (*structure)(void *data, const struct structure *s, const uint8_t *bytes, size_t size);
	/* Bytes of the record that came last; or, if @name is not NULL, opaque ones that belong to
	 * none, at this depth. */
	void (*bytes)(void *data, const char *name, unsigned int depth, const uint8_t *bytes,
		      size_t size);
};

/* Before the first records_feed(): make these calls too, with the same @data as @fn gets. */
void records_set_raw(struct records *w, const struct records_raw *raw);
/* How many of the next bytes are of one piece for certain, without anything in them to be told. */
uint64_t records_passing(const struct records *w);

/* The next piece of the stream. @records is the walker, so that this fits struct raw's tap. Returns
 * what @fn returned to end the walk, or 0. */
int records_feed(void *records, const void *data, size_t size);
/* The stream ends here. Call this once. */
enum records_end records_finish(struct records *w);
/* What @fn returned to end the walk, or 0. */
int records_stopped(const struct records *w);

/* After records_finish(): how the stream ends, for a sentence that begins with "the stream ". */
const char *records_sentence(const struct records *w);
/* The name of the stream's format, "mlx5", or NULL if it is not known. */
const char *records_format(const struct records *w);

/* Whether the format of this driver's streams is known. */
bool records_knows(const char *driver);

#endif
