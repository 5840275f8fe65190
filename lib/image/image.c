// SPDX-License-Identifier: LGPL-2.1-or-later
/* Images, frame by frame. What is read may come from strangers. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistr.h>

#include "characters.h"
#include "data.h"
#include "device/config.h"
#include "image.h"
#include "watch.h"

/* The text that raw_digest() makes */
#define DIGEST_KIND   "xxh128:"
#define DIGEST_LENGTH 39

/* Of the name of a device, in bytes */
#define NAME_MAX_SIZE 255

/* ---- Both ways ----------------------------------------------------------- */

static int device_init(struct image_device *device, struct vfiomig_ctx *ctx)
{
	device->frames_digest = XXH64_createState();
	if (!device->frames_digest)
		return ctx_fail_memory(ctx);
	XXH64_reset(device->frames_digest, 0);
	return 0;
}

static void device_free(struct image_device *device)
{
	free(device->name);
	free(device->header);
	free(device->trailer);
	XXH64_freeState(device->frames_digest);
}

static int image_init(struct image *image, struct vfiomig_ctx *ctx, int fd)
{
	*image = (struct image){ .ctx = ctx, .fd = fd };
	fd_widen(fd);
	return device_init(&image->one, ctx);
}

void image_free(struct image *image)
{
	for (int i = 0; i < image->nr_devices; i++)
		device_free(&image->devices[i]);
	device_free(&image->one);
	free(image->devices);
	free(image->names);
	free(image->header);
	free(image->trailer);
	free(image->verified);
	XXH64_freeState(image->metadata_digest);
	*image = (struct image){ .fd = -1 };
}

static struct image_device *device_of(struct image *image, int device)
{
	return image->nr_devices ? &image->devices[device] : &image->one;
}

static int fail_damaged(const struct image *image, const char *why)
{
	return ctx_fail(image->ctx, -EBADMSG, "the image is damaged: %s", why);
}

/* ---- The header ---------------------------------------------------------- */

static int fail_header(const struct image *image)
{
	return fail_damaged(image, "its header makes no sense");
}

static int check_config(const struct image *image, const char *header)
{
	/* One byte more than the largest, so that what is longer is not valid. */
	char config[2 * CONFIG_SIZE_MAX + 2];

	if (meta_string(header, "config", config, sizeof(config)) >= 0 && !config_is_valid(config))
		return fail_header(image);
	return 0;
}

/* The name comes into messages, and tells one device from another. */
static bool is_name(const char *name)
{
	const uint8_t *p = (const uint8_t *)name;
	size_t size = strlen(name);
	ucs4_t c;

	if (size < 1 || size > NAME_MAX_SIZE)
		return false;
	for (int n; *p; p += n) {
		n = u8_strmbtouc(&c, p);
		if (n <= 0 || !is_printable(c))
			return false;
	}
	return true;
}

int image_check_names(struct vfiomig_ctx *ctx, const char *const *names, size_t count)
{
	if (count < 2 || count > VFIOMIG_SET_MAX)
		return ctx_fail(ctx, -EINVAL, "a set is of 2 to %d devices, not of %zu",
				VFIOMIG_SET_MAX, count);
	for (size_t i = 0; i < count; i++) {
		if (!is_name(names[i]))
			return ctx_fail(
				ctx, -EINVAL,
				"the name of a device in an image has from 1 to %d printable bytes, unlike '%s'",
				NAME_MAX_SIZE, names[i]);
		for (size_t j = 0; j < i; j++)
			if (strcmp(names[i], names[j]) == 0)
				return ctx_fail(ctx, -EINVAL, "two devices have the name %s",
						names[i]);
	}
	return 0;
}

/* Take what the header says of the next device. */
static int add_device(struct image *image, const char *object)
{
	struct image_device *device = &image->devices[image->nr_devices];
	/* One byte more than the longest, so that what is longer is not valid. */
	char name[NAME_MAX_SIZE + 2];
	int err;

	if (meta_string(object, "name", name, sizeof(name)) < 0 || !is_name(name) ||
	    image_find(image, name) >= 0)
		return fail_header(image);
	err = device_init(device, image->ctx);
	if (err)
		return err;
	device->name = strdup(name);
	device->header = strndup(object, json_length(object));
	image->names[image->nr_devices++] = device->name;
	if (!device->name || !device->header)
		return ctx_fail_memory(image->ctx);
	return check_config(image, device->header);
}

