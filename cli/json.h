/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * JSON output: pretty-printed ASCII, which cannot control a terminal.
 *
 * An allocation that fails is remembered until the end: print_json() then prints a message instead
 * of an object with something missing. So nothing here has to be checked by the caller.
 */
#ifndef JSON_H
#define JSON_H

#include <json-c/json.h>
#include <stdio.h>

#include "cli.h"

struct json_object *new_object(void);
struct json_object *new_array(void);

/* Add a member to an object. The object owns @value from then on; NULL becomes null. */
void add_value(struct json_object *object, const char *key, struct json_object *value);
void add_bool(struct json_object *object, const char *key, bool value);
void add_int(struct json_object *object, const char *key, int value);
void add_uint(struct json_object *object, const char *key, uint64_t value);
void add_seconds(struct json_object *object, const char *key, uint64_t ns);
/* Bytes that are not UTF-8 are replaced; NULL becomes null. */
void add_string(struct json_object *object, const char *key, const char *value);
/* The name of a migration state; a negative state becomes null. */
void add_state(struct json_object *object, const char *key, int state);

/* Add an element to an array. The array owns @value from then on. */
void append_value(struct json_object *array, struct json_object *value);
void append_string(struct json_object *array, const char *value);

/* Write a JSON text as print_json() writes objects. @text must be valid JSON in UTF-8; @level is
 * how far it is indented. This needs no memory, which json-c 0.16 does not check when it parses a
 * text. */
void copy_json(const char *text, int level, FILE *to);

/* Print a text of an image to stdout. Images come from strangers: what is not plain ASCII is
 * escaped, so that it cannot control a terminal. */
void print_escaped(const char *text);
/* Parse the header or the trailer of an image, which the library has checked. Where json-c would
 * end a key or a string, at a zero byte, it gets U+FFFD, which the library takes it for, too.
 * Returns NULL without memory. */
struct json_object *parse_header(const char *text);

/* Print @object and free it. Returns 0, or the exit status after a message. */
int print_json(const struct cli *cli, struct json_object *object, FILE *to);
/* The same in one line. */
int print_json_line(const struct cli *cli, struct json_object *object, FILE *to);

#endif
