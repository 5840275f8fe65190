/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The metadata of an image: header and trailer. Each is JSON text that carries
 * a checksum of itself: see vfiomig-image(5).
 */
#ifndef VFIOMIG_META_H
#define VFIOMIG_META_H

#include <json-c/json.h>

#include "device/device.h"

#define META_FORMAT   1
#define META_SIZE_MAX (64u << 10)

/*
 * The text of @object with its checksum, to be freed; NULL without memory.
 */
char *meta_write(struct json_object *object, size_t *size);
/* The object in @text, or NULL when that is damaged or no object. */
struct json_object *meta_read(const char *text, size_t size);

/* What is known of an image before its state: @dev may be NULL. NULL after
 * ctx_fail(). */
struct json_object *meta_header(struct vfiomig_device *dev, bool precopy, int level,
				size_t chunk_size);

/*
 * Whether a device is one that an image with this @header may go to: 0, or
 * -EXDEV after ctx_fail(). An image that names no device goes to any.
 */
int meta_check_device(struct vfiomig_device *dev, struct json_object *header);

/* Members of an object; the default if there is none or it is no such thing. */
const char *meta_string(struct json_object *object, const char *key);
uint64_t meta_number(struct json_object *object, const char *key, uint64_t missing);

#endif
