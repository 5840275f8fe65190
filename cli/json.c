// SPDX-License-Identifier: GPL-2.0-or-later
/* JSON output. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistr.h>

#include "json.h"
#include "message.h"

/* An allocation has failed, so that something is missing in an object. */
static bool out_of_memory;

static struct json_object *checked(struct json_object *value)
{
	if (!value)
		out_of_memory = true;
	return value;
}

struct json_object *new_object(void)
{
	return checked(json_object_new_object());
}

struct json_object *new_array(void)
{
	return checked(json_object_new_array());
}

void add_value(struct json_object *object, const char *key, struct json_object *value)
{
	if (object && json_object_object_add(object, key, value) == 0)
		return;
	out_of_memory = true;
	json_object_put(value);
}

void append_value(struct json_object *array, struct json_object *value)
{
	if (array && json_object_array_add(array, value) == 0)
		return;
	out_of_memory = true;
	json_object_put(value);
}

void add_bool(struct json_object *object, const char *key, bool value)
{
	add_value(object, key, checked(json_object_new_boolean(value)));
}

void add_int(struct json_object *object, const char *key, int value)
{
	add_value(object, key, checked(json_object_new_int(value)));
}

void add_uint(struct json_object *object, const char *key, uint64_t value)
{
	add_value(object, key, checked(json_object_new_uint64(value)));
}

void add_seconds(struct json_object *object, const char *key, uint64_t ns)
{
	char text[32];

	/* All the digits that the number has, and no more. */
	snprintf(text, sizeof(text), "%.9f", ns / 1e9);
	add_value(object, key, checked(json_object_new_double_s(strtod(text, NULL), text)));
}

/* @text with U+FFFD for each byte that is not UTF-8, as json-c needs it; a new string, or NULL. */
static char *make_utf8(const char *text)
{
	char *copy = malloc(3 * strlen(text) + 1), *end = copy;
	int n;

	for (; copy && *text; text += n > 0 ? n : 1) {
		n = u8_strmblen((const uint8_t *)text);
		end = n > 0 ? mempcpy(end, text, n) : stpcpy(end, "\357\277\275");
	}
	if (copy)
		*end = '\0';
	return copy;
}

static struct json_object *new_string(const char *value)
{
	char *text = make_utf8(value);
	struct json_object *object = checked(text ? json_object_new_string(text) : NULL);

	free(text);
	return object;
}

void add_string(struct json_object *object, const char *key, const char *value)
{
	add_value(object, key, value ? new_string(value) : NULL);
}

void append_string(struct json_object *array, const char *value)
{
	append_value(array, new_string(value));
}

void add_state(struct json_object *object, const char *key, int state)
{
	add_string(object, key, state < 0 ? NULL : vfiomig_state_name(state));
}

/* ---- Writing --------------------------------------------------------------------------------- */

/* The code point that *@text begins with, which is then behind it. Strings are UTF-8: new_string()
 * has made them so, and those of an image were checked. */
static uint32_t next_character(const char **text)
{
	const unsigned char *p = (const unsigned char *)*text;
	int more = *p >= 0xf0 ? 3 : *p >= 0xe0 ? 2 : *p >= 0xc0 ? 1 : 0;
	uint32_t code = more ? *p & (0x3f >> more) : *p;

	for (p++; more && *p; more--)
		code = code << 6 | (*p++ & 0x3f);
	*text = (const char *)p;
	return code;
}

static void write_character(uint32_t code, FILE *to)
{
	if (code >= 0x10000)
		fprintf(to, "\\u%04x\\u%04x", 0xd7c0 + (code >> 10), 0xdc00 + (code & 0x3ff));
	else if (code < ' ' || code > '~')
		fprintf(to, "\\u%04x", code);
	else
		putc(code, to);
}

static void write_string(const char *text, size_t length, FILE *to)
{
	const char *end = text + length;

	putc('"', to);
	while (text < end) {
		if (*text == '"' || *text == '\\')
			putc('\\', to);
		write_character(next_character(&text), to);
	}
	putc('"', to);
}

static void write_double(struct json_object *number, FILE *to)
{
	/* json-c keeps the text that the number was made from. */
	const char *text = json_object_get_userdata(number);

	/* JSON has no NaN and no infinity. */
	fputs(text ? text : "null", to);
}

