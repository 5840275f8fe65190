// SPDX-License-Identifier: GPL-2.0-or-later
/* Columns that line up. */
#include <err.h>
#include <stdarg.h>
#include <stdlib.h>

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

void table_print(struct table *t, FILE *to)
{
	for (size_t i = 0; i < t->cells; i++) {
		size_t column = i % t->columns, width = 0;

		for (size_t j = column; j < t->cells; j += t->columns)
			if (strlen(t->cell[j]) > width)
				width = strlen(t->cell[j]);
		/* No blanks at the end of a line. */
		if (column == t->columns - 1)
			fprintf(to, "%s\n", t->cell[i]);
		else
			fprintf(to, "%-*s  ", (int)width, t->cell[i]);
	}
	for (size_t i = 0; i < t->cells; i++)
		free(t->cell[i]);
	free(t->cell);
	table_init(t, t->columns);
}
