// SPDX-License-Identifier: LGPL-2.1-or-later
/* Images with an additional frame, which vfiomig never writes. */
#include <xxhash.h>
#include <zstd.h>

#include "image/frame.h"
#include "unit.h"

/*
 * Make an image of "state" that has a frame of eight bytes with this magic number after its header.
 */
static int image_with(uint32_t magic)
{
	int in = new_file("state", 5), out = new_file("", 0);
	struct vfiomig_result r = VFIOMIG_RESULT_INIT;
	uint8_t image[2048];
	size_t header, n;

	assert_int_equal(vfiomig_pack(ctx, in, out, NULL, &r), 0);
	n = pread(out, image, sizeof(image) - SIZE_FRAME - 8, 0);
	header = SIZE_FRAME + get_le32(image + 8);
	memmove(image + header + SIZE_FRAME + 8, image + header, n - header);
	frame_put_size(image + header, 8);
	put_le32(image + header + SIZE_FRAME, magic);
	put_le32(image + header + SIZE_FRAME + 4, 0);
	close(in);
	close(out);
	return new_file(image, n + SIZE_FRAME + 8);
}

static void assert_damaged(int err, const char *why)
{
	assert_int_equal(err, -EBADMSG);
	assert_says(why);
}

/* Unpacking the image fails before anything is written. */
static void expect(uint32_t magic, const char *why)
{
	int fd = image_with(magic), out = new_file("", 0);
	struct vfiomig_result r = VFIOMIG_RESULT_INIT;

	assert_damaged(vfiomig_unpack(ctx, fd, out, NULL, &r), why);
	assert_int_equal(lseek(out, 0, SEEK_END), 0);
	assert_false(r.complete);
	close(fd);
	close(out);
}

static void test_too_short(void **state)
{
	struct frame_how how = { .ctx = ctx, .chunk_size = CHUNK_SIZE_DEFAULT };
	uint8_t frame[8] = { 0x28, 0xb5, 0x2f, 0xfd }, out[8];
	struct chunk c = { .in = frame, .in_size = 8, .out = out };
	void *decoder = frame_decoder_new(&how);

	(void)state;
	assert_damaged(frame_decode(decoder, &c), "chunk 0: the frame is too short");
	frame_decoder_free(decoder);
	/* Another thread may first find that the trailer has a different number of chunks. */
	expect(MAGIC_ZSTD, "the image is damaged: ");
}

static void test_unknown_kind(void **state)
{
	struct vfiomig_image *image;
	int fd = image_with(MAGIC_HEADER);

	(void)state;
	expect(MAGIC_HEADER, "a frame is of an unknown kind");
	assert_int_equal(vfiomig_image_open(ctx, fd, &image), 0);
	assert_damaged(vfiomig_image_skim(image), "a frame is of an unknown kind");
	vfiomig_image_free(image);
	close(fd);
}

#define CONTENT 100000 /* so many bytes need four for the content size, as in all stored frames */

/* A frame that is being put together, and what it decodes to. */
static struct {
	uint8_t frame[2 * CONTENT], content[CONTENT];
	size_t size, content_size;
} made;

/* Add a block of type 0, raw, or 1, RLE. */
static void add_block(int type, uint8_t byte, size_t size, bool last)
{
	uint32_t header = last | type << 1 | size << 3;

	for (int i = 0; i < 3; i++)
		made.frame[made.size++] = header >> 8 * i;
	memset(made.content + made.content_size, byte, size);
	memset(made.frame + made.size, byte, type ? 1 : size);
	made.size += type ? 1 : size;
	made.content_size += size;
}

static void begin_frame(void)
{
	const uint8_t header[] = { 0x28, 0xb5, 0x2f, 0xfd, 0xa4 };

	memcpy(made.frame, header, sizeof(header));
	made.size = 9;
	made.content_size = 0;
}

static void end_frame(void)
{
	put_le32(made.frame + 5, made.content_size);
	put_le32(made.frame + made.size, XXH64(made.content, made.content_size, 0));
	made.size += 4;
}

