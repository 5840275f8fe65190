/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Exit statuses. Scripts depend on them: vfiomig(1) documents each. */
#ifndef STATUS_H
#define STATUS_H

/* A command that is ended by signal N has the status 128 + N. */
enum status {
	STATUS_OK = 0,
	STATUS_FAILED = 1,
	STATUS_USAGE = 2,
	STATUS_UNSUPPORTED = 3,	 /* the device or the kernel has no migration support */
	STATUS_BUSY = 4,	 /* busy, not viable or not permitted */
	STATUS_IMAGE = 5,	 /* the image is damaged, truncated or not an image */
	STATUS_OTHER_DEVICE = 6, /* the image is of another device */
	STATUS_DEVICE_LOST = 7,	 /* the device entered ERROR or was reset, or its holder ended */
	/* The command that exec runs: the same numbers as env(1) and the shells use. */
	STATUS_CANNOT_RUN = 126,
	STATUS_NOT_FOUND = 127,
};

#endif
