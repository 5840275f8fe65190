// SPDX-License-Identifier: GPL-2.0-or-later
/* A libFuzzer target: an image goes through all functions that read images, and they must agree. */
#include <err.h>
#include <errno.h>
#include <sys/mman.h>
#include <unistd.h>
#include <vfiomig.h>

#include "fuzz.h"
#include "image/inspect.h"

static struct vfiomig_ctx *ctx;
static int image_fd, state_fd;

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc;
	(void)argv;
	image_fd = memfd_create("image", 0);
	state_fd = memfd_create("state", 0);
	if (image_fd < 0 || state_fd < 0 || vfiomig_new(&ctx))
		err(1, "cannot start");
	return 0;
}

/* An image can only cause the errors that vfiomig.h names, and each has a sentence. */
static int expect_image_error(int ret)
{
	expect(ret == 0 || ret == -EBADMSG || ret == -ENODATA, "an error that no image can cause");
	expect(ret == 0 || *vfiomig_get_error(ctx), "an error without a sentence");
	return ret;
}

/* The name of the last device of the last image, if that is a set. */
static char device[256];

static void note_device(const struct vfiomig_image *image)
{
	unsigned int devices = vfiomig_image_get_devices(image);

	expect(devices == 0 || (devices > 1 && devices <= VFIOMIG_SET_MAX), "an impossible set");
	snprintf(device, sizeof(device), "%s", devices ? image->image.names[devices - 1] : "");
}

static int look(bool verify, struct vfiomig_result *result)
{
	const struct vfiomig_options options = { .size = sizeof(struct vfiomig_options),
						 .leave = -1,
						 .threads = 2 };
	struct vfiomig_image *image = NULL;
	int ret;

	lseek(image_fd, 0, SEEK_SET);
	ret = expect_image_error(vfiomig_image_open(ctx, image_fd, &image));
	if (ret)
		return ret;
	expect(vfiomig_image_get_header(image), "an image without a header");
	note_device(image);
	ret = verify ? vfiomig_image_verify(image, &options, result) : vfiomig_image_skim(image);
	expect_image_error(ret);
	expect(ret || vfiomig_image_get_trailer(image), "an image without a trailer");
	vfiomig_image_free(image);
	return ret;
}

static int unpack(struct vfiomig_result *result)
{
	const struct vfiomig_options options = { .size = sizeof(struct vfiomig_options),
						 .leave = -1,
						 .threads = 1,
						 .device = *device ? device : NULL };

	lseek(image_fd, 0, SEEK_SET);
	lseek(state_fd, 0, SEEK_SET);
	expect(ftruncate(state_fd, 0) == 0, "ftruncate");
	return expect_image_error(vfiomig_unpack(ctx, image_fd, state_fd, &options, result));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct vfiomig_result verified = VFIOMIG_RESULT_INIT, unpacked = VFIOMIG_RESULT_INIT;
	int skim, verify;

	expect(ftruncate(image_fd, 0) == 0 && pwrite(image_fd, data, size, 0) == (ssize_t)size,
	       "writing the image");
	*device = '\0';
	skim = look(false, &verified);
	verify = look(true, &verified);
	expect(verify || !skim, "what verifies cannot be skimmed");
	expect(unpack(&unpacked) == verify,
	       "what verifies cannot be unpacked, or the other way round");
	expect(verify || (*device ? verified.bytes > unpacked.bytes
				  : verified.bytes == unpacked.bytes),
	       "verify and unpack differ in the size of the state");
	expect(verify || lseek(state_fd, 0, SEEK_END) == (off_t)unpacked.bytes,
	       "unpack wrote another number of bytes than it says");
	return 0;
}
