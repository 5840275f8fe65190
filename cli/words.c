// SPDX-License-Identifier: GPL-2.0-or-later
/* What somebody may have meant who typed another word. */
#include <ctype.h>
#include <string.h>

#include "words.h"

/* No command, option or state is longer. */
#define LONGEST 32

static int same(char a, char b)
{
	return tolower((unsigned char)a) == tolower((unsigned char)b);
}

static size_t least(size_t a, size_t b)
{
	return a < b ? a : b;
}

size_t word_distance(const char *a, const char *b)
{
	size_t m = strlen(a), n = strlen(b);
	/* row[i][j]: how far the first i letters of a are from the first j of b */
	size_t row[LONGEST + 1][LONGEST + 1];

	if (m > LONGEST || n > LONGEST)
		return LONGEST;
	for (size_t i = 0; i <= m; i++) {
		for (size_t j = 0; j <= n; j++) {
			if (!i || !j) {
				row[i][j] = i + j;
				continue;
			}
			row[i][j] = least(least(row[i - 1][j], row[i][j - 1]) + 1,
					  row[i - 1][j - 1] + !same(a[i - 1], b[j - 1]));
			if (i > 1 && j > 1 && same(a[i - 1], b[j - 2]) && same(a[i - 2], b[j - 1]))
				row[i][j] = least(row[i][j], row[i - 2][j - 2] + 1);
		}
	}
	return row[m][n];
}

bool is_misspelling(size_t length, size_t distance)
{
	return distance <= length / 3;
}

const char *nearest_word(const char *word, const char *const words[], size_t n)
{
	size_t length = strlen(word), best = LONGEST;
	const char *found = NULL;

	for (size_t i = 0; i < n; i++) {
		size_t distance = word_distance(word, words[i]);

		/* The beginning of a word is not misspelt. */
		if (length > 1 && strncasecmp(word, words[i], length) == 0)
			distance = 0;
		if (distance < best && is_misspelling(length, distance)) {
			best = distance;
			found = words[i];
		}
	}
	return found;
}
