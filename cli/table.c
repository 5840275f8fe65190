// SPDX-License-Identifier: GPL-2.0-or-later
/* Columns that line up. */
#include <err.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include <wchar.h>

#include "cli.h"

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

	return isatty(fileno(to)) && !(no && *no) && term &&
	       strcmp(term, "dumb") != 0;
}

/*
 * Print @text in @width places, and as many of them as there are @left; the
 * length of the line after that.
 */
static size_t print_cell(FILE *to, const char *text, size_t width, size_t left)
{
	mbstate_t state = { 0 };
	size_t places = 0, bytes = 0;
	size_t max = width < left ? width : left;

	while (text[bytes]) {
		wchar_t c;
		size_t n = mbrtowc(&c, text + bytes, MB_CUR_MAX, &state);
		int w = n > MB_CUR_MAX ? 1 : wcwidth(c);

		if (n > MB_CUR_MAX)
			n = 1;
		if (places + (w > 0 ? w : 0) > max)
			break;
		places += w > 0 ? w : 0;
		bytes += n;
	}
	fwrite(text, 1, bytes, to);
	return places;
}

static size_t places(const char *text)
{
	size_t n = mbstowcs(NULL, text, 0);

	return n == (size_t)-1 ? strlen(text) : n;
}

static size_t column_width(const struct table *t, size_t column)
{
	size_t width = 0;

	for (size_t i = column; i < t->cells; i += t->columns)
		if (places(t->cell[i]) > width)
			width = places(t->cell[i]);
	return width;
}

static void print_row(const struct table *t, size_t row, FILE *to,
		      const size_t *width)
{
	size_t left = line_width(to), blanks = 0;

	for (size_t i = 0; i < t->columns && left > blanks; i++) {
		size_t done;

		/* Only before what follows: no blanks at the end of a line. */
		fprintf(to, "%*s", (int)blanks, "");
		left -= blanks;
		done = print_cell(to, t->cell[row + i], width[i], left);
		left -= done;
		blanks = width[i] - done + 2;
	}
}

void table_print(struct table *t, FILE *to)
{
	bool colour = wants_colour(to);
	size_t width[TABLE_COLUMNS_MAX];

	for (size_t i = 0; i < t->columns; i++)
		width[i] = column_width(t, i);
	for (size_t row = 0; row < t->cells; row += t->columns) {
		bool bold = colour && row == 0;

		fputs(bold ? "\033[1m" : "", to);
		print_row(t, row, to, width);
		fputs(bold ? "\033[0m\n" : "\n", to);
	}
	for (size_t i = 0; i < t->cells; i++)
		free(t->cell[i]);
	free(t->cell);
	table_init(t, t->columns);
}
