// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * A chunk of state as a Zstandard frame, and back (RFC 8878).
 *
 * libzstd compresses and decodes. It has no way to store data as they are, so frames of raw and RLE
 * blocks are put together here. A block of one repeated byte takes four bytes; any other block is
 * written from the buffer that it was read into.
 */
#include <string.h>
#include <xxhash.h>
#include <zstd.h>
#include <zstd_errors.h>

#include "data.h"
#include "frame.h"

#define BLOCK_SIZE	   (128u << 10) /* the most that the format allows */

/* Frame_Header_Descriptor */
#define FHD_CHECKSUM	   (1 << 2)
#define FHD_UNUSED	   (1 << 4)
#define FHD_SINGLE_SEGMENT (1 << 5)
#define FHD_SIZE_4_BYTES   (2 << 6)
#define FHD_DICTIONARY	   3
/* All frames that are put together here have this one. */
#define FHD_STORED	   (FHD_SIZE_4_BYTES | FHD_SINGLE_SEGMENT | FHD_CHECKSUM)

#define FRAME_HEADER	   (4 + 1 + 4) /* with a content size of four bytes */
#define BLOCK_HEADER	   3
#define CHECKSUM	   4

enum block_type {
	BLOCK_RAW,
	BLOCK_RLE
};

struct encoder {
	const struct frame_how *how;
	ZSTD_CCtx *cctx; /* NULL to store */
	/* The checksum of the last chunk of zeros. Memory that is zero has many such chunks. */
	size_t zeros;
	uint32_t zeros_checksum;
};

void frame_put_size(uint8_t *p, size_t size)
{
	put_le32(p, MAGIC_SIZE);
	put_le32(p + 4, 4);
	put_le32(p + 8, size);
}

static uint32_t label_checksum(const uint8_t *p)
{
	return XXH64(p, LABEL_FRAME - CHECKSUM, 0);
}

void frame_put_label(uint8_t *p, uint32_t device, uint64_t number)
{
	put_le32(p, MAGIC_LABEL);
	put_le32(p + 4, LABEL_FRAME - 8);
	put_le32(p + 8, device);
	put_le32(p + 12, number);
	put_le32(p + 16, number >> 32);
	put_le32(p + 20, label_checksum(p));
}

bool frame_get_label(const uint8_t *p, uint32_t *device, uint64_t *number)
{
	*device = get_le32(p + 8);
	*number = get_le32(p + 12) | (uint64_t)get_le32(p + 16) << 32;
	return get_le32(p) == MAGIC_LABEL && get_le32(p + 4) == LABEL_FRAME - 8 &&
	       get_le32(p + 20) == label_checksum(p);
}

static size_t nr_blocks(size_t size)
{
	return (size + BLOCK_SIZE - 1) / BLOCK_SIZE;
}

static size_t stored_room(size_t chunk_size)
{
	return SIZE_FRAME + FRAME_HEADER + nr_blocks(chunk_size) * (BLOCK_HEADER + 1) + CHECKSUM;
}

size_t frame_size_max(size_t chunk_size)
{
	return ZSTD_compressBound(chunk_size) + stored_room(chunk_size);
}

size_t frame_room(size_t chunk_size, int level)
{
	return level ? frame_size_max(chunk_size) : stored_room(chunk_size);
}

int frame_pieces(size_t chunk_size)
{
	return 2 * nr_blocks(chunk_size) + 2;
}

/* ---- Storing ------------------------------------------------------------- */

/* Add a piece to the iovec. Pieces that follow each other in memory become one. */
static void add_piece(struct chunk *c, const void *base, size_t size)
{
	struct iovec *last = &c->iov[c->iov_count - 1];

	if (c->iov_count && (const uint8_t *)last->iov_base + last->iov_len == base)
		last->iov_len += size;
	else
		c->iov[c->iov_count++] = (struct iovec){ (void *)base, size };
}

/* Add bytes of the frame's own, which are kept in chunk->out. Returns where to write them. */
static uint8_t *add_own(struct chunk *c, size_t size)
{
	uint8_t *p = c->out + c->out_size;

	c->out_size += size;
	add_piece(c, p, size);
	return p;
}

static void put_block_header(uint8_t *p, bool last, enum block_type type, size_t size)
{
	uint32_t header = last | type << 1 | (uint32_t)size << 3;

	p[0] = header;
	p[1] = header >> 8;
	p[2] = header >> 16;
}

static uint32_t checksum_of(struct encoder *e, const struct chunk *c)
{
	if (!c->zero)
		return XXH64(c->in, c->in_size, 0);
	if (e->zeros != c->in_size) {
		memset(c->in, 0, c->in_size);
		e->zeros_checksum = XXH64(c->in, c->in_size, 0);
		e->zeros = c->in_size;
	}
	return e->zeros_checksum;
}

