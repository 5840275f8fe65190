/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* One step of binding, in which the kernel may wait: a write to sysfs, or loading a module. */
#ifndef VFIOMIG_STEP_H
#define VFIOMIG_STEP_H

#include "device/device.h"

/*
 * Write @text to the file @name in @dir. @what says what the kernel does then, for the notice that
 * the caller gets after three seconds: "taking 0000:3b:00.1 from snd_hda_intel".
 *
 * After an interruption the step gets @grace_ms milliseconds to end. Returns 0, the negative errno
 * of the write, without a sentence, or -EINPROGRESS, with a sentence, when the step was interrupted
 * and left to the kernel.
 */
int step_write(struct vfiomig_device *dev, const char *dir, const char *name, const char *text,
	       const char *what, unsigned int grace_ms);
/*
 * Load a module, see module_load(). Returns what that returns, another negative errno if there is
 * no process for it, or -EINPROGRESS with a sentence as above.
 */
int step_load(struct vfiomig_ctx *ctx, const char *module);

#endif