static int add_devices(struct image *image)
{
	const char *array = json_find(image->header, "devices"), *object = NULL;
	int err = 0;

	image->devices = calloc(VFIOMIG_SET_MAX, sizeof(*image->devices));
	image->names = calloc(VFIOMIG_SET_MAX, sizeof(*image->names));
	image->metadata_digest = XXH64_createState();
	if (!image->devices || !image->names || !image->metadata_digest)
		return ctx_fail_memory(image->ctx);
	while (!err && (object = json_next(array, object)))
		err = image->nr_devices < VFIOMIG_SET_MAX ? add_device(image, object)
							  : fail_header(image);
	if (err)
		return err;
	if (image->nr_devices < 2 || image->nr_devices * image->chunk_size > VFIOMIG_CHUNK_SIZE_MAX)
		return fail_header(image);
	XXH64_reset(image->metadata_digest, 0);
	XXH64_update(image->metadata_digest, image->header, strlen(image->header));
	return 0;
}

int image_find(const struct image *image, const char *name)
{
	for (int i = 0; i < image->nr_devices; i++)
		if (strcmp(image->names[i], name) == 0)
			return i;
	return -1;
}

const char *image_header(const struct image *image, int device)
{
	return image->nr_devices ? image->devices[device].header : image->header;
}

#define MORE_NAMES " and %d more"

void image_list_names(const struct image *image, char *list, size_t size)
{
	int last = image->nr_devices - 1, i;
	size_t used = 0;

	for (i = 0; i <= last; i++) {
		const char *before = !i ? "" : i < last ? ", " : " and ";

		if (used + strlen(before) + strlen(image->names[i]) + sizeof(MORE_NAMES) > size)
			break;
		used += sprintf(list + used, "%s%s", before, image->names[i]);
	}
	if (i <= last)
		sprintf(list + used, MORE_NAMES, last + 1 - i);
}

static int choose_one(const struct image *image, const char *name)
{
	const char *device = json_find(image->header, "device");
	char theirs[NAME_MAX_SIZE + 1];

	if (!name)
		return 0;
	if (!device || meta_string(device, "name", theirs, sizeof(theirs)) < 0)
		return ctx_fail(image->ctx, -EDESTADDRREQ,
				"the image has no device %s: it is of one, and has no name of it",
				name);
	if (strcmp(theirs, name) != 0)
		return ctx_fail(image->ctx, -EDESTADDRREQ,
				"the image has no device %s: it is of %s", name, theirs);
	return 0;
}

int image_choose(const struct image *image, const char *name)
{
	char list[300];
	int device;

	if (!image->nr_devices)
		return choose_one(image, name);
	device = name ? image_find(image, name) : -1;
	if (device >= 0)
		return device;
	image_list_names(image, list, sizeof(list));
	if (name)
		return ctx_fail(image->ctx, -EDESTADDRREQ,
				"the image has no device %s: it is of %s", name, list);
	return ctx_fail(image->ctx, -EDESTADDRREQ,
			"the image is of %d devices; choose one by --device=NAME: %s",
			image->nr_devices, list);
}

/* Take from the header what both directions need. */
static int use_header(struct image *image)
{
	char compression[64];
	bool has_compression =
		meta_string(image->header, "compression", compression, sizeof(compression)) >= 0;
	uint64_t format = meta_number(image->header, "format", 0);
	uint64_t chunk_size = meta_number(image->header, "chunk_size", 0);

	if (format > META_FORMAT_SET)
		return ctx_fail(image->ctx, -EBADMSG,
				"the image has format %" PRIu64
				", which is newer than this vfiomig knows (%d)",
				format, META_FORMAT_SET);
	if (!format || !has_compression || chunk_size < VFIOMIG_CHUNK_SIZE_MIN ||
	    chunk_size > VFIOMIG_CHUNK_SIZE_MAX)
		return fail_header(image);
	image->chunk_size = chunk_size;
	image->compressed = strcmp(compression, "zstd") == 0;
	if (!image->compressed && strcmp(compression, "none") != 0)
		return ctx_fail(image->ctx, -EBADMSG,
				"the image is compressed by %s, which this vfiomig does not know",
				compression);
	return format == META_FORMAT_SET ? add_devices(image) : check_config(image, image->header);
}