static size_t pieces_size(const struct chunk *c)
{
	size_t size = 0;

	for (int i = 0; i < c->iov_count; i++)
		size += c->iov[i].iov_len;
	return size;
}

static void store(struct encoder *e, struct chunk *c)
{
	bool zero = true;
	uint8_t *p;

	c->out_size = c->iov_count = 0;
	p = add_own(c, SIZE_FRAME + FRAME_HEADER) + SIZE_FRAME;
	put_le32(p, MAGIC_ZSTD);
	p[4] = FHD_STORED;
	put_le32(p + 5, c->in_size);

	for (size_t at = 0; at < c->in_size; at += BLOCK_SIZE) {
		const uint8_t *block = c->zero ? zeros : c->in + at;
		size_t size = c->in_size - at;
		bool last = size <= BLOCK_SIZE;

		if (!last)
			size = BLOCK_SIZE;
		if (c->zero || is_constant(block, size)) {
			p = add_own(c, BLOCK_HEADER + 1);
			put_block_header(p, last, BLOCK_RLE, size);
			p[BLOCK_HEADER] = *block;
			zero = zero && !*block;
		} else {
			p = add_own(c, BLOCK_HEADER);
			put_block_header(p, last, BLOCK_RAW, size);
			add_piece(c, block, size);
			zero = false;
		}
	}
	c->zero = zero;
	put_le32(add_own(c, CHECKSUM), checksum_of(e, c));
	frame_put_size(c->out, pieces_size(c) - SIZE_FRAME);
}

/* ---- Compressing --------------------------------------------------------- */

static int compress_chunk(struct encoder *e, struct chunk *c)
{
	size_t room = frame_room(e->how->chunk_size, e->how->level);
	size_t size =
		ZSTD_compress2(e->cctx, c->out + SIZE_FRAME, room - SIZE_FRAME, c->in, c->in_size);

	if (ZSTD_isError(size))
		return ctx_fail(e->how->ctx, -ENOMEM, "compression failed: %s",
				ZSTD_getErrorName(size));
	frame_put_size(c->out, size);
	c->iov[0] = (struct iovec){ c->out, SIZE_FRAME + size };
	c->iov_count = 1;
	return 0;
}

/*
 * libzstd tells the size of a context only when the context has been used. These are the MiB that
 * the levels take for chunks of more than 1 MiB. Smaller chunks have smaller tables. A test
 * compares the bounds with what contexts take.
 */
size_t frame_encoder_room(size_t chunk_size, int level)
{
	static const uint8_t mib[LEVEL_MAX + 1] = { 0,	1,  1,	2,  3,	4,  4,	7,  7,	13,
						    25, 25, 49, 33, 49, 65, 33, 49, 50, 50 };
	size_t large = (size_t)mib[level] << 20, small = 2u << 20, power = VFIOMIG_CHUNK_SIZE_MIN;

	if (level == LEVEL_MAX && chunk_size > 4u << 20)
		return 84u << 20;
	while (power < chunk_size)
		power *= 2;
	small += 17 * power;
	return power <= 1u << 20 && small < large ? small : large;
}

void *frame_encoder_new(const void *how)
{
	const struct frame_how *h = how;
	struct encoder *e = calloc(1, sizeof(*e));

	if (!e)
		return NULL;
	e->how = h;
	if (!h->level)
		return e;
	e->cctx = ZSTD_createCCtx();
	if (!e->cctx) {
		free(e);
		return NULL;
	}
	ZSTD_CCtx_setParameter(e->cctx, ZSTD_c_compressionLevel, h->level);
	ZSTD_CCtx_setParameter(e->cctx, ZSTD_c_checksumFlag, 1);
	return e;
}

void frame_encoder_free(void *encoder)
{
	struct encoder *e = encoder;

	ZSTD_freeCCtx(e->cctx);
	free(e);
}

int frame_encode(void *encoder, struct chunk *c)
{
	struct encoder *e = encoder;

	if (e->cctx && !c->zero && !is_constant(c->in, c->in_size))
		return compress_chunk(e, c);
	store(e, c);
	return 0;
}

/* ---- Decoding ------------------------------------------------------------ */

size_t frame_decoder_room(void)
{
	return 128u << 10;
}

struct decoder {
	const struct frame_how *how;
	ZSTD_DCtx *dctx;
	XXH64_state_t *checksum;
	/* The checksum of the last chunk of zeros */
	size_t zeros;
	uint32_t zeros_checksum;
};

void *frame_decoder_new(const void *how)
{
	struct decoder *d = calloc(1, sizeof(*d));

	if (!d)
		return NULL;
	d->how = how;
	d->dctx = ZSTD_createDCtx();
	d->checksum = XXH64_createState();
	if (!d->dctx || !d->checksum) {
		frame_decoder_free(d);
		return NULL;
	}
	return d;
}

