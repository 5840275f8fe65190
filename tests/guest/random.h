/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Pseudo-random numbers that cost an emulated processor little. */
#ifndef RANDOM_H
#define RANDOM_H

#include <stdint.h>

/* xorshift64; the seed must not be 0. */
static inline uint64_t next_random(uint64_t *seed)
{
	*seed ^= *seed << 13;
	*seed ^= *seed >> 7;
	*seed ^= *seed << 17;
	return *seed;
}

#endif
