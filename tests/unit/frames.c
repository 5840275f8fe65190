// SPDX-License-Identifier: LGPL-2.1-or-later
/* Images with an additional frame, which vfiomig never writes. */
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
		cmocka_unit_test(test_room),
	};

	return cmocka_run_group_tests_name("frames", tests, make_ctx, free_ctx);
}
