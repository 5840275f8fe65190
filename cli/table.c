// SPDX-License-Identifier: GPL-2.0-or-later
/* Columns that line up. */
#include <err.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include <wchar.h>

#include "message.h"
#include "table.h"

#define LEAST 12 /* places of the last column, or it is left out */

void table_init(struct table *t, size_t columns)
{
	*t = (struct table){ .columns = columns };
}

void table_row(struct table *t, ...)
{
	va_list ap;

	if (t->cells + t->columns > t->size) {
		t->size = t->size * 2 + t->columns;
		t->cell = realloc(t->cell, t->size * sizeof(*t->cell));
	}
	if (!t->cell)
		errx(STATUS_FAILED, "out of memory");
	va_start(ap, t);
	for (size_t i = 0; i < t->columns; i++) {
		const char *text = va_arg(ap, const char *);

		t->cell[t->cells] = strdup(text ? text : "-");
		if (!t->cell[t->cells])
			errx(STATUS_FAILED, "out of memory");
		/* A process can be called anything. */
		make_printable(t->cell[t->cells++]);
	}
	va_end(ap);
}

/* The columns of the terminal, or none that matter: a pipe gets all. */
static size_t line_width(FILE *to)
{
	const char *columns = getenv("COLUMNS");
	struct winsize size;

	if (!isatty(fileno(to)))
		return SIZE_MAX;
	if (columns && atoi(columns) > 0)
		return atoi(columns);
	if (ioctl(fileno(to), TIOCGWINSZ, &size) == 0 && size.ws_col)
		return size.ws_col;
	return 80;
}

static bool wants_colour(FILE *to)
{
	const char *no = getenv("NO_COLOR"), *term = getenv("TERM");

	return isatty(fileno(to)) && !(no && *no) && term && strcmp(term, "dumb") != 0;
}

/* The places and the bytes of what fits of @text into @max places. */
static size_t measure(const char *text, size_t max, size_t *bytes)
{
	mbstate_t state = { 0 };
	size_t places = 0;

	*bytes = 0;
	while (text[*bytes]) {
		wchar_t c;
		size_t n = mbrtowc(&c, text + *bytes, MB_CUR_MAX, &state);
		bool valid = n <= MB_CUR_MAX;
		int w = valid ? wcwidth(c) : 1;

		if (w > 0 && places + w > max)
			break;
		places += w > 0 ? w : 0;
		*bytes += valid ? n : 1;
		if (!valid)
			state = (mbstate_t){ 0 };
	}
	return places;
}

static size_t places(const char *text)
{
	size_t bytes;

	return measure(text, SIZE_MAX, &bytes);
}

static size_t column_width(const struct table *t, size_t column)
{
	size_t width = 0;

	for (size_t i = column; i < t->cells; i += t->columns)
		if (places(t->cell[i]) > width)
			width = places(t->cell[i]);
	return width;
}

/*
 * How many columns the lines have room for, from the left: a column that would
 * be cut is left out, but for the last, of which a part is worth something.
 */
static size_t columns_that_fit(const struct table *t, const size_t *width, size_t line)
{
	size_t used = 0, n = 0;

	for (; n < t->columns; n++) {
		size_t gap = n ? 2 : 0;
		bool last = n == t->columns - 1;
		size_t least = last && width[n] > LEAST ? LEAST : width[n];

		if (n && used + gap + least > line)
			break;
		used += gap + width[n];
	}
	return n;
}

static void print_row(const struct table *t, size_t row, FILE *to, const size_t *width,
		      size_t columns, size_t left)
{
	size_t blanks = 0;

	for (size_t i = 0; i < columns && left > blanks; i++) {
		const char *text = t->cell[row + i];
		size_t bytes, done;

		/* Only before what follows: no blanks at the end of a line. */
		fprintf(to, "%*s", (int)blanks, "");
		left -= blanks;
		done = measure(text, left, &bytes);
		fwrite(text, 1, bytes, to);
		left -= done;
		blanks = width[i] - done + 2;
	}
}

void table_print(const struct table *t, FILE *to)
{
	size_t width[TABLE_COLUMNS_MAX] = { 0 }, line = line_width(to), columns;
	bool colour = wants_colour(to);

	for (size_t i = 0; i < t->columns; i++)
		width[i] = column_width(t, i);
	columns = columns_that_fit(t, width, line);
	for (size_t row = 0; row < t->cells; row += t->columns) {
		bool bold = colour && row == 0;

		fputs(bold ? "\033[1m" : "", to);
		print_row(t, row, to, width, columns, line);
		fputs(bold ? "\033[0m\n" : "\n", to);
	}
}

void table_free(struct table *t)
{
	for (size_t i = 0; i < t->cells; i++)
		free(t->cell[i]);
	free(t->cell);
	table_init(t, t->columns);
}
