// SPDX-License-Identifier: LGPL-2.1-or-later
/* JSON texts, read where they lie and written into a buffer. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistr.h>

#include "json.h"

/* Programs that read the same texts by json-c, such as vfiomig itself, take 31. */
#define DEPTH_MAX   30
#define REPLACEMENT 0xfffd

/* ---- Whether a text is JSON ---------------------------------------------- */

/* Each of these takes one thing of the grammar at @p and returns what follows it, or NULL if @p is
 * NULL or has no such thing. The text ends with a zero byte, or at @end. */
struct scan {
	const char *end;
	int depth;
};

static char at(const struct scan *s, const char *p)
{
	return p < s->end ? *p : '\0';
}

static const char *skip_space(const struct scan *s, const char *p)
{
	while (p && at(s, p) && strchr(" \t\n\r", at(s, p)))
		p++;
	return p;
}

/* One of the characters in @set. */
static const char *take(const struct scan *s, const char *p, const char *set)
{
	return p && at(s, p) && strchr(set, at(s, p)) ? p + 1 : NULL;
}

static const char *take_word(const struct scan *s, const char *p, const char *word)
{
	for (; p && *word; word++)
		p = at(s, p) == *word ? p + 1 : NULL;
	return p;
}

static const char *take_digits(const struct scan *s, const char *p)
{
	p = take(s, p, "0123456789");
	while (p && at(s, p) >= '0' && at(s, p) <= '9')
		p++;
	return p;
}

static const char *take_number(const struct scan *s, const char *p)
{
	if (at(s, p) == '-')
		p++;
	p = at(s, p) == '0' ? p + 1 : take_digits(s, p);
	if (p && at(s, p) == '.')
		p = take_digits(s, p + 1);
	if (p && (at(s, p) == 'e' || at(s, p) == 'E')) {
		p++;
		if (at(s, p) == '+' || at(s, p) == '-')
			p++;
		p = take_digits(s, p);
	}
	return p;
}

static const char *take_string(const struct scan *s, const char *p)
{
	p = take(s, p, "\"");
	while (p && at(s, p) != '"') {
		/* Control characters have to be escaped; a zero byte is the end. */
		if ((unsigned char)at(s, p) < ' ')
			return NULL;
		if (at(s, p++) != '\\')
			continue;
		if (at(s, p) != 'u') {
			p = take(s, p, "\"\\/bfnrt");
			continue;
		}
		p++;
		for (int i = 0; i < 4; i++)
			p = take(s, p, "0123456789abcdefABCDEF");
	}
	return p ? p + 1 : NULL;
}

static const char *take_value(struct scan *s, const char *p);

/* Elements, or members with their keys, up to the closing bracket. */
static const char *take_list(struct scan *s, const char *p, const char *close)
{
	if (++s->depth > DEPTH_MAX)
		return NULL;
	p = skip_space(s, p + 1);
	if (take(s, p, close)) {
		s->depth--;
		return p + 1;
	}
	do {
		p = skip_space(s, p);
		if (*close == '}')
			p = take(s, skip_space(s, take_string(s, p)), ":");
		p = skip_space(s, take_value(s, skip_space(s, p)));
		if (p && at(s, p) == *close) {
			s->depth--;
			return p + 1;
		}
		p = take(s, p, ",");
	} while (p);
	return NULL;
}

static const char *take_value(struct scan *s, const char *p)
{
	switch (p ? at(s, p) : '\0') {
	case '{':
		return take_list(s, p, "}");
	case '[':
		return take_list(s, p, "]");
	case '"':
		return take_string(s, p);
	case 't':
		return take_word(s, p, "true");
	case 'f':
		return take_word(s, p, "false");
	case 'n':
		return take_word(s, p, "null");
	case '\0':
		return NULL;
	default:
		return take_number(s, p);
	}
}

bool json_is_object(const char *text, size_t size)
{
	struct scan s = { .end = text + size };
	const char *p = skip_space(&s, text);

	if (u8_check((const uint8_t *)text, size) || at(&s, p) != '{')
		return false;
	return skip_space(&s, take_value(&s, p)) == s.end;
}

/* ---- Values -------------------------------------------------------------- */

/* A text that was checked ends with a zero byte, somewhere. */
#define CHECKED ((struct scan){ .end = (const char *)UINTPTR_MAX })

static ucs4_t hex4(const char *p)
{
	char digits[5] = "";

	memcpy(digits, p, 4);
	return strtoul(digits, NULL, 16);
}

/* The character of the escape sequence whose 'u' is at @p, which is left behind it. */
static ucs4_t take_unicode(const char **p)
{
	ucs4_t high = hex4(*p + 1), low;

	*p += 5;
	if (!high)
		return REPLACEMENT;
	if (high < 0xd800 || high > 0xdfff)
		return high;
	if (high > 0xdbff || (*p)[0] != '\\' || (*p)[1] != 'u')
		return REPLACEMENT;
	low = hex4(*p + 2);
	if (low < 0xdc00 || low > 0xdfff)
		return REPLACEMENT;
	*p += 6;
	return 0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00);
}