void frame_decoder_free(void *decoder)
{
	struct decoder *d = decoder;

	ZSTD_freeDCtx(d->dctx);
	XXH64_freeState(d->checksum);
	free(d);
}

static int fail_damaged(const struct decoder *d, const struct chunk *c, const char *why)
{
	const char *const *names = d->how->names;

	return ctx_fail(d->how->ctx, -EBADMSG, "the image is damaged: chunk %llu%s%s: %s",
			(unsigned long long)c->number, names ? " of " : "",
			names ? names[c->lane] : "", why);
}

/*
 * Check that the frame is as this library writes it: one frame and nothing more, with a content
 * size and a checksum. libzstd ignores the unused bit of the header. It is checked here, so that a
 * flipped bit is found there, too.
 */
static int check_frame(const struct decoder *d, const struct chunk *c, size_t *size)
{
	unsigned long long content;
	uint8_t fhd;

	if (c->in_size < FRAME_HEADER)
		return fail_damaged(d, c, "the frame is too short");
	fhd = c->in[4];
	if (!(fhd & FHD_CHECKSUM))
		return fail_damaged(d, c, "it has no checksum");
	if (fhd & (FHD_UNUSED | FHD_DICTIONARY) || (d->how->stored && fhd != FHD_STORED))
		return fail_damaged(d, c, "its header is not ours");
	content = ZSTD_getFrameContentSize(c->in, c->in_size);
	if (content == ZSTD_CONTENTSIZE_UNKNOWN || content == ZSTD_CONTENTSIZE_ERROR)
		return fail_damaged(d, c, "it does not tell its size");
	if (content == 0 || content > d->how->chunk_size)
		return fail_damaged(d, c, "its size is out of bounds");
	if (ZSTD_findFrameCompressedSize(c->in, c->in_size) != c->in_size)
		return fail_damaged(d, c, "the frame's length is wrong");
	*size = content;
	return 0;
}

/*
 * Find the content of a frame of raw and RLE blocks. It stays where it is in chunk->in, and zeros
 * are not written anywhere. check_frame() has seen that all blocks are there. Returns where the
 * checksum is, or NULL if this is not such a frame as store() makes: libzstd knows what it is.
 */
static const uint8_t *find_content(const struct decoder *d, struct chunk *c, size_t size)
{
	const uint8_t *p = c->in + FRAME_HEADER;
	bool last = c->in[4] != FHD_STORED;

	c->zero = true;
	c->out_size = c->iov_count = 0;
	while (!last) {
		uint32_t header = p[0] | p[1] << 8 | p[2] << 16;
		enum block_type type = header >> 1 & 3;
		size_t n = header >> 3;
		const uint8_t *content = p + BLOCK_HEADER;

		last = header & 1;
		if (type > BLOCK_RLE || !n || n > BLOCK_SIZE || n > size - c->out_size ||
		    c->iov_count == frame_pieces(d->how->chunk_size))
			return NULL;
		p = content + (type == BLOCK_RLE ? 1 : n);
		c->zero = c->zero && type == BLOCK_RLE && !*content;
		if (type == BLOCK_RLE)
			content = *content ? memset(c->out + c->out_size, *content, n) : zeros;
		add_piece(c, content, n);
		c->out_size += n;
	}
	return c->out_size == size ? p : NULL;
}

static uint32_t content_checksum(struct decoder *d, const struct chunk *c)
{
	uint32_t checksum;

	if (c->zero && d->zeros == c->out_size)
		return d->zeros_checksum;
	XXH64_reset(d->checksum, 0);
	for (int i = 0; i < c->iov_count; i++)
		XXH64_update(d->checksum, c->iov[i].iov_base, c->iov[i].iov_len);
	checksum = XXH64_digest(d->checksum);
	if (c->zero) {
		d->zeros = c->out_size;
		d->zeros_checksum = checksum;
	}
	return checksum;
}

static int decode(const struct decoder *d, struct chunk *c, size_t size)
{
	size_t got = ZSTD_decompressDCtx(d->dctx, c->out, size, c->in, c->in_size);

	if (ZSTD_isError(got))
		return fail_damaged(d, c, ZSTD_getErrorName(got));
	if (got != size)
		return fail_damaged(d, c, "its content is too short");
	c->out_size = size;
	c->iov[0] = (struct iovec){ c->out, size };
	c->iov_count = 1;
	return 0;
}

int frame_decode(void *decoder, struct chunk *c)
{
	struct decoder *d = decoder;
	const uint8_t *checksum;
	size_t size = 0;
	int err = check_frame(d, c, &size);

	if (err)
		return err;
	checksum = find_content(d, c, size);
	if (!checksum)
		return decode(d, c, size);
	if (get_le32(checksum) != content_checksum(d, c))
		return fail_damaged(d, c, ZSTD_getErrorString(ZSTD_error_checksum_wrong));
	return 0;
}
