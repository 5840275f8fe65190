// SPDX-License-Identifier: GPL-2.0-or-later
/* How fast a state moves, and whether what is left of it becomes less. */
#include <string.h>

#include "trend.h"

#define KNOWN_NS 900000000ULL
#define SURE_NS	 3900000000ULL /* for the direction */

static void forget(struct trend *t, size_t n)
{
	t->count -= n;
	memmove(t->list, t->list + n, t->count * sizeof(t->list[0]));
}

void trend_add(struct trend *t, uint64_t ns, uint64_t bytes, uint64_t window_ns)
{
	size_t old = 0;

	if (!t->count || t->list[t->count - 1].bytes != bytes)
		t->changed_ns = ns;
	/* Fewer samples than the list has room for are enough for the window. */
	if (t->count > 1 && ns - t->list[t->count - 2].ns < window_ns / (TREND_SAMPLES - 4))
		t->count--;
	while (old + 1 < t->count && t->list[old].ns + window_ns < ns)
		old++;
	if (!old && t->count == TREND_SAMPLES)
		old = 1;
	forget(t, old);
	t->list[t->count++] = (struct sample){ ns, bytes };
}

static uint64_t duration(const struct trend *t)
{
	return t->count ? t->list[t->count - 1].ns - t->list[0].ns : 0;
}

bool trend_known(const struct trend *t)
{
	return duration(t) >= KNOWN_NS;
}

double trend_rate(const struct trend *t)
{
	if (!trend_known(t))
		return 0;
	return ((double)t->list[t->count - 1].bytes - (double)t->list[0].bytes) * 1e9 / duration(t);
}

static uint64_t peak(const struct sample *list, size_t count)
{
	uint64_t most = 0;

	for (size_t i = 0; i < count; i++)
		if (list[i].bytes > most)
			most = list[i].bytes;
	return most;
}

bool trend_direction(const struct trend *t, int *direction)
{
	size_t half = t->count / 2;
	double before = peak(t->list, half), after = peak(t->list + half, t->count - half);

	*direction = after < before * 0.9 ? -1 : after > before * 1.1 ? 1 : 0;
	return duration(t) >= SURE_NS;
}
