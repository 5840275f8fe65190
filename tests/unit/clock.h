/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A clock that a test can set forward. With --wrap=now_ns. */
#ifndef CLOCK_H
#define CLOCK_H

#include "unit.h"

static _Atomic uint64_t ahead; /* how far the clock is ahead, in nanoseconds */
static _Atomic bool fast;      /* each look at the clock sets it forward by a second */

uint64_t __real_now_ns(void);
uint64_t __wrap_now_ns(void);
uint64_t __wrap_now_ns(void)
{
	if (fast)
		ahead += 1000000000;
	return __real_now_ns() + ahead;
}

#endif
