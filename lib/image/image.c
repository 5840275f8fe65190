// SPDX-License-Identifier: LGPL-2.1-or-later
/* Images, frame by frame. What is read may come from strangers. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "data.h"
#include "device/config.h"
#include "image.h"
#include "watch.h"

/* The text that raw_digest() makes */
#define DIGEST_KIND   "xxh128:"
#define DIGEST_LENGTH 39

/* ---- Writing ------------------------------------------------------------- */

static int image_init(struct image *image, struct vfiomig_ctx *ctx, int fd)
{
	*image = (struct image){ .ctx = ctx, .fd = fd };
	fd_widen(fd);
	image->frames_digest = XXH64_createState();
	if (!image->frames_digest)
		return ctx_fail_memory(ctx);
	XXH64_reset(image->frames_digest, 0);
	return 0;
}

void image_free(struct image *image)
{
	free(image->header);
	free(image->trailer);
	free(image->verified);
	XXH64_freeState(image->frames_digest);
	*image = (struct image){ .fd = -1 };
}

static int write_meta(struct image *image, uint32_t magic, char *text)
{
	uint8_t head[SIZE_FRAME + 8];
	size_t size = strlen(text);
	struct iovec iov[2];
	struct watch watch;
	int err;

	frame_put_size(head, 8 + size);
	put_le32(head + SIZE_FRAME, magic);
	put_le32(head + SIZE_FRAME + 4, size);
	iov[0] = (struct iovec){ head, sizeof(head) };
	iov[1] = (struct iovec){ text, size };
	image->size += sizeof(head) + size;
	watch_begin(&watch, image->ctx);
	err = fd_writev(image->ctx, image->fd, iov, 2);
	watch_end(&watch);
	return err ? fd_fail(image->ctx, err, "writing the image") : 0;
}

static int fail_header(const struct image *image)
{
	return ctx_fail(image->ctx, -EBADMSG, "the image is damaged: its header makes no sense");
}

static int check_config(const struct image *image)
{
	/* One byte more than the largest, so that what is longer is not valid. */
	char config[2 * CONFIG_SIZE_MAX + 2];

	if (meta_string(image->header, "config", config, sizeof(config)) >= 0 &&
	    !config_is_valid(config))
		return fail_header(image);
	return 0;
}

/* Take from the header what both directions need. */
static int use_header(struct image *image)
{
	char compression[64];
	bool has_compression =
		meta_string(image->header, "compression", compression, sizeof(compression)) >= 0;
	uint64_t format = meta_number(image->header, "format", 0);
	uint64_t chunk_size = meta_number(image->header, "chunk_size", 0);

	if (format > META_FORMAT)
		return ctx_fail(image->ctx, -EBADMSG,
				"the image has format %" PRIu64
				", which is newer than this vfiomig knows (%d)",
				format, META_FORMAT);
	if (!format || !has_compression || chunk_size < VFIOMIG_CHUNK_SIZE_MIN ||
	    chunk_size > VFIOMIG_CHUNK_SIZE_MAX)
		return fail_header(image);
	image->chunk_size = chunk_size;
	image->compressed = strcmp(compression, "zstd") == 0;
	if (!image->compressed && strcmp(compression, "none") != 0)
		return ctx_fail(image->ctx, -EBADMSG,
				"the image is compressed by %s, which this vfiomig does not know",
				compression);
	return check_config(image);
}

int image_begin(struct image *image, struct vfiomig_ctx *ctx, int fd, char *header)
{
	int err = image_init(image, ctx, fd);

	image->header = header;
	if (!err)
		err = use_header(image);
	return err ? err : write_meta(image, MAGIC_HEADER, header);
}

/* The checks of a stored frame leave nothing to a digest. */
void image_add(struct image *image, const void *frame, size_t size)
{
	if (image->compressed)
		XXH64_update(image->frames_digest, frame, size);
}

int image_write(void *data, struct chunk *c)
{
	struct image *image = data;
	int err;

	for (int i = 0; i < c->iov_count; i++)
		image->size += c->iov[i].iov_len;
	image->frames++;
	err = fd_writev(image->ctx, image->fd, c->iov, c->iov_count);
	return err ? fd_fail(image->ctx, err, "writing the image") : 0;
}

static void frames_digest_text(const struct image *image, char text[32])
{
	snprintf(text, 32, "xxh64:%016" PRIx64, (uint64_t)XXH64_digest(image->frames_digest));
}

