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

int raw_account(struct raw *raw, const void *data, size_t size)
{
	int err;

	raw->bytes += size;
	if (raw->digest)
		XXH3_128bits_update(raw->digest, data, size);
	err = raw->tap ? raw->tap(raw->tap_data, data, size) : 0;
	return err ? ctx_fail(raw->ctx, err, "the caller has ended it") : 0;
}

int raw_fail(const struct raw *raw, int err)
{
	return fd_fail(raw->ctx, err, raw->what);
}

/* Whether a frame of this kind follows its size. */
static bool is_frame(const struct raw *raw, uint32_t magic)
{
	const uint8_t *p = raw->peeked;

	return raw->peeked_size == RAW_PEEK && get_le32(p) == MAGIC_SIZE && get_le32(p + 4) == 4 &&
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

int raw_read(void *data, struct chunk *c)
{
	struct raw *raw = data;
	size_t have = raw->peeked_size;
	ssize_t n;
	int err;

	memcpy(c->in, raw->peeked, have);
	raw->peeked_size = 0;
	n = fd_read_full(raw->ctx, raw->fd, c->in + have, raw->chunk_size - have);
	if (n < 0)
		return raw_fail(raw, n);
	n += have;
	err = raw_account(raw, c->in, n);
	if (err)
		return err;
	c->in_size = n;
	c->iov[0] = (struct iovec){ c->in, n };
	c->iov_count = 1;
	return 0;
}

/* Units of this size that are zero become holes in the file. */
#define HOLE (64u << 10)

static bool is_zero(const uint8_t *p, size_t size)
{
	return *p == 0 && is_constant(p, size);
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