/* ---- Writing ------------------------------------------------------------- */

static int write_meta(struct image *image, uint32_t magic, char *text)
{
	uint8_t head[SIZE_FRAME + 8];
	size_t size = strlen(text);
	struct iovec iov[2];
	int err;

	frame_put_size(head, 8 + size);
	put_le32(head + SIZE_FRAME, magic);
	put_le32(head + SIZE_FRAME + 4, size);
	iov[0] = (struct iovec){ head, sizeof(head) };
	iov[1] = (struct iovec){ text, size };
	image->size += sizeof(head) + size;
	err = fd_writev(image->ctx, image->fd, iov, 2);
	return err ? fd_fail(image->ctx, err, "writing the image") : 0;
}

/* Outside of a pipeline, which has a watcher of its own. */
static int write_alone(struct image *image, uint32_t magic, char *text)
{
	struct watch watch;
	int err;

	watch_begin(&watch, image->ctx);
	err = write_meta(image, magic, text);
	watch_end(&watch);
	return err;
}

int image_begin(struct image *image, struct vfiomig_ctx *ctx, int fd, char *header)
{
	int err = image_init(image, ctx, fd);
	_cleanup_free_ char *text = header;

	if (err)
		return err;
	/* As a reader has it: without the checksum. */
	image->header = strndup(text, meta_length(text));
	if (!image->header)
		return ctx_fail_memory(ctx);
	err = use_header(image);
	return err ? err : write_alone(image, MAGIC_HEADER, text);
}

/* The checks of a stored frame leave nothing to a digest. */
void image_add(struct image *image, int device, const void *frame, size_t size)
{
	if (image->compressed)
		XXH64_update(device_of(image, device)->frames_digest, frame, size);
}

#define LABEL_SIZE (SIZE_FRAME + LABEL_FRAME)

/* Put before the pieces of a chunk whose frame of a set it is. */
static void add_label(const struct image *image, struct chunk *c, uint8_t label[LABEL_SIZE])
{
	frame_put_size(label, LABEL_FRAME);
	frame_put_label(label + SIZE_FRAME, c->lane, image->devices[c->lane].frames);
	memmove(c->iov + 1, c->iov, c->iov_count++ * sizeof(*c->iov));
	c->iov[0] = (struct iovec){ label, LABEL_SIZE };
}

int image_write(void *data, struct chunk *c)
{
	struct image *image = data;
	uint8_t label[LABEL_SIZE];
	int err;

	if (image->nr_devices)
		add_label(image, c, label);
	for (int i = 0; i < c->iov_count; i++)
		image->size += c->iov[i].iov_len;
	image->frames++;
	device_of(image, c->lane)->frames++;
	err = fd_writev(image->ctx, image->fd, c->iov, c->iov_count);
	return err ? fd_fail(image->ctx, err, "writing the image") : 0;
}

static void digest_text(const XXH64_state_t *digest, char text[32])
{
	snprintf(text, 32, "xxh64:%016" PRIx64, (uint64_t)XXH64_digest(digest));
}

int image_end(struct image *image, const struct raw *raw)
{
	char digest[48], frames_digest[32];
	int err;

	raw_digest(raw, digest);
	digest_text(image->one.frames_digest, frames_digest);
	err = meta_trailer(image->ctx, raw->bytes, image->frames, digest,
			   image->compressed ? frames_digest : NULL, &image->trailer);
	return err ? err : write_alone(image, MAGIC_TRAILER, image->trailer);
}

int image_end_device(struct image *image, int number, const struct raw *raw)
{
	struct image_device *device = &image->devices[number];
	char digest[48], frames_digest[32];
	int err;

	raw_digest(raw, digest);
	digest_text(device->frames_digest, frames_digest);
	err = meta_device_trailer(image->ctx, number, raw->bytes, device->frames, digest,
				  image->compressed ? frames_digest : NULL, &device->trailer);
	if (err)
		return err;
	image->bytes += raw->bytes;
	XXH64_update(image->metadata_digest, device->trailer, meta_length(device->trailer));
	return write_meta(image, MAGIC_TRAILER, device->trailer);
}

