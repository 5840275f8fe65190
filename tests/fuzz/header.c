// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A libFuzzer target: the JSON of headers. The input is a text that a stranger wrote; it gets a
 * right checksum. The target knows nothing of frames, so that all of libFuzzer's mutations change
 * the JSON.
 */
#include <err.h>
#include <errno.h>
#include <inttypes.h>
#include <json-c/json.h>
#include <string.h>
#include <sys/mman.h>
#include <xxhash.h>

#include "device/config.h"
#include "fuzz.h"
#include "image/frame.h"
#include "image/meta.h"
#include "json.h"

static struct vfiomig_ctx *ctx;
static int image_fd;

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc;
	(void)argv;
	image_fd = memfd_create("image", 0);
	if (image_fd < 0 || vfiomig_new(&ctx))
		err(1, "cannot start");
	return 0;
}

/* Returns the text with its checksum as it is in an image. The caller frees it. */
static char *seal(const uint8_t *data, size_t size, size_t *sealed)
{
	char *text;

	*sealed = size + 24;
	text = malloc(*sealed + 1);
	memcpy(text, data, size);
	snprintf(text + size, 25, "\nxxh64:%016" PRIx64 "\n", (uint64_t)XXH64(data, size, 0));
	return text;
}

/*
 * json-c (0.16) misreads a pair of surrogates as a single surrogate if the low 16 bits of the
 * character are those of a surrogate.
 */
static bool json_c_misreads(const char *text)
{
	unsigned int high, low, code;

	for (; (text = strstr(text, "\\ud")); text++) {
		if (sscanf(text, "\\u%4x\\u%4x", &high, &low) != 2 || high >= 0xdc00 ||
		    low < 0xdc00 || low > 0xdfff)
			continue;
		code = 0x10000 + ((high & 0x3ff) << 10 | (low & 0x3ff));
		if ((code & 0xf800) == 0xd800)
			return true;
	}
	return false;
}

/*
 * Whatever the header says, nothing is printed that a terminal would obey, and what is printed is
 * JSON for the same header.
 */
static void expect_printable(struct json_object *header)
{
	struct json_object *again;
	char *text = NULL;
	size_t size;
	FILE *f = open_memstream(&text, &size);

	copy_json(json_object_to_json_string(header), 0, f);
	fclose(f);
	for (size_t i = 0; i < size; i++)
		expect(text[i] == '\n' || (text[i] >= ' ' && text[i] < 0x7f),
		       "a control character was printed");
	again = json_tokener_parse(text);
	expect(json_c_misreads(text) || (again && json_object_equal(header, again)),
	       "the printed JSON is not the header");
	json_object_put(again);
	free(text);
}

/* What is read of the header is what json-c reads. */
static void expect_same(const char *json, struct json_object *header, const char *key)
{
	struct json_object *theirs = json_object_object_get(header, key);
	uint64_t number = meta_number(json, key, 77);
	char text[4096];
	ssize_t n = meta_string(json, key, text, sizeof(text));

	/* For json-c a key ends at a zero byte, so that it takes another key for this one. */
	if (strstr(json, "\\u0000"))
		return;
	expect(json_object_is_type(theirs, json_type_string) == (n >= 0), "not the same type");
	/* json-c leaves a zero byte in the middle of a string. */
	expect(n < 0 || n >= (ssize_t)sizeof(text) || strstr(json, "\\u") ||
		       strcmp(json_object_get_string(theirs), text) == 0,
	       "another string");
	expect(number == 77 || !json_object_is_type(theirs, json_type_int) ||
		       json_object_get_uint64(theirs) == number,
	       "another number");
}

static void use(const char *json, struct json_object *header)
{
	static const char *const keys[] = { "format",	   "chunk_size", "config",
					    "compression", "device",	 "expected_bytes" };
	struct vfiomig_device dev = {
		.ctx = ctx,
		.name = (char *)"0000:00:10.0",
		.sys.bus = (char *)"pci",
		.sys.driver = (char *)"x",
	};

	for (size_t i = 0; i < ARRAY_SIZE(keys); i++)
		expect_same(json, header, keys[i]);
	expect(meta_check_device(&dev, json) == 0 || strchr(vfiomig_get_error(ctx), '\033') == NULL,
	       "an escape sequence in a message");
}

/* Open an image with this header. */
static void open_image(const char *text, size_t size)
{
	struct vfiomig_image *image = NULL;
	uint8_t head[SIZE_FRAME + 8];
	int ret;

	frame_put_size(head, size + 8);
	put_le32(head + SIZE_FRAME, MAGIC_HEADER);
	put_le32(head + SIZE_FRAME + 4, size);
	if (ftruncate(image_fd, 0) || pwrite(image_fd, head, sizeof(head), 0) != sizeof(head) ||
	    pwrite(image_fd, text, size, sizeof(head)) != (ssize_t)size)
		err(1, "writing the image");
	lseek(image_fd, 0, SEEK_SET);
	ret = vfiomig_image_open(ctx, image_fd, &image);
	expect(ret == 0 || ret == -EBADMSG, "an error that no image can cause");
	if (ret == 0)
		vfiomig_image_free(image);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text, *json;
	size_t sealed;

	text = seal(data, size, &sealed);
	if (meta_read(text, sealed, &json) == 0) {
		struct json_object *header = json_tokener_parse(json);

		expect(header != NULL, "json-c does not take it");
		expect_printable(header);
		use(json, header);
		json_object_put(header);
		free(json);
	}
	open_image(text, sealed);
	free(text);
	return 0;
}