int image_end(struct image *image, const struct raw *raw)
{
	char digest[48], frames_digest[32];
	int err;

	raw_digest(raw, digest);
	frames_digest_text(image, frames_digest);
	err = meta_trailer(image->ctx, raw->bytes, image->frames, digest,
			   image->compressed ? frames_digest : NULL, &image->trailer);
	return err ? err : write_meta(image, MAGIC_TRAILER, image->trailer);
}

/* ---- Reading ------------------------------------------------------------- */

static int fail_damaged(const struct image *image, const char *why)
{
	return ctx_fail(image->ctx, -EBADMSG, "the image is damaged: %s", why);
}

static int fail_truncated(const struct image *image, uint64_t frames)
{
	return ctx_fail(image->ctx, -EBADMSG,
			"the image is truncated: it ends after %" PRIu64
			" chunks, without a trailer",
			frames);
}

/* fd_read_full(), after the bytes that were read already. */
static ssize_t read_full(struct image *image, void *buf, size_t size)
{
	size_t have = image->first_size < size ? image->first_size : size;
	ssize_t n;

	memcpy(buf, image->first, have);
	image->first_size -= have;
	memmove(image->first, image->first + have, image->first_size);
	if (have == size)
		return size;
	n = fd_read_full(image->ctx, image->fd, (char *)buf + have, size - have);
	return n < 0 ? n : (ssize_t)have + n;
}

/* Exactly @size bytes: 0; or what ctx_fail() returned. */
static int read_bytes(struct image *image, void *buf, size_t size)
{
	ssize_t n = read_full(image, buf, size);

	if (n < 0)
		return fd_fail(image->ctx, n, "reading the image");
	image->size += n;
	return (size_t)n < size ? fail_truncated(image, image->frames) : 0;
}

/* The frame that says how long the next one is. */
static int read_size(struct image *image, size_t max, size_t *size)
{
	uint8_t head[SIZE_FRAME];
	int err = read_bytes(image, head, sizeof(head));

	if (err)
		return err;
	if (get_le32(head) != MAGIC_SIZE || get_le32(head + 4) != 4)
		return fail_damaged(image, "a frame's size is missing");
	*size = get_le32(head + 8);
	if (*size < 8 || *size > max)
		return fail_damaged(image, "a frame's size is out of bounds");
	return 0;
}

/* The text of the frame of the header or the trailer, which @what names. */
static int read_meta(const struct image *image, const uint8_t *frame, size_t size, const char *what,
		     char **json)
{
	int err = -EBADMSG;

	if (get_le32(frame + 4) == size - 8 && size - 8 <= META_SIZE_MAX)
		err = meta_read((const char *)frame + 8, size - 8, json);
	if (err == -ENOMEM)
		return ctx_fail_memory(image->ctx);
	if (err)
		return ctx_fail(image->ctx, err,
				"the image is damaged: its %s is not what was written", what);
	return 0;
}

/* The first bytes tell what kind of file this is, if it is no image. */
static int check_kind(struct image *image, uint8_t head[SIZE_FRAME])
{
	ssize_t n = read_full(image, head, SIZE_FRAME);

	if (n < 0)
		return fd_fail(image->ctx, n, "reading the image");
	if (n == 0)
		return ctx_fail(image->ctx, -ENODATA, "the image is empty");
	image->size = n;
	if (n >= 4 && get_le32(head) == MAGIC_ZSTD)
		return ctx_fail(
			image->ctx, -EBADMSG,
			"not an image of vfiomig, but a plain zstd file; what \"save --raw\" made and zstd compressed goes through \"zstd -dc | vfiomig restore --raw\"");
	if (n < SIZE_FRAME || get_le32(head) != MAGIC_SIZE || get_le32(head + 4) != 4)
		return ctx_fail(
			image->ctx, -EBADMSG,
			"not an image of vfiomig; \"vfiomig pack\" makes one of raw state, which restore takes with --raw");
	return 0;
}

