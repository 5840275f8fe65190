// SPDX-License-Identifier: LGPL-2.1-or-later
/* Reading a state in pieces. */
#include <stdio.h>

#include "image/data.h"
#include "source.h"

/* Of a raw state, one read */
#define RAW_CHUNK (256u << 10)

static int make_room(struct source *s, size_t in, size_t out, size_t pieces)
{
	struct chunk *c = &s->chunk;

	c->in = malloc(in);
	c->out = out ? malloc(out) : NULL;
	c->iov = calloc(pieces, sizeof(*c->iov));
	return c->in && c->iov && (c->out || !out) ? 0 : ctx_fail_memory(s->ctx);
}

static int open_image(struct source *s, const char *device)
{
	int err = image_open_peeked(&s->image, &s->from);
	int number = err ? err : image_choose(&s->image, device);

	if (number < 0)
		return number;
	s->device = number;
	err = raw_init(&s->state, s->ctx, -1, "");
	if (err)
		return err;
	s->how.ctx = s->ctx;
	s->how.chunk_size = s->image.chunk_size;
	s->how.stored = !s->image.compressed;
	s->how.names = s->image.names;
	s->decoder = frame_decoder_new(&s->how);
	if (!s->decoder)
		return ctx_fail_memory(s->ctx);
	return make_room(s, frame_size_max(s->image.chunk_size), s->image.chunk_size,
			 frame_pieces(s->image.chunk_size));
}

/* Which of two sources a failure is of. */
static int name_failure(const struct source *s, int err)
{
	char sentence[sizeof(s->ctx->error)];

	if (!err || err == -EINTR || err == -ENOMEM)
		return err;
	snprintf(sentence, sizeof(sentence), "%s", s->ctx->error);
	return ctx_fail(s->ctx, err, "%s: %s", s->name, sentence);
}

static int open_state(struct source *s, const struct vfiomig_options *opt)
{
	int err = raw_peek(&s->from, opt->force);

	s->is_image = err == -EBADMSG && raw_is_image(&s->from);
	if (s->is_image)
		return open_image(s, opt->device);
	if (err == -EBADMSG)
		return ctx_fail(s->ctx, err,
				"this is a zstd file, not raw state; \"zstd -dc\" extracts it");
	return err ? err : make_room(s, RAW_CHUNK, 0, 1);
}

int source_open(struct source *s, struct vfiomig_ctx *ctx, int fd, const char *name,
		const struct vfiomig_options *opt)
{
	*s = (struct source)SOURCE_NONE;
	s->ctx = ctx;
	s->name = name;
	s->from = (struct raw){
		.ctx = ctx, .fd = fd, .what = "reading the state", .chunk_size = RAW_CHUNK
	};
	fd_widen(fd);
	return name_failure(s, open_state(s, opt));
}

void source_free(struct source *s)
{
	if (s->decoder)
		frame_decoder_free(s->decoder);
	raw_free(&s->state);
	image_free(&s->image);
	free(s->chunk.in);
	free(s->chunk.out);
	free(s->chunk.iov);
}

const char *source_header(const struct source *s)
{
	return s->is_image ? image_header(&s->image, s->device) : NULL;
}

uint64_t source_expected(const struct source *s)
{
	return s->is_image ? meta_number(source_header(s), "expected_bytes", 0)
			   : (uint64_t)fd_file_size(s->from.fd);
}

/* The next frame of the device, those of others being passed over; none at the end. */
static int find_frame(struct source *s)
{
	struct chunk *c = &s->chunk;
	int err = 0;

	do {
		c->in_size = 0;
		c->lane = 0;
		c->fetch = c->ends_lane = false;
		err = image_read(&s->image, c);
	} while (!err && (c->ends_lane || (c->in_size && c->lane != s->device)));
	return err;
}

/* The next frame, whose content becomes the pieces of the chunk; none at the end. */
static int read_frame(struct source *s)
{
	struct chunk *c = &s->chunk;
	int err = find_frame(s);

	c->iov_count = 0;
	if (!err && !c->in_size)
		return image_check(&s->image, s->device, &s->state);
	if (!err && c->fetch)
		err = image_fetch(&s->image, c);
	if (!err)
		err = frame_decode(s->decoder, c);
	if (err)
		return err;
	c->number++;
	image_add(&s->image, s->device, c->in, c->in_size);
	for (int i = 0; i < c->iov_count; i++) {
		raw_add(&s->state, c->iov[i].iov_base, c->iov[i].iov_len);
		s->state.bytes += c->iov[i].iov_len;
	}
	return 0;
}

static int read_chunk(struct source *s)
{
	int err = s->is_image ? read_frame(s) : raw_read(&s->from, &s->chunk);

	s->piece = 0;
	return name_failure(s, err);
}

static int next_piece(struct source *s, const uint8_t **bytes, size_t *size)
{
	const struct iovec *iov;

	*size = 0;
	if (s->piece == s->chunk.iov_count && !s->ended) {
		int err = read_chunk(s);

		if (err)
			return err;
		s->ended = !s->chunk.in_size;
	}
	if (s->ended)
		return 0;
	iov = &s->chunk.iov[s->piece++];
	*bytes = iov->iov_base;
	*size = iov->iov_len;
	return 0;
}

int source_peek(struct source *s)
{
	while (s->first_size < sizeof(s->first)) {
		size_t room = sizeof(s->first) - s->first_size, size;
		const uint8_t *bytes;
		int err = next_piece(s, &bytes, &size);

		if (err || !size)
			return err;
		if (size > room) {
			/* The rest of the piece is for the next call. */
			struct iovec *iov = &s->chunk.iov[--s->piece];

			iov->iov_base = (uint8_t *)iov->iov_base + room;
			iov->iov_len -= room;
			size = room;
		}
		memcpy(s->first + s->first_size, bytes, size);
		s->first_size += size;
	}
	return 0;
}

int source_next(struct source *s, const uint8_t **bytes, size_t *size)
{
	*bytes = s->first + s->first_used;
	*size = s->first_size - s->first_used;
	s->first_used = s->first_size;
	return *size ? 0 : next_piece(s, bytes, size);
}
