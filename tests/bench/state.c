// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * state KIND MIB: print this many MiB of state, always the same bytes.
 *
 *	random	incompressible
 *	mixed	half zero, a quarter random, a quarter repetitive, alternating
 *		every 1 MiB, so that no chunk of an image is of one kind
 *	zero
 */
#include <err.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MIB (1u << 20)

static uint64_t piece[MIB / sizeof(uint64_t)];

static void fill_random(void)
{
	static uint64_t x = 0x9e3779b97f4a7c15;

	for (size_t i = 0; i < MIB / sizeof(piece[0]); i++) {
		x ^= x << 13;
		x ^= x >> 7;
		x ^= x << 17;
		/* The low bits of x are not random enough. */
		piece[i] = x * 0x2545f4914f6cdd1d;
	}
}

/* Records that differ in a number, like the tables of a device. */
static void fill_repetitive(void)
{
	static unsigned int number;

	for (size_t at = 0; at < MIB; at += 32) {
		char record[33];

		snprintf(record, sizeof(record), "entry %08x: valid, owner 17 ", number++);
		memcpy((char *)piece + at, record, 32);
	}
}

static void write_piece(void)
{
	size_t done = 0;

	while (done < MIB) {
		ssize_t n = write(STDOUT_FILENO, (char *)piece + done, MIB - done);

		if (n < 0)
			err(1, "write");
		done += n;
	}
}

int main(int argc, char **argv)
{
	const char *kind = argc == 3 ? argv[1] : "";
	long mib = argc == 3 ? atol(argv[2]) : 0;

	if (mib <= 0 || !strstr("random mixed zero", kind) || !*kind)
		errx(2, "usage: state random|mixed|zero MIB");
	for (long i = 0; i < mib; i++) {
		if (*kind == 'r' || (*kind == 'm' && i % 4 == 1))
			fill_random();
		else if (*kind == 'm' && i % 4 == 3)
			fill_repetitive();
		else
			memset(piece, 0, sizeof(piece));
		write_piece();
	}
	return 0;
}
