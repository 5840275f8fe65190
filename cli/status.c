// SPDX-License-Identifier: GPL-2.0-or-later
/* The table from errors to exit statuses. */
#include <errno.h>
#include <stddef.h>

#include "status.h"

/* OTHER: the status of the last row, which is for all errors that have no row. */
enum {
	OTHER = STATUS_OK,
	USAGE = STATUS_USAGE,
	UNSUPPORTED = STATUS_UNSUPPORTED,
	BUSY = STATUS_BUSY,
	DEVICE_LOST = STATUS_DEVICE_LOST,
	IMAGE = STATUS_IMAGE,
	OTHER_DEVICE = STATUS_OTHER_DEVICE,
	NOT_FOUND = STATUS_NOT_FOUND,
	FAILED = STATUS_FAILED,
	CANNOT_RUN = STATUS_CANNOT_RUN,
};

/* clang-format off */
static const struct {
	int err;
	int status[NR_TASKS];
} table[] = {
	/*              FIND_DEVICE  OPEN_DEVICE  MOVE_STATE    STORE_IMAGE  RUN_COMMAND */
	{ EINVAL,     { USAGE,       OTHER,       OTHER,        OTHER,       OTHER } },
	{ EDESTADDRREQ,
		      { OTHER,       OTHER,       USAGE,        OTHER,       OTHER } },
	{ ENOTUNIQ,   { USAGE,       USAGE,       OTHER,        OTHER,       OTHER } },
	{ ENODEV,     { UNSUPPORTED, UNSUPPORTED, OTHER,        OTHER,       OTHER } },
	{ EOPNOTSUPP, { UNSUPPORTED, UNSUPPORTED, OTHER,        OTHER,       OTHER } },
	{ EBUSY,      { BUSY,        BUSY,        OTHER,        OTHER,       OTHER } },
	{ EACCES,     { BUSY,        BUSY,        OTHER,        BUSY,        OTHER } },
	{ EPERM,      { BUSY,        BUSY,        OTHER,        BUSY,        OTHER } },
	{ EPROTONOSUPPORT,
		      { OTHER,       OTHER,       UNSUPPORTED,  OTHER,       OTHER } },
	{ EOWNERDEAD, { OTHER,       DEVICE_LOST, OTHER,        OTHER,       OTHER } },
	{ ENOTRECOVERABLE,
		      { OTHER,       OTHER,       DEVICE_LOST,  OTHER,       OTHER } },
	{ EBADMSG,    { OTHER,       OTHER,       IMAGE,        OTHER,       OTHER } },
	{ ENODATA,    { OTHER,       OTHER,       IMAGE,        OTHER,       OTHER } },
	{ EXDEV,      { OTHER,       OTHER,       OTHER_DEVICE, OTHER,       OTHER } },
	{ ENOENT,     { OTHER,       OTHER,       OTHER,        OTHER,       NOT_FOUND } },
	{ 0,          { FAILED,      FAILED,      FAILED,       FAILED,      CANNOT_RUN } },
};
/* clang-format on */

enum status status_of(enum task task, int err)
{
	size_t row = 0, last = sizeof(table) / sizeof(table[0]) - 1;

	while (row < last && table[row].err != -err)
		row++;
	return table[row].status[task] ? table[row].status[task] : table[last].status[task];
}
