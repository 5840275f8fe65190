/* SPDX-License-Identifier: GPL-2.0-or-later */
/* JSON output: pretty-printed ASCII, which cannot control a terminal. */
#ifndef JSON_H
#define JSON_H

#include <stdio.h>

struct json_object;
void print_json(struct json_object *object, FILE *to);

#endif