static void write_int(struct json_object *number, FILE *to)
{
	if (json_object_get_int64(number) < 0)
		fprintf(to, "%lld", (long long)json_object_get_int64(number));
	else
		fprintf(to, "%llu", (unsigned long long)json_object_get_uint64(number));
}

/* The object is written in one line. */
static bool in_one_line;

static void start_line(int level, FILE *to)
{
	if (!in_one_line)
		fprintf(to, "\n%*s", 2 * level, "");
}

static void write_value(struct json_object *value, int level, FILE *to);

static void write_object(struct json_object *object, int level, FILE *to)
{
	const char *comma = "";

	putc('{', to);
	json_object_object_foreach(object, key, value)
	{
		fputs(comma, to);
		start_line(level + 1, to);
		write_string(key, strlen(key), to);
		fputs(": ", to);
		write_value(value, level + 1, to);
		comma = in_one_line ? ", " : ",";
	}
	if (*comma)
		start_line(level, to);
	putc('}', to);
}

static void write_array(struct json_object *array, int level, FILE *to)
{
	size_t length = json_object_array_length(array);

	putc('[', to);
	for (size_t i = 0; i < length; i++) {
		if (i)
			putc(',', to);
		start_line(level + 1, to);
		write_value(json_object_array_get_idx(array, i), level + 1, to);
	}
	if (length)
		start_line(level, to);
	putc(']', to);
}

/* json-c can write this too, but leaves parts of the text out when it has no memory. */
static void write_value(struct json_object *value, int level, FILE *to)
{
	switch (json_object_get_type(value)) {
	case json_type_object:
		return write_object(value, level, to);
	case json_type_array:
		return write_array(value, level, to);
	case json_type_string:
		return write_string(json_object_get_string(value),
				    json_object_get_string_len(value), to);
	case json_type_double:
		return write_double(value, to);
	case json_type_int:
		return write_int(value, to);
	case json_type_boolean:
		fputs(json_object_get_boolean(value) ? "true" : "false", to);
		return;
	case json_type_null:
		fputs("null", to);
		return;
	}
}

/* Copy the string that begins at @text. Returns what follows it. */
static const char *copy_string(const char *text, FILE *to)
{
	putc(*text++, to);
	while (*text && *text != '"') {
		if (*text == '\\')
			putc(*text++, to);
		write_character(next_character(&text), to);
	}
	putc('"', to);
	return *text ? text + 1 : text;
}

void copy_json(const char *text, int level, FILE *to)
{
	static const char blanks[] = " \t\r\n";

	while (*(text += strspn(text, blanks))) {
		switch (*text) {
		case '"':
			text = copy_string(text, to);
			continue;
		case '{':
		case '[':
			putc(*text++, to);
			text += strspn(text, blanks);
			if (*text != '}' && *text != ']')
				start_line(++level, to);
			else
				putc(*text++, to);
			continue;
		case '}':
		case ']':
			start_line(--level, to);
			break;
		}
		putc(*text, to);
		if (*text == ',')
			start_line(level, to);
		else if (*text == ':')
			putc(' ', to);
		text++;
	}
}

void print_escaped(const char *text)
{
	for (; *text; text++) {
		unsigned char c = *text;

		if (c < ' ' || c > '~' || c == '\\')
			printf("\\x%02x", c);
		else
			putchar(c);
	}
}

struct json_object *parse_header(const char *text)
{
	char *copy = strdup(text);
	struct json_object *object;

	for (char *p = copy; p && *p; p++) {
		if (*p != '\\')
			continue;
		if (strncmp(++p, "u0000", 5) == 0)
			memcpy(p, "ufffd", 5);
	}
	object = copy ? json_tokener_parse(copy) : NULL;
	free(copy);
	return object;
}

int print_json(const struct cli *cli, struct json_object *object, FILE *to)
{
	if (object && !out_of_memory) {
		write_value(object, 0, to);
		putc('\n', to);
	}
	json_object_put(object);
	/* streams_finish() has the message about standard output. */
	if (!out_of_memory)
		return fflush(to) || ferror(to) ? STATUS_FAILED : STATUS_OK;
	return fail(cli, STATUS_FAILED, "cannot print the JSON object: out of memory");
}

int print_json_line(const struct cli *cli, struct json_object *object, FILE *to)
{
	int status;

	in_one_line = true;
	status = print_json(cli, object, to);
	in_one_line = false;
	return status;
}
