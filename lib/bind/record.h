/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Records of what functions were bound to before vfiomig bound them: files in the run-time
 * directory. Only the holder of a device's lock (device_lock()) works on its record. */
#ifndef VFIOMIG_RECORD_H
#define VFIOMIG_RECORD_H

#include "binding.h"

/* Make the directory of the records if it is not there, and open it. Returns a descriptor or a
 * negative errno. */
int records_open(struct vfiomig_ctx *ctx);
/* Open the directory if it is there. Returns a descriptor, or -1. */
int records_peek(struct vfiomig_ctx *ctx);

/* Each returns 0 or a negative errno. */
int record_write(struct vfiomig_device *dev, int dir, const struct binding *b);
/* Returns -ENOENT without a sentence when there is no record. @b must be empty. */
int record_read(struct vfiomig_device *dev, int dir, struct binding *b);
bool record_exists(const struct vfiomig_device *dev, int dir);
void record_remove(const struct vfiomig_device *dev, int dir);

#endif
