/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Exit statuses. Scripts depend on them: vfiomig(1) documents each. */
#ifndef STATUS_H
#define STATUS_H

/* A command that is ended by signal N has the status 128 + N. */
enum status {
	STATUS_OK = 0,
	STATUS_FAILED = 1,
	STATUS_USAGE = 2,
	STATUS_TROUBLE = 2,	 /* of diff, where 1 says that two states differ: see cmp(1) */
	STATUS_UNSUPPORTED = 3,	 /* the device or the kernel has no migration support */
	STATUS_BUSY = 4,	 /* busy, not viable or not permitted */
	STATUS_IMAGE = 5,	 /* the image is damaged, truncated or not an image */
	STATUS_OTHER_DEVICE = 6, /* the image is of another device */
	STATUS_DEVICE_LOST = 7,	 /* the device entered ERROR or was reset, or its holder ended */
	/* The command that exec runs: the same numbers as env(1) and the shells use. */
	STATUS_CANNOT_RUN = 126,
	STATUS_NOT_FOUND = 127,
};

/* What the program failed to do. The same errno means different things for different tasks. */
enum task {
	FIND_DEVICE, /* by its name; also to bind, to hold and to release it */
	OPEN_DEVICE, /* also to keep it open and to close it */
	MOVE_STATE,  /* to walk from state to state, to save, to restore, to read an image */
	STORE_IMAGE, /* to open, write or rename the output */
	RUN_COMMAND, /* the command that exec runs */
	NR_TASKS
};

/* The exit status for a failure of @task with @err, a negative errno. Never STATUS_OK. */
enum status status_of(enum task task, int err);

#endif
