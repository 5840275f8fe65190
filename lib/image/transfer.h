/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The pipelines between the state and the image. */
#ifndef VFIOMIG_TRANSFER_H
#define VFIOMIG_TRANSFER_H

#include "image.h"

/*
 * Read the state @from and write it to the frames of @image or, if that is NULL, as it is @to. If
 * @reader is not NULL, it reads instead of raw_read(), and accounts for the bytes in @from.
 *
 * These return 0 or what ctx_fail() returned. They set @result->bytes and @result->ns.
 */
int transfer_out(const struct vfiomig_options *opt, struct raw *from, const struct reader *reader,
		 struct raw *to, struct image *image, struct vfiomig_result *result);
/* Read the state from the frames of @image or, if that is NULL, as it is @from; and write it @to.
 * Also sets @result->complete. */
int transfer_in(const struct vfiomig_options *opt, struct raw *from, struct image *image,
		struct raw *to, struct vfiomig_result *result);

/* One of several devices whose states are transferred together, in one image. */
struct member {
	struct raw *raw; /* its state: read from (out), or written to (in) */
	/* Out: how its chunks are read, as for transfer_out(); raw_read() without a @read. Each
	 * member has a thread for this, in which @end is called when its last chunk was read. The
	 * others go on meanwhile. */
	struct reader reader;
	/* In, both called in the member's own thread, with @to. They return 0 or what ctx_fail()
	 * returned. @write: instead of raw_write(), with a chunk of the state; it ends in
	 * raw_write(). @written: when all of the stream was written and the member's own trailer
	 * was right. NULL for nothing. */
	int (*write)(void *to, struct chunk *c);
	int (*written)(void *to);
	void *to;
	struct vfiomig_result *result; /* bytes and ns of this one; in: complete */
};

/*
 * Read the states of all members at the same time and write them to @image, which image_begin() has
 * begun with a header of their names, in their order. Each has its trailer when it has ended; the
 * trailer of the set is for image_end_set().
 *
 * When one of them fails all of them end. These return 0 or what ctx_fail() returned. Unless @whole
 * is NULL, they set its bytes, ns and expected, and on the way in its complete.
 */
int transfer_set_out(const struct vfiomig_options *opt, struct member *members, int count,
		     struct image *image, struct vfiomig_result *whole);
/*
 * Read the states of all devices of @image, and write each to its member: member i is device i of
 * the image, and there are as many. What belongs to a member without @raw is checked, and not
 * written. Success means that everything was right, to the trailer of the set, and only then
 * @complete is set.
 */
int transfer_set_in(const struct vfiomig_options *opt, struct member *members, int count,
		    struct image *image, struct vfiomig_result *whole);
/* The same for whoever wants the state of one device of @image: that goes @to, and all others, if
 * there are any, are checked. Sets @result as transfer_in() does. If @device is -1, all devices of
 * a set are checked, and @result is of the whole. */
int transfer_one_in(const struct vfiomig_options *opt, struct image *image, int device,
		    struct raw *to, struct vfiomig_result *result);

#endif