static int read_header(struct image *image)
{
	_cleanup_free_ char *frame = NULL;
	struct vfiomig_ctx *ctx = image->ctx;
	uint8_t head[SIZE_FRAME];
	size_t size;
	int err = check_kind(image, head);

	if (err)
		return err;
	size = get_le32(head + 8);
	/* pzstd's own files begin like ours. */
	if (size < 8 || size > META_SIZE_MAX + 8)
		return ctx_fail(ctx, -EBADMSG, "not an image of vfiomig: it has no header");
	frame = malloc(size);
	if (!frame)
		return ctx_fail_memory(ctx);
	err = read_bytes(image, frame, size);
	if (err)
		return err;
	if (get_le32((uint8_t *)frame) != MAGIC_HEADER)
		return ctx_fail(ctx, -EBADMSG, "not an image of vfiomig: it has no header");
	err = read_meta(image, (uint8_t *)frame, size, "header", &image->header);
	return err ? err : use_header(image);
}

static int open_image(struct image *image)
{
	struct watch watch;
	int err;

	image->end = fd_file_size(image->fd);
	watch_begin(&watch, image->ctx);
	err = read_header(image);
	watch_end(&watch);
	return err;
}

int image_open(struct image *image, struct vfiomig_ctx *ctx, int fd)
{
	int err = image_init(image, ctx, fd);

	return err ? err : open_image(image);
}

int image_open_peeked(struct image *image, const struct raw *peeked)
{
	int err = image_init(image, peeked->ctx, peeked->fd);

	if (err)
		return err;
	memcpy(image->first, peeked->peeked, peeked->peeked_size);
	image->first_size = peeked->peeked_size;
	return open_image(image);
}

static int fail_changed(const struct image *image)
{
	return ctx_fail(image->ctx, -EBADMSG, "the image has changed since it was verified");
}

int image_reopen(struct image *image, off_t start)
{
	struct image before = *image;
	int err = 0;

	*image = (struct image){ .fd = -1 };
	if (lseek(before.fd, start, SEEK_SET) < 0)
		err = ctx_fail(before.ctx, -errno, "reading the image: %m");
	if (!err)
		err = image_open(image, before.ctx, before.fd);
	if (!err && strcmp(image->header, before.header) != 0)
		err = fail_changed(image);
	image->verified = before.trailer;
	before.trailer = NULL;
	image_free(&before);
	return err;
}

/* Nothing may follow the trailer. */
static int check_end(struct image *image)
{
	char byte;
	ssize_t n = fd_read(image->ctx, image->fd, &byte, 1);

	if (n < 0)
		return fd_fail(image->ctx, n, "reading the image");
	return n ? fail_damaged(image, "something follows its trailer") : 0;
}

/* Whether the trailer's digest of the state is one, and its number of bytes fits the chunks. */
static bool makes_sense(const struct image *image)
{
	uint64_t bytes = meta_number(image->trailer, "bytes", UINT64_MAX);
	char digest[48];

	return meta_string(image->trailer, "digest", digest, sizeof(digest)) == DIGEST_LENGTH &&
	       strncmp(digest, DIGEST_KIND, strlen(DIGEST_KIND)) == 0 &&
	       strspn(digest + strlen(DIGEST_KIND), "0123456789abcdef") == 32 &&
	       bytes >= image->frames && bytes <= image->frames * image->chunk_size;
}

static int use_trailer(struct image *image, const uint8_t *frame, size_t size)
{
	uint64_t frames;
	int err = read_meta(image, frame, size, "trailer", &image->trailer);

	if (err)
		return err;
	if (image->verified && strcmp(image->trailer, image->verified) != 0)
		return fail_changed(image);
	frames = meta_number(image->trailer, "frames", UINT64_MAX);
	if (frames != image->frames)
		return ctx_fail(image->ctx, -EBADMSG,
				"the image is damaged: it has %" PRIu64 " chunks, and %" PRIu64
				" were written",
				image->frames, frames);
	if (!makes_sense(image))
		return fail_damaged(image, "its trailer makes no sense");
	if (!frames)
		return ctx_fail(image->ctx, -ENODATA, "the image has no state in it");
	return check_end(image);
}

int image_peek(struct image *image)
{
	struct watch watch;
	int err;

	watch_begin(&watch, image->ctx);
	err = read_size(image, frame_size_max(image->chunk_size), &image->peeked);
	if (!err)
		err = read_bytes(image, image->magic, sizeof(image->magic));
	watch_end(&watch);
	if (!err && get_le32(image->magic) == MAGIC_TRAILER)
		err = ctx_fail(image->ctx, -ENODATA, "the image has no state in it");
	return err;
}

