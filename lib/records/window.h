/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A stream as a row of units, of which a window is in memory. A unit is a record without the
 * records that are in it: its header, and its data if that is no sequence of records. Or it is a
 * run of opaque bytes. Each byte of the stream is in one unit.
 *
 * The window has WINDOW_UNITS units at most, and units of WINDOW_BYTES. Only the last unit can be
 * longer than that: whoever works on it drops its bytes at the front while others come in at the
 * end.
 */
#ifndef VFIOMIG_WINDOW_H
#define VFIOMIG_WINDOW_H

#include "source.h"

#define WINDOW_UNITS 16384
#define WINDOW_BYTES (24u << 20)
/* Of a longer unit, so many bytes and its size are what tells whether it is like another one. */
#define UNIT_PREFIX  (64u << 10)
#define UNIT_PATH    192

/* By what a unit is looked for: which record it is, or all that is in it. */
enum look {
	BY_KEY,
	BY_CONTENT,
	NR_LOOKS
};

struct unit {
	uint64_t seq; /* its place in the row */
	unsigned int depth;
	bool opaque;
	bool complete; /* no bytes are to come */
	bool hashed;   /* it has a hash of its content */
	const struct structure *header, *fields;
	size_t header_size, fields_size; /* bytes of these */
	uint64_t offset;		 /* in the stream */
	uint64_t size;			 /* of the record, as its header says; 0 if it is opaque */
	uint64_t length; /* bytes of the unit so far, also those that were dropped */
	uint64_t hash[NR_LOOKS];
	struct unit *next[NR_LOOKS]; /* with a hash in the same bucket */
	uint8_t *bytes;
	size_t start, end, room; /* those from @start to @end are there */
	char name[32];
	char path[UNIT_PATH]; /* "DEVICE_DATA/VQ_CFG selector=1" */
};

struct bucket {
	struct unit *first, *last;
};

struct window {
	struct source source;
	struct records *records;
	const uint8_t *piece; /* of the source: what is still to be walked over */
	size_t piece_size;
	bool ended;
	bool failed; /* it has ended because no more of it can be read, or because it is damaged */
	struct failure failure;
	bool no_memory;
	uint64_t offset;	   /* bytes that are in units */
	struct vfiomig_record end; /* the walker's last call */
	struct unit **ring;
	uint64_t first, last; /* the units in the window, the latter not */
	uint64_t indexed;     /* those before this one can be looked for */
	size_t retained;      /* bytes of them */
	struct bucket *buckets[NR_LOOKS];
	uint64_t keys[RECORDS_DEPTH_MAX + 1]; /* of the records that are being read */
	char paths[RECORDS_DEPTH_MAX + 1][UNIT_PATH];
};

/* All of these return 0 or what ctx_fail() returned, where they return an int. */

/* After source_open() and source_peek(): begin to walk. @driver as for records_new(). */
int window_begin(struct window *w, const char *driver);
void window_free(struct window *w);
/* Read some more of the stream. At its end, this does nothing. What is before a failure of the
 * source is still compared: so that is an end, too, and no error. */
int window_feed(struct window *w);
/* Read as much as the window has room for. */
int window_fill(struct window *w);

static inline size_t window_count(const struct window *w)
{
	return w->last - w->first;
}

/* Whether all that could be read has been compared. */
static inline bool window_is_lost(const struct window *w)
{
	return w->failed && !window_count(w);
}

/* Whether the first unit may go on where nothing could be read. */
static inline bool window_is_cut(const struct window *w)
{
	return w->failed && window_count(w) == 1;
}

/* The unit with this number, which is in the window. */
struct unit *window_unit(const struct window *w, uint64_t seq);
/* The first unit, with at least UNIT_PREFIX bytes of it or all; *@unit is NULL at the end. */
int window_head(struct window *w, struct unit **unit);
/* Whether the two are the same, as far as can be told before all their bytes are there. */
bool unit_is_like(struct unit *a, struct unit *b);
/* Have all units that can be looked for be found. */
void window_index(struct window *w);
/* The first unit with this hash, or NULL. */
struct unit *window_find(const struct window *w, enum look look, uint64_t hash);
/* Of the first unit, this many of the bytes that are there are no longer wanted. */
void window_drop_bytes(struct window *w, size_t size);
/* The first unit is no longer wanted. */
void window_drop(struct window *w);
/* None of the units is, as if no more of the stream could be read from the first one on. */
void window_give_up(struct window *w);

/* As many bytes of the record as there are, as far as it has been read. */
static inline uint64_t unit_size(const struct window *w, const struct unit *u)
{
	if (u->opaque)
		return u->length;
	return w->ended && u->size > w->offset - u->offset ? w->offset - u->offset : u->size;
}

static inline size_t unit_have(const struct unit *u)
{
	return u->end - u->start;
}

#endif
