// SPDX-License-Identifier: LGPL-2.1-or-later
/* The state as bytes, read from a data_fd or a file, and written to one. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "data.h"
#include "frame.h"
#include "raw.h"
#include "watch.h"

int raw_init(struct raw *raw, struct vfiomig_ctx *ctx, int fd, const char *what)
{
	*raw = (struct raw){ .ctx = ctx, .fd = fd, .what = what };
	fd_widen(fd);
	raw->digest = XXH3_createState();
	if (!raw->digest)
		return ctx_fail_memory(ctx);
	XXH3_128bits_reset(raw->digest);
	return 0;
}

void raw_free(struct raw *raw)
{
	XXH3_freeState(raw->digest);
	raw->digest = NULL;
}

void raw_digest(const struct raw *raw, char text[48])
{
	XXH128_hash_t h = XXH3_128bits_digest(raw->digest);

	snprintf(text, 48, "xxh128:%016" PRIx64 "%016" PRIx64, h.high64, h.low64);
}

void raw_add(struct raw *raw, const void *data, size_t size)
{
	XXH3_128bits_update(raw->digest, data, size);
}

/* XXH3 goes through zeros as well: after each KiB it mixes its sums in a way that nothing shorter
 * comes to the same as. But these zeros are in the processor's caches. */
void raw_add_zeros(struct raw *raw, size_t size)
{
	for (size_t n; size; size -= n) {
		n = size < ZEROS_SIZE ? size : ZEROS_SIZE;
		raw_add(raw, zeros, n);
	}
}

int raw_fail(const struct raw *raw, int err)
{
	return fd_fail(raw->ctx, err, raw->what);
}

/* Whether a frame of this kind follows its size. */
static bool is_frame(const struct raw *raw, uint32_t magic)
{
	const uint8_t *p = raw->peeked;

	return raw->peeked_size >= RAW_PEEK && get_le32(p) == MAGIC_SIZE && get_le32(p + 4) == 4 &&
	       get_le32(p + SIZE_FRAME) == magic;
}

bool raw_is_image(const struct raw *raw)
{
	return is_frame(raw, MAGIC_HEADER);
}

/* A driver's stream may begin like this, but images and compressed files do. */
static int check_raw(const struct raw *raw)
{
	if (raw_is_image(raw))
		return ctx_fail(
			raw->ctx, -EBADMSG,
			"this is an image of vfiomig, not raw state; \"vfiomig unpack\" extracts the state, --force takes the image for state");
	if ((raw->peeked_size >= 4 && get_le32(raw->peeked) == MAGIC_ZSTD) ||
	    is_frame(raw, MAGIC_ZSTD))
		return ctx_fail(
			raw->ctx, -EBADMSG,
			"this is a zstd file, not raw state; \"zstd -dc\" extracts the state, --force takes the file for state");
	return 0;
}

int raw_peek(struct raw *raw, bool force)
{
	struct watch watch;
	ssize_t n;

	watch_begin(&watch, raw->ctx);
	n = fd_read_full(raw->ctx, raw->fd, raw->peeked, RAW_PEEK);
	watch_end(&watch);
	if (n < 0)
		return raw_fail(raw, n);
	if (!n)
		return ctx_fail(raw->ctx, -ENODATA, "there is no state: the input is empty");
	raw->peeked_size = n;
	return force ? 0 : check_raw(raw);
}

int raw_peek_more(struct raw *raw)
{
	struct watch watch;
	ssize_t n;

	watch_begin(&watch, raw->ctx);
	n = fd_read_full(raw->ctx, raw->fd, raw->peeked + raw->peeked_size,
			 RAW_PEEK_MAX - raw->peeked_size);
	watch_end(&watch);
	if (n < 0)
		return raw_fail(raw, n);
	raw->peeked_size += n;
	return 0;
}

int raw_account(struct raw *raw, const void *data, size_t size)
{
	raw->bytes += size;
	return raw->tap ? raw->tap(raw->tap_data, data, size) : 0;
}

