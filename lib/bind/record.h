/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What functions were bound to before a bind: files in the run-time directory.
 * Who has a device's lock (device_lock()) has its record. */
#ifndef VFIOMIG_RECORD_H
#define VFIOMIG_RECORD_H

#include "binding.h"

/* The directory of the records, made if it is not there; or a negative errno. */
int records_open(struct vfiomig_ctx *ctx);
/* The directory as it is; -1 if there is none to read. */
int records_peek(struct vfiomig_ctx *ctx);

/* Each returns 0 or a negative errno. */
int record_write(struct vfiomig_device *dev, int dir, const struct binding *b);
/* -ENOENT when there is none, without a sentence. @b is empty before. */
int record_read(struct vfiomig_device *dev, int dir, struct binding *b);
bool record_exists(const struct vfiomig_device *dev, int dir);
void record_remove(const struct vfiomig_device *dev, int dir);

#endif