/*
 * A frame of @size bytes, of which the first ones were read, is left to a worker. Returns false if
 * that is not possible: the image is no file, or ends before.
 */
static bool leave_frame(struct image *image, struct chunk *c, size_t size)
{
	off_t rest = size - sizeof(image->magic);
	off_t at = image->end ? lseek(image->fd, rest, SEEK_CUR) : 0;

	if (at <= 0)
		return false;
	if (at > image->end) {
		lseek(image->fd, -rest, SEEK_CUR);
		return false;
	}
	image->size += rest;
	c->at = at - size;
	c->fetch = true;
	return true;
}

int image_read(void *data, struct chunk *c)
{
	struct image *image = data;
	const size_t have = sizeof(image->magic);
	size_t size = image->peeked;
	int err = 0;

	image->peeked = 0;
	if (!size) {
		err = read_size(image, frame_size_max(image->chunk_size), &size);
		if (!err)
			err = read_bytes(image, image->magic, have);
	}
	if (err)
		return err;
	memcpy(c->in, image->magic, have);
	if (get_le32(c->in) != MAGIC_ZSTD || !leave_frame(image, c, size))
		err = read_bytes(image, c->in + have, size - have);
	if (err)
		return err;
	switch (get_le32(c->in)) {
	case MAGIC_ZSTD:
		image->frames++;
		c->in_size = size;
		return 0;
	case MAGIC_TRAILER:
		return use_trailer(image, c->in, size);
	default:
		return fail_damaged(image, "a frame is of an unknown kind");
	}
}

int image_fetch(void *data, struct chunk *c)
{
	const struct image *image = data;
	ssize_t n = fd_pread_full(image->ctx, image->fd, c->in, c->in_size, c->at);

	if (n < 0)
		return fd_fail(image->ctx, n, "reading the image");
	return (size_t)n < c->in_size ? fail_truncated(image, c->number) : 0;
}

/* Past @size bytes: without reading them where that can be done. */
static int skip_bytes(struct image *image, size_t size)
{
	char buf[65536];

	if (size && lseek(image->fd, size - 1, SEEK_CUR) >= 0) {
		/* The last one is there, or the image ends before it. */
		image->size += size - 1;
		size = 1;
	}
	while (size) {
		size_t n = size < sizeof(buf) ? size : sizeof(buf);
		int err = read_bytes(image, buf, n);

		if (err)
			return err;
		size -= n;
	}
	return 0;
}

static int skim(struct image *image)
{
	size_t max = frame_size_max(image->chunk_size), size;
	uint8_t frame[META_SIZE_MAX + 8];
	int err;

	for (;;) {
		err = read_size(image, max, &size);
		if (!err)
			err = read_bytes(image, frame, 8);
		if (err)
			return err;
		if (get_le32(frame) != MAGIC_ZSTD)
			break;
		image->frames++;
		err = skip_bytes(image, size - 8);
		if (err)
			return err;
	}
	if (get_le32(frame) != MAGIC_TRAILER || size > sizeof(frame))
		return fail_damaged(image, "a frame is of an unknown kind");
	err = read_bytes(image, frame + 8, size - 8);
	if (err)
		return err;
	return use_trailer(image, frame, size);
}

int image_skim(struct image *image)
{
	struct watch watch;
	int err;

	watch_begin(&watch, image->ctx);
	err = skim(image);
	watch_end(&watch);
	return err;
}

static bool is_digest(const struct image *image, const char *key, const char *text)
{
	char digest[48];

	return meta_string(image->trailer, key, digest, sizeof(digest)) >= 0 &&
	       strcmp(digest, text) == 0;
}

int image_check(const struct image *image, const struct raw *raw)
{
	uint64_t bytes = meta_number(image->trailer, "bytes", UINT64_MAX);
	char text[48], frames_text[32];

	if (bytes != raw->bytes)
		return ctx_fail(image->ctx, -EBADMSG,
				"the image is damaged: it has %" PRIu64
				" bytes of state, and %" PRIu64 " were written",
				raw->bytes, bytes);
	raw_digest(raw, text);
	frames_digest_text(image, frames_text);
	if (!is_digest(image, "digest", text) ||
	    (image->compressed && !is_digest(image, "frames_digest", frames_text)))
		return fail_damaged(
			image, "its chunks are not those that were written, or not in their order");
	return 0;
}
