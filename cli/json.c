// SPDX-License-Identifier: GPL-2.0-or-later
/* JSON in ASCII. */
#include <json-c/json.h>
#include <stdio.h>

#include "json.h"

/* In a JSON text, non-ASCII characters stand only in strings. */
void print_json(struct json_object *object, FILE *to)
{
	const char *p = json_object_to_json_string_ext(
		object,
		JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_SPACED | JSON_C_TO_STRING_NOSLASHESCAPE);

	while (*p) {
		unsigned char c = *p++;
		uint32_t code;
		int more;

		if (c < 0x7f) {
			putc(c, to);
			continue;
		}
		/* This is UTF-8: see json_string(), and json-c checks an
		 * image's. */
		more = c >= 0xf0 ? 3 : c >= 0xe0 ? 2 : c >= 0xc0 ? 1 : 0;
		code = more ? c & (0x3f >> more) : c;
		for (; more && *p; more--)
			code = code << 6 | (*p++ & 0x3f);
		if (code >= 0x10000)
			fprintf(to, "\\u%04x\\u%04x", 0xd7c0 + (code >> 10),
				0xdc00 + (code & 0x3ff));
		else
			fprintf(to, "\\u%04x", code);
	}
	putc('\n', to);
}