/* The bytes of the next character of a string, whose number is returned; 0 at its end. */
static int next_character(const char **p, uint8_t bytes[6])
{
	static const char names[] = "bfnrt", controls[] = "\b\f\n\r\t";
	const char *name;

	if (**p == '"')
		return 0;
	if (**p != '\\') {
		bytes[0] = *(*p)++;
		return 1;
	}
	++*p;
	if (**p == 'u')
		return u8_uctomb(bytes, take_unicode(p), 6);
	name = strchr(names, **p);
	bytes[0] = name ? controls[name - names] : **p;
	++*p;
	return 1;
}

/* Whether the string at @p, with its quotation marks, is @text. */
static bool is_string(const char *p, const char *text)
{
	uint8_t bytes[6];
	int n;

	for (p++; (n = next_character(&p, bytes)) > 0; text += n)
		if (strncmp(text, (const char *)bytes, n) != 0)
			return false;
	return !*text;
}

const char *json_find(const char *object, const char *key)
{
	struct scan s = CHECKED;
	const char *p = skip_space(&s, object), *found = NULL;

	if (!p || *p != '{')
		return NULL;
	p = skip_space(&s, p + 1);
	while (*p == '"') {
		bool here = is_string(p, key);

		/* Behind the colon */
		p = skip_space(&s, skip_space(&s, take_string(&s, p)) + 1);
		if (here)
			found = p;
		p = skip_space(&s, take_value(&s, p));
		if (*p == ',')
			p = skip_space(&s, p + 1);
	}
	return found;
}

size_t json_length(const char *value)
{
	struct scan s = CHECKED;

	return take_value(&s, value) - value;
}

const char *json_next(const char *array, const char *element)
{
	struct scan s = CHECKED;
	const char *p;

	if (!array || *array != '[')
		return NULL;
	p = skip_space(&s, element ? element + json_length(element) : array + 1);
	if (element && *p == ',')
		p = skip_space(&s, p + 1);
	return *p == ']' ? NULL : p;
}

ssize_t json_get_string(const char *value, char *to, size_t size)
{
	uint8_t bytes[6];
	size_t length = 0;
	int n;

	if (!value || *value != '"')
		return -1;
	for (value++; (n = next_character(&value, bytes)) > 0; length += n)
		for (int i = 0; i < n; i++)
			if (length + i + 1 < size)
				to[length + i] = bytes[i];
	to[length < size ? length : size - 1] = '\0';
	return length;
}

bool json_get_number(const char *value, uint64_t *number)
{
	char *end;

	if (!value || *value < '0' || *value > '9')
		return false;
	errno = 0;
	*number = strtoull(value, &end, 10);
	return !errno && *end != '.' && *end != 'e' && *end != 'E';
}

/* ---- Writing ------------------------------------------------------------- */

static void put(struct json_writer *w, const char *bytes, size_t size)
{
	if (size > w->room - w->size)
		w->full = true;
	if (w->full)
		return;
	memcpy(w->text + w->size, bytes, size);
	w->size += size;
}

static void put_escaped(struct json_writer *w, const char *text)
{
	static const char names[] = "bfnrt\"\\", characters[] = "\b\f\n\r\t\"\\";

	while (*text) {
		int n = u8_strmblen((const uint8_t *)text);
		const char *name = strchr(characters, *text);
		char escape[8];

		if (n < 0) {
			put(w, "\357\277\275", 3);
			n = 1;
		} else if (name) {
			put(w, (char[]){ '\\', names[name - characters] }, 2);
		} else if ((unsigned char)*text < ' ') {
			snprintf(escape, sizeof(escape), "\\u%04x", *text);
			put(w, escape, 6);
		} else {
			put(w, text, n);
		}
		text += n;
	}
}

static void put_key(struct json_writer *w, const char *key)
{
	if (w->comma)
		put(w, ",", 1);
	w->comma = true;
	if (!key)
		return;
	put(w, "\"", 1);
	put_escaped(w, key);
	put(w, "\":", 2);
}

void json_open(struct json_writer *w, const char *key, char bracket)
{
	put_key(w, key);
	put(w, &bracket, 1);
	w->comma = false;
}

void json_close(struct json_writer *w, char bracket)
{
	put(w, &bracket, 1);
	w->comma = true;
}

void json_put_string(struct json_writer *w, const char *key, const char *value)
{
	if (!value)
		return;
	put_key(w, key);
	put(w, "\"", 1);
	put_escaped(w, value);
	put(w, "\"", 1);
}

void json_put_number(struct json_writer *w, const char *key, uint64_t value)
{
	char text[24];
	int size = snprintf(text, sizeof(text), "%" PRIu64, value);

	put_key(w, key);
	put(w, text, size);
}

void json_put_bool(struct json_writer *w, const char *key, bool value)
{
	put_key(w, key);
	put(w, value ? "true" : "false", value ? 4 : 5);
}
