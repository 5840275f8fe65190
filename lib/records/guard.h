/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What protects a device from a state that is cut off, or is not its own, if the format of the
 * driver's streams is known. If it is not, all of these do nothing and succeed.
 */
#ifndef VFIOMIG_GUARD_H
#define VFIOMIG_GUARD_H

#include "device/device.h"
#include "image/raw.h"
#include "records.h"

struct guard {
	const struct vfiomig_device *dev;
	struct records *records;     /* NULL if the format is not known */
	char format[32], record[32]; /* that are being compared */
};

/* @driver: whose state it is, or NULL. @compares: see whether the state is the device's. Returns 0
 * or what ctx_fail() returned; release the guard with guard_free() in both cases. */
int guard_init(struct guard *g, const struct vfiomig_device *dev, const char *driver,
	       bool compares);
void guard_free(struct guard *g);
/* Have the guard look at all bytes that go by. If they are not for the device, the transfer fails
 * with -EXDEV. */
void guard_watch(struct guard *g, struct raw *raw);
/* Compare only the first bytes of a state, which raw_peek() has read. Returns 0 or -EXDEV. */
int guard_compare(struct guard *g, const struct raw *peeked);
/* The state has come to its end. Returns 0, or -EBADMSG after ctx_fail() if it cannot be all. */
int guard_finish(struct guard *g);
/* The same for a state that was saved: @text receives why it may not load, or "". */
void guard_doubt(struct guard *g, char *text, size_t size);

#endif