int image_end_set(struct image *image)
{
	char digest[32];
	int err;

	digest_text(image->metadata_digest, digest);
	err = meta_set_trailer(image->ctx, image->nr_devices, image->bytes, image->frames, digest,
			       &image->trailer);
	return err ? err : write_alone(image, MAGIC_TRAILER, image->trailer);
}

/* ---- Reading ------------------------------------------------------------- */

static int fail_truncated(const struct image *image, uint64_t frames)
{
	return ctx_fail(image->ctx, -EBADMSG,
			"the image is truncated: it ends after %" PRIu64
			" chunks, without %s trailer",
			frames, image->nr_devices ? "the set's" : "a");
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
static int read_meta(const struct image *image, const uint8_t *frame, size_t size, size_t max,
		     const char *what, char **json)
{
	int err = -EBADMSG;

	if (get_le32(frame + 4) == size - 8 && size - 8 <= max)
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

static int fail_no_header(const struct image *image)
{
	return ctx_fail(image->ctx, -EBADMSG, "not an image of vfiomig: it has no header");
}

static int read_header(struct image *image)
{
	_cleanup_free_ char *frame = NULL;
	uint8_t head[SIZE_FRAME];
	size_t size;
	int err = check_kind(image, head);

	if (err)
		return err;
	size = get_le32(head + 8);
	/* pzstd's own files begin like ours. */
	if (size < 8 || size > META_SET_SIZE_MAX + 8)
		return fail_no_header(image);
	frame = malloc(size);
	if (!frame)
		return ctx_fail_memory(image->ctx);
	err = read_bytes(image, frame, size);
	if (err)
		return err;
	if (get_le32((uint8_t *)frame) != MAGIC_HEADER)
		return fail_no_header(image);
	err = read_meta(image, (uint8_t *)frame, size, META_SET_SIZE_MAX, "header", &image->header);
	if (!err && size > META_SIZE_MAX + 8 &&
	    meta_number(image->header, "format", 0) == META_FORMAT)
		return fail_no_header(image);
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
static bool makes_sense(const struct image *image, const char *trailer, uint64_t frames)
{
	uint64_t bytes = meta_number(trailer, "bytes", UINT64_MAX);
	char digest[48];

	return meta_string(trailer, "digest", digest, sizeof(digest)) == DIGEST_LENGTH &&
	       strncmp(digest, DIGEST_KIND, strlen(DIGEST_KIND)) == 0 &&
	       strspn(digest + strlen(DIGEST_KIND), "0123456789abcdef") == 32 && bytes >= frames &&
	       bytes <= frames * image->chunk_size;
}

/* @of: " of NAME", or nothing. */
static int check_trailer(const struct image *image, const char *trailer, uint64_t frames,
			 const char *of, const char *name)
{
	uint64_t written = meta_number(trailer, "frames", UINT64_MAX);

	if (written != frames)
		return ctx_fail(image->ctx, -EBADMSG,
				"the image is damaged: it has %" PRIu64 " chunks%s%s, and %" PRIu64
				" were written",
				frames, of, name, written);
	if (!makes_sense(image, trailer, frames))
		return ctx_fail(image->ctx, -EBADMSG,
				"the image is damaged: its trailer%s%s makes no sense", of, name);
	if (frames)
		return 0;
	/* A set of which one device has nothing is nothing that was saved. */
	return ctx_fail(image->ctx, *of ? -EBADMSG : -ENODATA, "the image has no state%s%s in it",
			of, name);
}

/* The trailer of one device of a set. The image owns @trailer from then on. */
static int use_device_trailer(struct image *image, char *trailer, int *number)
{
	uint64_t n = meta_number(trailer, "device", UINT64_MAX);
	struct image_device *device;

	if (n >= (uint64_t)image->nr_devices || image->devices[n].trailer) {
		free(trailer);
		return ctx_fail(image->ctx, -EBADMSG,
				"the image is damaged: a trailer is of no device, or a second one");
	}
	*number = n;
	device = &image->devices[n];
	device->trailer = trailer;
	image->bytes += meta_number(trailer, "bytes", 0);
	XXH64_update(image->metadata_digest, trailer, strlen(trailer));
	return check_trailer(image, trailer, device->frames, " of ", device->name);
}

static bool is_digest(const char *trailer, const char *key, const char *text)
{
	char digest[48];

	return meta_string(trailer, key, digest, sizeof(digest)) >= 0 && strcmp(digest, text) == 0;
}

static int check_set_trailer(const struct image *image)
{
	const char *trailer = image->trailer;
	char digest[32];

	for (int i = 0; i < image->nr_devices; i++)
		if (!image->devices[i].trailer)
			return ctx_fail(image->ctx, -EBADMSG,
					"the image is damaged: it has no trailer of %s",
					image->names[i]);
	digest_text(image->metadata_digest, digest);
	if (meta_number(trailer, "devices", 0) != (uint64_t)image->nr_devices ||
	    meta_number(trailer, "frames", UINT64_MAX) != image->frames ||
	    meta_number(trailer, "bytes", UINT64_MAX) != image->bytes ||
	    !is_digest(trailer, "metadata_digest", digest))
		return fail_damaged(image, "its set's trailer is not of these devices");
	return 0;
}

/* The last trailer: the only one, or that of the set. */
static int use_last_trailer(struct image *image)
{
	int err;

	if (image->verified && strcmp(image->trailer, image->verified) != 0)
		return fail_changed(image);
	err = image->nr_devices ? check_set_trailer(image)
				: check_trailer(image, image->trailer, image->frames, "", "");
	return err ? err : check_end(image);
}

/* *@device receives the number of the device of a set whose trailer this is, or -1. */
static int use_trailer(struct image *image, const uint8_t *frame, size_t size, int *device)
{
	char *trailer = NULL;
	int err = read_meta(image, frame, size, META_SIZE_MAX, "trailer", &trailer);

	*device = -1;
	if (err)
		return err;
	if (image->nr_devices && json_find(trailer, "device"))
		return use_device_trailer(image, trailer, device);
	image->trailer = trailer;
	return use_last_trailer(image);
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

/* A frame of which the first bytes were read. */
struct next {
	size_t size;
	uint8_t magic[4];
	int device; /* of a chunk of a set */
};

static int read_start(struct image *image, struct next *next)
{
	int err = read_size(image, frame_size_max(image->chunk_size), &next->size);

	return err ? err : read_bytes(image, next->magic, sizeof(next->magic));
}

/* A label is of the next chunk of its device, which follows it. */
static int use_label(struct image *image, struct next *next, const uint8_t *label)
{
	struct image_device *device;
	uint32_t number;
	uint64_t frame;

	if (!frame_get_label(label, &number, &frame))
		return fail_damaged(image, "a label is not what was written");
	if (number >= (uint32_t)image->nr_devices)
		return fail_damaged(image, "a label is of no device");
	device = &image->devices[number];
	if (device->trailer)
		return ctx_fail(image->ctx, -EBADMSG,
				"the image is damaged: a chunk of %s follows its trailer",
				device->name);
	if (frame != device->frames)
		return ctx_fail(image->ctx, -EBADMSG,
				"the image is damaged: chunk %" PRIu64
				" of %s is where chunk %" PRIu64 " should be",
				frame, device->name, device->frames);
	next->device = number;
	return 0;
}

static int read_label(struct image *image, struct next *next)
{
	const size_t have = sizeof(next->magic);
	uint8_t label[LABEL_FRAME];
	int err;

	if (next->size != sizeof(label))
		return fail_damaged(image, "a label is not what was written");
	memcpy(label, next->magic, have);
	err = read_bytes(image, label + have, sizeof(label) - have);
	if (!err)
		err = use_label(image, next, label);
	if (!err)
		err = read_start(image, next);
	if (!err && get_le32(next->magic) != MAGIC_ZSTD)
		err = fail_damaged(image, "no chunk follows a label");
	return err;
}

/* The next chunk or trailer. */
static int read_next(struct image *image, struct next *next)
{
	int err = 0;

	next->device = 0;
	next->size = image->peeked;
	memcpy(next->magic, image->magic, sizeof(next->magic));
	image->peeked = 0;
	if (!next->size)
		err = read_start(image, next);
	if (err || !image->nr_devices)
		return err;
	if (get_le32(next->magic) == MAGIC_LABEL)
		return read_label(image, next);
	return get_le32(next->magic) == MAGIC_ZSTD ? fail_damaged(image, "a chunk has no label")
						   : 0;
}

static void count_frame(struct image *image, const struct next *next)
{
	image->frames++;
	device_of(image, next->device)->frames++;
}

static int read_trailer(struct image *image, const struct next *next, struct chunk *c)
{
	int device, err = use_trailer(image, c->in, next->size, &device);

	if (device >= 0) {
		c->lane = device;
		c->ends_lane = true;
	}
	return err;
}

int image_read(void *data, struct chunk *c)
{
	struct image *image = data;
	const size_t have = sizeof(image->magic);
	struct next next;
	int err = read_next(image, &next);

	if (err)
		return err;
	memcpy(c->in, next.magic, have);
	if (get_le32(c->in) != MAGIC_ZSTD || !leave_frame(image, c, next.size))
		err = read_bytes(image, c->in + have, next.size - have);
	if (err)
		return err;
	switch (get_le32(c->in)) {
	case MAGIC_ZSTD:
		count_frame(image, &next);
		c->lane = next.device;
		c->in_size = next.size;
		return 0;
	case MAGIC_TRAILER:
		return read_trailer(image, &next, c);
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
	if ((size_t)n == c->in_size)
		return 0;
	/* Of the chunks before it in the image, those of other devices are not counted here. */
	if (image->nr_devices)
		return ctx_fail(image->ctx, -EBADMSG,
				"the image is truncated: it ends in chunk %" PRIu64 " of %s",
				c->number, image->names[c->lane]);
	return fail_truncated(image, c->number);
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

/* A trailer, or what should be one. *@more: it is of one device of a set. */
static int skim_trailer(struct image *image, const struct next *next, bool *more)
{
	const size_t have = sizeof(next->magic);
	uint8_t frame[META_SIZE_MAX + 8];
	int device = -1, err;

	if (get_le32(next->magic) != MAGIC_TRAILER || next->size > sizeof(frame))
		return fail_damaged(image, "a frame is of an unknown kind");
	memcpy(frame, next->magic, have);
	err = read_bytes(image, frame + have, next->size - have);
	if (!err)
		err = use_trailer(image, frame, next->size, &device);
	*more = !err && device >= 0;
	return err;
}

static int skim(struct image *image)
{
	struct next next;
	bool more = true;
	int err = 0;

	while (!err && more) {
		err = read_next(image, &next);
		if (err)
			break;
		if (get_le32(next.magic) != MAGIC_ZSTD) {
			err = skim_trailer(image, &next, &more);
			continue;
		}
		count_frame(image, &next);
		err = skip_bytes(image, next.size - sizeof(next.magic));
	}
	return err;
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

int image_check(const struct image *image, int device, const struct raw *raw)
{
	const struct image_device *d = image->nr_devices ? &image->devices[device] : &image->one;
	const char *trailer = image->nr_devices ? d->trailer : image->trailer;
	const char *of = image->nr_devices ? " of " : "", *name = d->name ?: "";
	uint64_t bytes = meta_number(trailer, "bytes", UINT64_MAX);
	char text[48], frames_text[32];

	if (bytes != raw->bytes)
		return ctx_fail(image->ctx, -EBADMSG,
				"the image is damaged: it has %" PRIu64
				" bytes of state%s%s, and %" PRIu64 " were written",
				raw->bytes, of, name, bytes);
	raw_digest(raw, text);
	digest_text(d->frames_digest, frames_text);
	if (!is_digest(trailer, "digest", text) ||
	    (image->compressed && !is_digest(trailer, "frames_digest", frames_text)))
		return ctx_fail(
			image->ctx, -EBADMSG,
			"the image is damaged: its chunks%s%s are not those that were written, or not in their order",
			of, name);
	return 0;
}
