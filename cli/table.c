// SPDX-License-Identifier: GPL-2.0-or-later
/* A table of text. */
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <wchar.h>

#include "printable.h"
#include "table.h"
#include "terminal.h"

#define LEAST 12 /* the last column is left out if it has room for fewer places */

void table_init(struct table *t, size_t columns)
{
	*t = (struct table){ .columns = columns };
}

static bool make_room(struct table *t)
{
	size_t size = t->size * 2 + t->columns;
	char **cell;

	if (t->cells + t->columns <= t->size)
		return true;
	cell = reallocarray(t->cell, size, sizeof(*cell));
	if (!cell)
		return false;
	t->cell = cell;
	t->size = size;
	return true;
}

void table_row(struct table *t, ...)
{
	va_list ap;

	t->out_of_memory |= !make_room(t);
	va_start(ap, t);
	for (size_t i = 0; i < t->columns && !t->out_of_memory; i++) {
		const char *text = va_arg(ap, const char *);
		char *cell = strdup(text ? text : "-");

		if (cell) {
			/* A process can have any name. */
			make_printable(cell);
			t->cell[t->cells++] = cell;
		} else {
			t->out_of_memory = true;
		}
	}
	va_end(ap);
}

/* How many places the part of @text takes that fits into @max places, and how many bytes. */
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
 * How many columns fit into a line, from the left. A column that does not fit is left out, except
 * the last one, which can be cut.
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

static void print_row(const struct table *t, size_t row, const size_t *width, size_t columns,
		      size_t left)
{
	size_t blanks = 0;

	for (size_t i = 0; i < columns && left > blanks; i++) {
		const char *text = t->cell[row + i];
		size_t bytes, done;

		/* Pad the cell before this one only now: a line has no blanks at its end. */
		printf("%*s", (int)blanks, "");
		left -= blanks;
		done = measure(text, left, &bytes);
		fwrite(text, 1, bytes, stdout);
		left -= done;
		blanks = width[i] - done + 2;
	}
}

void table_print(const struct table *t)
{
	size_t width[TABLE_COLUMNS_MAX] = { 0 }, line = line_width(), columns;
	bool colour = wants_colour();

	for (size_t i = 0; i < t->columns; i++)
		width[i] = column_width(t, i);
	columns = columns_that_fit(t, width, line);
	for (size_t row = 0; row < t->cells; row += t->columns) {
		bool bold = colour && row == 0;

		fputs(bold ? "\033[1m" : "", stdout);
		print_row(t, row, width, columns, line);
		fputs(bold ? "\033[0m\n" : "\n", stdout);
	}
}

void table_free(struct table *t)
{
	for (size_t i = 0; i < t->cells; i++)
		free(t->cell[i]);
	free(t->cell);
	table_init(t, t->columns);
}
