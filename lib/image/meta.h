/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The metadata of an image: header and trailer. Each is a JSON text that is followed by a checksum
 * of itself: see vfiomig-image(5).
 */
#ifndef VFIOMIG_META_H
#define VFIOMIG_META_H

#include "device/device.h"
#include "json.h"

#define META_FORMAT	  1 /* an image of one device */
#define META_FORMAT_SET	  2 /* an image of several */
#define META_SIZE_MAX	  (64u << 10)
#define META_SET_SIZE_MAX (1u << 20) /* of the header of several devices */

/*
 * Make the header that says what is known before the state is: @dev may be NULL. Of @result it
 * takes whether there is a pre-copy, and how many bytes are expected.
 *
 * These two return 0 or what ctx_fail() returned. @text is ended by a zero byte, and the caller
 * frees it.
 */
int meta_header(struct vfiomig_ctx *ctx, struct vfiomig_device *dev,
		const struct vfiomig_options *opt, const struct vfiomig_result *result,
		char **text);
/*
 * The same for a set of @count devices, 2 to VFIOMIG_SET_MAX, by the names that they have in the
 * image. @devices is NULL if there are none, as are devices of it. @results has what is known of
 * each. The size of the chunks is meta_chunk_size()'s.
 */
int meta_set_header(struct vfiomig_ctx *ctx, struct vfiomig_device *const *devices,
		    const char *const *names, int count, const struct vfiomig_options *opt,
		    const struct vfiomig_result *const *results, char **text);
/* The size of the chunks of so many devices: what @opt has, or less, so that a chunk of each fits
 * into VFIOMIG_CHUNK_SIZE_MAX together. */
size_t meta_chunk_size(const struct vfiomig_options *opt, int count);
/* Make the trailer. @frames_digest may be NULL. */
int meta_trailer(struct vfiomig_ctx *ctx, uint64_t bytes, uint64_t frames, const char *digest,
		 const char *frames_digest, char **text);
/* The same for a device of a set; and for a set of so many devices. */
int meta_device_trailer(struct vfiomig_ctx *ctx, int device, uint64_t bytes, uint64_t frames,
			const char *digest, const char *frames_digest, char **text);
int meta_set_trailer(struct vfiomig_ctx *ctx, int devices, uint64_t bytes, uint64_t frames,
		     const char *digest, char **text);
/* The length of the JSON in a text that one of these has made, without its checksum. */
size_t meta_length(const char *text);

/*
 * Read @text, which was in an image. Returns 0, -EBADMSG if the text is damaged or no object, or
 * -ENOMEM; without a sentence. @json receives the text without its checksum, ended by a zero byte;
 * the caller frees it.
 */
int meta_read(const char *text, size_t size, char **json);

/*
 * Whether an image with this @header may go to a device. Returns 0, or -EXDEV after ctx_fail(). An
 * image that names no device goes to any.
 */
int meta_check_device(const struct vfiomig_device *dev, const char *header);
/* Whether the @header names the driver of the device that was saved. Then @driver receives that. */
bool meta_driver(const char *header, char *driver, size_t size);

/* A member of an object: the string's length, see json_get_string(); or the number, @missing if
 * there is none. */
ssize_t meta_string(const char *object, const char *key, char *to, size_t size);
uint64_t meta_number(const char *object, const char *key, uint64_t missing);

#endif
