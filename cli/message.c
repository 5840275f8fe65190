// SPDX-License-Identifier: GPL-2.0-or-later
/* What the user is told: one line, on stderr. */
#include <stdarg.h>
#include <stdlib.h>

#include "cli.h"

void make_printable(char *text)
{
	for (unsigned char *p = (unsigned char *)text; *p; p++) {
		/* Beyond ASCII, U+0080 to U+009F in UTF-8 are as bad. */
		if (*p < ' ' || *p == 0x7f)
			*p = '?';
		else if (p[0] == 0xc2 && p[1] >= 0x80 && p[1] < 0xa0)
			p[0] = p[1] = '?';
	}
}

__attribute__((format(printf, 2, 0))) static void
print_line(const struct cli *cli, const char *fmt, va_list ap)
{
	char *text = NULL, *line = NULL;

	if (vasprintf(&text, fmt, ap) < 0)
		text = NULL;
	if (asprintf(&line, "%s%s%.200s: %s", cli->command ? cli->command : "",
		     cli->device ? " " : "", cli->device ? cli->device : "",
		     text ? text : "out of memory") >= 0) {
		make_printable(line);
		fprintf(stderr, "vfiomig: %s\n", line);
	}
	free(line);
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
