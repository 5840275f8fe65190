/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A table of text: the columns line up, and on a terminal the lines fit. */
#ifndef TABLE_H
#define TABLE_H

#include <stdbool.h>
#include <stddef.h>

#define TABLE_COLUMNS_MAX 8

struct table {
	size_t columns, cells, size;
	char **cell;
	bool out_of_memory; /* a row is missing */
};

void table_init(struct table *t, size_t columns);
/* Add a row: one string for each column, NULL for an empty cell. */
void table_row(struct table *t, ...);
/* To standard output */
void table_print(const struct table *t);
void table_free(struct table *t);

#endif
