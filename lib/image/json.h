/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * JSON texts (RFC 8259) as an image has them: small, and possibly from strangers.
 *
 * Nothing here allocates memory, so nothing here fails for the lack of it. json-c cannot be used in
 * a library that must not crash: without memory, the parser of its version 0.16 (Debian 12) follows
 * a null pointer or loses members, and its printer leaves out what it has no room for, all without
 * a word.
 */
#ifndef VFIOMIG_JSON_H
#define VFIOMIG_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* Whether @text is an object, in UTF-8, and nothing follows it. */
bool json_is_object(const char *text, size_t size);

/*
 * The functions below take an object that json_is_object() has accepted, ended by a zero byte, or a
 * value inside of it.
 */
/* The value of the member @key, the last one if there are several; NULL if there is none. */
const char *json_find(const char *object, const char *key);
/* The element of an array after @element, the first one if that is NULL. NULL if there is none, or
 * if @array is NULL or no array. */
const char *json_next(const char *array, const char *element);
/* How many bytes of text a value has. */
size_t json_length(const char *value);
/*
 * Copy a string to @to, ended by a zero byte, and cut it short if it is longer than that. Returns
 * its whole length, or -1 if @value is NULL or no string. A \u0000 and half of a surrogate pair
 * become U+FFFD.
 */
ssize_t json_get_string(const char *value, char *to, size_t size);
/* Whether @value is an integer from 0 to UINT64_MAX. */
bool json_get_number(const char *value, uint64_t *number);

/* An object that is being written. Nothing is written beyond @room: then @full is set. */
struct json_writer {
	char *text; /* not ended by a zero byte */
	size_t size, room;
	bool full;
	bool comma; /* a value was written at this depth */
};

/* These write the member @key of the object that is open. Without a key, NULL, they write the
 * outermost object, or an element of an array. */
void json_open(struct json_writer *w, const char *key, char bracket);
void json_close(struct json_writer *w, char bracket);
/* Nothing is written if @value is NULL. Bytes that are no UTF-8 become U+FFFD. */
void json_put_string(struct json_writer *w, const char *key, const char *value);
void json_put_number(struct json_writer *w, const char *key, uint64_t value);
void json_put_bool(struct json_writer *w, const char *key, bool value);

#endif
