/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A device as JSON, for list and info. The pages of these commands document the keys. */
#ifndef DESCRIBE_H
#define DESCRIBE_H

#include <errno.h>

#include "json.h"
#include "user.h"

/* Whether the device has left a question open. That it has no support is an answer. */
static inline bool is_unknown(int err)
{
	return err && err != -EOPNOTSUPP;
}

#define NR_FLAGS 3
extern const char *const flag_names[NR_FLAGS]; /* the name of flag 1 << N, as in the uAPI */

/* @user: who has the device open, if anybody has */
struct json_object *describe_device(const struct vfiomig_device *dev, const struct user *user);
/* Add the migration flags, with the key "migration". */
void add_flags(struct json_object *object, uint64_t flags);

#endif
