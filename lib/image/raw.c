// SPDX-License-Identifier: LGPL-2.1-or-later
/* The state as bytes, read from a data_fd or a file, and written to one. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "data.h"
#include "raw.h"

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
	free(raw->peeked);
	raw->peeked = NULL;
	XXH3_freeState(raw->digest);
	raw->digest = NULL;
}

void raw_digest(const struct raw *raw, char text[48])
{
	XXH128_hash_t h = XXH3_128bits_digest(raw->digest);

	snprintf(text, 48, "xxh128:%016" PRIx64 "%016" PRIx64, h.high64, h.low64);
}

void raw_account(struct raw *raw, const void *data, size_t size)
{
	raw->bytes += size;
	if (raw->digest)
		XXH3_128bits_update(raw->digest, data, size);
}

int raw_fail(const struct raw *raw, int err)
{
	return fd_fail(raw->ctx, err, raw->what);
}

int raw_peek(struct raw *raw)
{
	ssize_t n;

	raw->peeked = malloc(1);
	if (!raw->peeked)
		return ctx_fail_memory(raw->ctx);
	n = fd_read(raw->ctx, raw->fd, raw->peeked, 1);
	if (n < 0)
		return raw_fail(raw, n);
	return n ? 0 : ctx_fail(raw->ctx, -ENODATA, "the image is empty");
}

int raw_read(void *data, struct chunk *c)
{
	struct raw *raw = data;
	size_t have = 0;
	ssize_t n;

	if (raw->peeked) {
		c->in[0] = *raw->peeked;
		have = 1;
		free(raw->peeked);
		raw->peeked = NULL;
	}
	n = fd_read_full(raw->ctx, raw->fd, c->in + have, raw->chunk_size - have);
	if (n < 0)
		return raw_fail(raw, n);
	n += have;
	raw_account(raw, c->in, n);
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

	for (int i = 0; i < c->iov_count; i++)
		raw_account(raw, c->iov[i].iov_base, c->iov[i].iov_len);
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
