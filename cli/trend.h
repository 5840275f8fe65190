/* SPDX-License-Identifier: GPL-2.0-or-later */
/* How fast a state moves, and whether what is left of it becomes less. */
#ifndef TREND_H
#define TREND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TREND_SAMPLES 64

struct sample {
	uint64_t ns, bytes;
};

/* The last samples of a number, oldest first. */
struct trend {
	struct sample list[TREND_SAMPLES];
	size_t count;
	uint64_t changed_ns; /* when the number changed last */
};

/* Add a sample, of the time @ns; those that are older than @window_ns are forgotten. */
void trend_add(struct trend *t, uint64_t ns, uint64_t bytes, uint64_t window_ns);

/* Whether the samples are of a second, or nearly. */
bool trend_known(const struct trend *t);
/* By how many bytes the number grows in a second, 0 if that is not known. */
double trend_rate(const struct trend *t);
/* Where the number goes: whether its peaks become lower (-1) or higher (1), or neither (0). It may
 * go up and down in between. Returns false if that cannot be told yet. */
bool trend_direction(const struct trend *t, int *direction);

#endif