/* Decode the frame twice, and once more with another checksum. Returns the first piece. */
static const void *decode_frame(void)
{
	struct frame_how how = { .ctx = ctx, .chunk_size = CONTENT, .stored = true };
	struct iovec iov[16];
	static uint8_t out[CONTENT];
	struct chunk c = { .in = made.frame, .in_size = made.size, .out = out, .iov = iov };
	void *decoder = frame_decoder_new(&how);

	assert_in_range(frame_pieces(CONTENT), 1, ARRAY_SIZE(iov));
	for (int i = 0; i < 2; i++) {
		const uint8_t *content = made.content;

		assert_int_equal(frame_decode(decoder, &c), 0);
		assert_int_equal(c.out_size, made.content_size);
		for (int j = 0; j < c.iov_count; j++) {
			assert_memory_equal(iov[j].iov_base, content, iov[j].iov_len);
			content += iov[j].iov_len;
		}
		assert_ptr_equal(content, made.content + made.content_size);
	}
	made.frame[made.size - 1]++;
	assert_damaged(frame_decode(decoder, &c), "chunk 0: Restored data doesn't match checksum");
	frame_decoder_free(decoder);
	return iov[0].iov_base;
}

/* Frames of raw and RLE blocks, as vfiomig writes them and otherwise, and of compressed blocks. */
static void test_blocks(void **state)
{
	(void)state;
	begin_frame();
	add_block(0, 'a', 10000, false);
	add_block(1, 'b', 10000, false);
	add_block(1, 'c', 10000, false);
	add_block(1, 0, 10000, true);
	end_frame();
	/* A raw block is not copied. */
	assert_ptr_equal(decode_frame(), made.frame + 12);

	begin_frame();
	add_block(1, 0, 60000, false);
	add_block(1, 0, 40000, true);
	end_frame();
	decode_frame();

	/* More blocks than there are pieces, and an empty one */
	begin_frame();
	for (int i = 0; i < 1000; i++)
		add_block(0, i, 70, false);
	add_block(0, 0, 0, true);
	end_frame();
	decode_frame();

	for (int i = 0; i < CONTENT; i++)
		made.content[i] = i / 100;
	ZSTD_CCtx *cctx = ZSTD_createCCtx();

	ZSTD_CCtx_setParameter(cctx, ZSTD_c_checksumFlag, 1);
	made.content_size = CONTENT;
	made.size = ZSTD_compress2(cctx, made.frame, sizeof(made.frame), made.content, CONTENT);
	ZSTD_freeCCtx(cctx);
	assert_int_equal(made.frame[4], 0xa4);
	decode_frame();
}

/* What the pipeline reckons with for an encoder and a decoder is what they take, at most. */
static void test_room(void **state)
{
	const size_t sizes[] = { 65537, 1 << 20, 3 << 20, 9 << 20 };
	size_t most = sizes[ARRAY_SIZE(sizes) - 1];
	char *in = calloc(1, most), *out = malloc(most);

	(void)state;
	for (int level = 1; level <= LEVEL_MAX; level++) {
		/* The last size is an exception of the last level. */
		for (size_t i = 0; i < ARRAY_SIZE(sizes) - (level < LEVEL_MAX); i++) {
			ZSTD_CCtx *c = ZSTD_createCCtx();

			ZSTD_CCtx_setParameter(c, ZSTD_c_compressionLevel, level);
			ZSTD_CCtx_setParameter(c, ZSTD_c_checksumFlag, 1);
			assert_false(ZSTD_isError(ZSTD_compress2(c, out, most, in, sizes[i])));
			assert_in_range(ZSTD_sizeof_CCtx(c), 0,
					frame_encoder_room(sizes[i], level));
			ZSTD_freeCCtx(c);
		}
	}
	ZSTD_DCtx *d = ZSTD_createDCtx();

	assert_in_range(ZSTD_sizeof_DCtx(d), 0, frame_decoder_room());
	ZSTD_freeDCtx(d);
	free(in);
	free(out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_too_short),
		cmocka_unit_test(test_unknown_kind),
		cmocka_unit_test(test_blocks),
		cmocka_unit_test(test_room),
	};

	return cmocka_run_group_tests_name("frames", tests, make_ctx, free_ctx);
}
