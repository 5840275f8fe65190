// SPDX-License-Identifier: GPL-2.0-or-later
/* Text from outside, made printable. */
#include <characters.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <wchar.h>

#include "printable.h"

void make_printable(char *text)
{
	const char *from = text, *end = text + strlen(text);

	while (from < end) {
		mbstate_t state = { 0 };
		wchar_t c;
		size_t n = mbrtowc(&c, from, end - from, &state);
		bool valid = n <= (size_t)(end - from);

		/* glibc's wchar_t is Unicode. */
		if (valid && is_printable(c)) {
			memmove(text, from, n);
			text += n;
		} else {
			*text++ = '?';
		}
		from += valid ? n : 1;
	}
	*text = '\0';
}

char *vformat_printable(const char *fmt, va_list ap)
{
	char *text = NULL;

	if (vasprintf(&text, fmt, ap) < 0)
		return NULL;
	make_printable(text);
	return text;
}

char *format_printable(const char *fmt, ...)
{
	va_list ap;
	char *text;

	va_start(ap, fmt);
	text = vformat_printable(fmt, ap);
	va_end(ap);
	return text;
}