int raw_read(void *data, struct chunk *c)
{
	struct raw *raw = data;
	size_t have = raw->peeked_size;
	ssize_t n;

	memcpy(c->in, raw->peeked, have);
	raw->peeked_size = 0;
	n = fd_read_full(raw->ctx, raw->fd, c->in + have, raw->chunk_size - have);
	if (n < 0)
		return raw_fail(raw, n);
	n += have;
	c->in_size = n;
	c->iov[0] = (struct iovec){ c->in, n };
	c->iov_count = 1;
	return raw_account(raw, c->in, n);
}

bool raw_is_file(struct raw *raw, size_t chunk_size)
{
	off_t at = lseek(raw->fd, 0, SEEK_CUR);

	/* Of some files in /proc and /sys the kernel does not know the size, and they are small. */
	if (at < 0 || fd_file_size(raw->fd) - at <= (off_t)chunk_size)
		return false;
	raw->at = at - raw->peeked_size;
	raw->peeked_size = 0;
	return true;
}

static int fail_shorter(const struct raw *raw)
{
	return ctx_fail(raw->ctx, -EIO, "%s: the file has become shorter meanwhile", raw->what);
}

int raw_find(void *data, struct chunk *c)
{
	struct raw *raw = data;
	off_t left = fd_file_size(raw->fd) - raw->at, next;

	if (left < 0)
		return fail_shorter(raw);
	if (!left) {
		lseek(raw->fd, raw->at, SEEK_SET);
		return 0;
	}
	c->in_size = left < (off_t)raw->chunk_size ? (size_t)left : raw->chunk_size;
	c->at = raw->at;
	raw->at += c->in_size;
	raw->bytes += c->in_size;
	/* A hole of the file up to the chunk's end needs no reading. */
	next = lseek(raw->fd, c->at, SEEK_DATA);
	c->zero = next < 0 ? errno == ENXIO : next >= raw->at;
	/* What is beyond the end looks like a hole. */
	if (c->zero && fd_file_size(raw->fd) < raw->at)
		return fail_shorter(raw);
	c->fetch = !c->zero;
	return 0;
}

int raw_fetch(void *data, struct chunk *c)
{
	const struct raw *raw = data;
	ssize_t n = fd_pread_full(raw->ctx, raw->fd, c->in, c->in_size, c->at);

	if (n < 0)
		return raw_fail(raw, n);
	return (size_t)n < c->in_size ? fail_shorter(raw) : 0;
}

/* Units of this size that are zero become holes in the file. */
#define HOLE (64u << 10)

static bool is_zero(const uint8_t *p, size_t size)
{
	return (p >= zeros && p < zeros + ZEROS_SIZE) || (*p == 0 && is_constant(p, size));
}

static int write_sparse(const struct raw *raw, const uint8_t *p, size_t size)
{
	int err = 0;

	while (size && !err) {
		size_t n = 0;
		bool zero = is_zero(p, size < HOLE ? size : HOLE);

		/* All following units of the same kind */
		do
			n += size - n < HOLE ? size - n : HOLE;
		while (n < size && zero == is_zero(p + n, size - n < HOLE ? size - n : HOLE));
		if (zero)
			err = lseek(raw->fd, n, SEEK_CUR) < 0 ? -errno : 0;
		else
			err = fd_write(raw->ctx, raw->fd, p, n);
		p += n;
		size -= n;
	}
	return err;
}

int raw_write(void *data, struct chunk *c)
{
	struct raw *raw = data;
	int err = 0;

	for (int i = 0; !err && i < c->iov_count; i++)
		err = raw_account(raw, c->iov[i].iov_base, c->iov[i].iov_len);
	if (err)
		return err;
	if (raw->sparse)
		for (int i = 0; !err && i < c->iov_count; i++)
			err = write_sparse(raw, c->iov[i].iov_base, c->iov[i].iov_len);
	else if (raw->fd >= 0)
		err = fd_writev(raw->ctx, raw->fd, c->iov, c->iov_count);
	return err ? raw_fail(raw, err) : 0;
}

int raw_end(const struct raw *raw)
{
	if (raw->sparse && ftruncate(raw->fd, lseek(raw->fd, 0, SEEK_CUR)))
		return raw_fail(raw, -errno);
	return 0;
}
