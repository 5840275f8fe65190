/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Devices and transfers as JSON. */
#ifndef DESCRIBE_H
#define DESCRIBE_H

#include "cli.h"

struct json_object;

extern const char *const flag_names[3]; /* of VFIOMIG_STOP_COPY and so on */
/* NULL becomes null, and so does a negative state. */
void json_string(struct json_object *object, const char *key, const char *value);
void json_state(struct json_object *object, const char *key, int state);
void json_flags(struct json_object *object, uint64_t flags);
void json_seconds(struct json_object *object, const char *key, uint64_t ns);
struct json_object *describe_device(const struct vfiomig_device *dev);
struct json_object *describe_transfer(const struct cli *cli, const char *error,
				      const struct vfiomig_result *result);

#endif
