/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What is UTF-8 and what is not: json-c takes overlong forms for characters. */
#ifndef VFIOMIG_UTF8_H
#define VFIOMIG_UTF8_H

#include <stdbool.h>
#include <stddef.h>

/* The length of the character that @text begins with, or 0 if it is none. What
 * is overlong, a surrogate or beyond Unicode is none. */
static inline size_t utf8_length(const char *text)
{
	const unsigned char *p = (const unsigned char *)text;
	size_t n = *p < 0x80   ? 1
		   : *p < 0xc2 ? 0
		   : *p < 0xe0 ? 2
		   : *p < 0xf0 ? 3
		   : *p < 0xf5 ? 4
			       : 0;

	for (size_t i = 1; i < n; i++)
		if ((p[i] & 0xc0) != 0x80)
			return 0;
	if ((*p == 0xe0 && p[1] < 0xa0) || (*p == 0xed && p[1] >= 0xa0) ||
	    (*p == 0xf0 && p[1] < 0x90) || (*p == 0xf4 && p[1] >= 0x90))
		return 0;
	return n;
}

/* Up to three bytes after @size are looked at. */
static inline bool utf8_is_valid(const char *text, size_t size)
{
	size_t n, at = 0;

	for (; at < size; at += n) {
		n = utf8_length(text + at);
		if (!n)
			return false;
	}
	return at == size;
}

#endif
