// SPDX-License-Identifier: GPL-2.0-or-later
/* What the user is told: one line, on stderr. */
#include <ctype.h>
#include <stdarg.h>
#include <stdlib.h>

#include "cli.h"

/* In one write, and with nothing in it that a terminal would obey. */
static void print_line(const struct cli *cli, const char *fmt, va_list ap)
{
	char *text = NULL;
	int n = vasprintf(&text, fmt, ap);

	for (int i = 0; i < n; i++)
		if (iscntrl((unsigned char)text[i]))
			text[i] = '?';
	fprintf(stderr, "vfiomig: %s%s%s: %s\n",
		cli->command ? cli->command : "", cli->device ? " " : "",
		cli->device ? cli->device : "", n < 0 ? "out of memory" : text);
	free(text);
}

int fail(const struct cli *cli, enum status status, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	print_line(cli, fmt, ap);
	va_end(ap);
	return status;
}

void notice(const struct cli *cli, const char *fmt, ...)
{
	va_list ap;

	if (cli->quiet)
		return;
	va_start(ap, fmt);
	print_line(cli, fmt, ap);
	va_end(ap);
}
