/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * "make coverage" includes this before everything else. A process that ends by
 * _exit(2), like a holder, or by a signal, like an interrupted command, would
 * otherwise not write its counters.
 */
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

void __gcov_dump(void);

#define _exit	   exit
#define raise(sig) (__gcov_dump(), raise(sig))
