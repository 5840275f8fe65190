/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The kernel's memory: whether what is done again and again leaves something there. */
#ifndef CHECK_MEMORY_H
#define CHECK_MEMORY_H

#include "run.h"

/* How many bytes the kernel could give to programs. */
uint64_t available_memory(struct run *run);
/* Call @cycle for some seconds. Expects that neither the kernel's memory nor the descriptors of
 * this process become more and more. @what names what is repeated: "sessions". */
void expect_no_growth(struct run *run, void (*cycle)(struct run *run), const char *what);

#endif
