// SPDX-License-Identifier: GPL-2.0-or-later
/* Text from outside, made printable. */
#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#include <wchar.h>
#include <wctype.h>

#include "printable.h"

/* Invisible characters that iswprint(3) takes for printable ones. glibc's wchar_t is Unicode. */
static const struct {
	wchar_t first, last;
} invisible[] = {
	{ 0xad, 0xad },	       /* soft hyphen */
	{ 0x61c, 0x61c },      /* Arabic letter mark */
	{ 0x180b, 0x180f },    /* Mongolian selectors */
	{ 0x200b, 0x200f },    /* zero width, and marks of direction */
	{ 0x2028, 0x202e },    /* separators of lines; embedding and override of directions */
	{ 0x2060, 0x206f },    /* joiners, isolates of directions, deprecated ones */
	{ 0xe000, 0xf8ff },    /* private use */
	{ 0xfeff, 0xfeff },    /* byte order mark */
	{ 0xfff9, 0xfffb },    /* annotations */
	{ 0x1d173, 0x1d17a },  /* musical formatting */
	{ 0xe0000, 0x10ffff }, /* tags, selectors, private use */
};

static bool is_printable(wchar_t c)
{
	for (size_t i = 0; i < sizeof(invisible) / sizeof(invisible[0]); i++)
		if (c >= invisible[i].first && c <= invisible[i].last)
			return false;
	return iswprint(c);
}

void make_printable(char *text)
{
	const char *from = text, *end = text + strlen(text);

	while (from < end) {
		mbstate_t state = { 0 };
		wchar_t c;
		size_t n = mbrtowc(&c, from, end - from, &state);
		bool valid = n <= (size_t)(end - from);

		if (valid && is_printable(c))
			memmove(text, from, n);
		else
			*text = '?';
		text += valid && is_printable(c) ? n : 1;
		from += valid ? n : 1;
	}
	*text = '\0';
}
