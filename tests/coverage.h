/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * For "make coverage", before everything else: who ends by _exit(2), as a
 * holder does, or by a signal, as who was interrupted, writes its counters too.
 */
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

void __gcov_dump(void);

#define _exit	   exit
#define raise(sig) (__gcov_dump(), raise(sig))
