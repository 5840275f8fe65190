// SPDX-License-Identifier: GPL-2.0-or-later
/* Text that is broken into lines between its words. */
#include <stdint.h>
#include <string.h>

#include "stream.h"
#include "wrap.h"

/* How many bytes of @text go into a line of @room bytes: whole words, but one at least. */
static size_t words_that_fit(const char *text, size_t room)
{
	size_t fit = 0, end = strcspn(text, " ");

	do {
		fit = end;
		end += strspn(text + end, " ");
		end += strcspn(text + end, " ");
	} while (fit < end && end <= room);
	return fit;
}

/* @done: how many places of the first line have been printed already */
static void print_rest(const char *before, size_t done, const char *label, const char *text,
		       size_t width)
{
	size_t indent = strlen(before) + done + strlen(label);
	const char *first = label;

	do {
		size_t fit = strlen(text);

		if (width < SIZE_MAX && indent + fit > width)
			fit = words_that_fit(text, width > indent ? width - indent : 1);
		print_line("%s%*s%-*s%.*s", before, first == label ? 0 : (int)done, "",
			   (int)strlen(label), first, (int)fit, text);
		text += fit;
		text += strspn(text, " ");
		first = "";
	} while (*text);
}

void print_wrapped(const char *before, const char *label, const char *text, size_t width)
{
	print_rest(before, 0, label, text, width);
}

void print_wrapped_after(size_t done, const char *label, const char *text, size_t width)
{
	print_rest("", done, label, text, width);
}
