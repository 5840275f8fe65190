/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The progress of a transfer, on standard error. */
#ifndef PROGRESS_H
#define PROGRESS_H

#include "transfer.h"

/* Show the progress of the transfer that begins now. */
void progress_start(struct transfer *t);
/* Erase the progress line. */
void progress_end(void);
/* "1.5 GiB"; returns @text. */
const char *format_bytes(uint64_t bytes, char text[32]);

#endif
