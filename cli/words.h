/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What somebody may have meant who typed another word. */
#ifndef WORDS_H
#define WORDS_H

#include <stdbool.h>
#include <stddef.h>

/* How many letters have to be inserted, left out, replaced or swapped to make @b of @a. Case does
 * not matter. */
size_t word_distance(const char *a, const char *b);
/* Whether a word of this length that is @distance away from another may be the same, misspelt. */
bool is_misspelling(size_t length, size_t distance);
/* The one of @n @words that @word is, misspelt or cut off, or NULL. */
const char *nearest_word(const char *word, const char *const words[], size_t n);

#endif
