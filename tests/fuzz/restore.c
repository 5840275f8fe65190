// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A libFuzzer target: whole restores. The kernel is replaced at ioctl(2) (see --wrap in the
 * Makefile) by a device that records the bytes that it gets. Whatever the image is:
 *
 * - the device gets the contents of the image's first frames, as libzstd decodes them, and no byte
 *   of the first frame that libzstd refuses or of anything after it;
 * - the device leaves RESUMING by an arc only if these frames were all of the image and the trailer
 *   has their digest; otherwise it is reset;
 * - the device ends in its former state, or in RUNNING with all of the image's state;
 * - an image in a file that is not whole does not touch the device at all.
 */
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/pci_regs.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <xxhash.h>
#include <zstd.h>

#include "../unit/feature.h"
#include "fuzz.h"
#include "image/frame.h"

#define FLAGS (VFIOMIG_STOP_COPY | VFIOMIG_P2P)

static struct {
	int state, resets;
	int data_fd; /* the bytes that the device got */
	bool resumed, loaded;
} kernel;

static struct vfiomig_ctx *ctx;
static struct vfiomig_device *dev;
static int file;

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	int config;

	(void)argc;
	(void)argv;
	file = memfd_create("image", 0);
	kernel.data_fd = memfd_create("data_fd", 0);
	config = memfd_create("device", 0);
	if (file < 0 || kernel.data_fd < 0 || ftruncate(config, PCI_CFG_SPACE_SIZE) ||
	    vfiomig_new(&ctx))
		err(1, "cannot start");
	/* The file is the device's configuration space. */
	dev = feature_device(ctx, config);
	dev->info_flags = VFIO_DEVICE_FLAGS_PCI;
	dev->name = strdup("a");
	return dev->name ? 0 : -1;
}

/* ---- The device ---------------------------------------------------------- */

static int set_state(struct vfio_device_feature_mig_state *mig)
{
	int to = mig->device_state;

	expect(vfiomig_fsm_path(FLAGS, kernel.state, to, NULL) == 1, "more than one arc at a time");
	mig->data_fd = -1;
	if (kernel.state == VFIOMIG_STATE_RESUMING)
		kernel.loaded = true;
	if (to == VFIOMIG_STATE_RESUMING) {
		kernel.resumed = true;
		mig->data_fd = dup(kernel.data_fd);
	}
	kernel.state = to;
	return 0;
}

int __wrap_ioctl(int fd, unsigned long request, ...);
int __wrap_ioctl(int fd, unsigned long request, ...)
{
	va_list ap;
	void *arg;

	expect(fd == dev->fd, "an ioctl of another descriptor");
	va_start(ap, request);
	arg = va_arg(ap, void *);
	va_end(ap);
	switch (request) {
	case VFIO_DEVICE_RESET:
		kernel.resets++;
		kernel.state = VFIOMIG_STATE_RUNNING;
		return 0;
	case VFIO_DEVICE_GET_REGION_INFO:
		((struct vfio_region_info *)arg)->offset = 0;
		return 0;
	case VFIO_DEVICE_FEATURE:
		return feature_answer(arg, FLAGS, kernel.state, set_state);
	default:
		expect(false, "an ioctl that no restore needs");
		return -1;
	}
}

/* ---- What the device should have got ------------------------------------- */

struct oracle {
	uint64_t bytes;
	XXH3_state_t *digest;
	bool whole;
};

static void expect_bytes(struct oracle *o, const uint8_t *data, size_t size)
{
	static uint8_t got[65536];
	size_t at = 0;

	while (at < size) {
		size_t n = size - at < sizeof(got) ? size - at : sizeof(got);
		ssize_t there = pread(kernel.data_fd, got, n, o->bytes + at);

		expect(there >= 0 && memcmp(got, data + at, there) == 0,
		       "the device got other bytes than the image's");
		if ((size_t)there < n)
			break;
		at += n;
	}
	o->bytes += size;
	XXH3_128bits_update(o->digest, data, size);
}

/* libzstd skips the frames of header and trailer, too. */
static bool is_trailer(const struct oracle *o, const uint8_t *frame, size_t size)
{
	XXH128_hash_t h = XXH3_128bits_digest(o->digest);
	char digest[64];
	int n = snprintf(digest, sizeof(digest), "xxh128:%016" PRIx64 "%016" PRIx64, h.high64,
			 h.low64);

	return get_le32(frame) == MAGIC_TRAILER && memmem(frame, size, digest, n);
}

static void walk(struct oracle *o, const uint8_t *p, size_t left)
{
	static uint8_t out[VFIOMIG_CHUNK_SIZE_MAX];

	while (left > SIZE_FRAME + 8 && get_le32(p) == MAGIC_SIZE) {
		size_t size = get_le32(p + 8), n;

		p += SIZE_FRAME;
		left -= SIZE_FRAME;
		if (size > left || size < 8)
			return;
		o->whole = size == left && is_trailer(o, p, size);
		if (get_le32(p) == MAGIC_ZSTD) {
			n = ZSTD_decompress(out, sizeof(out), p, size);
			if (ZSTD_isError(n))
				return;
			expect_bytes(o, out, n);
		}
		p += size;
		left -= size;
	}
}

/* ---- The restore --------------------------------------------------------- */

static int restore(int fd, bool force, struct vfiomig_result *result)
{
	const struct vfiomig_options options = {
		.size = sizeof(struct vfiomig_options),
		.leave = VFIOMIG_STATE_RUNNING,
		.threads = 2,
		.force = force,
	};

	kernel.state = force ? VFIOMIG_STATE_STOP : VFIOMIG_STATE_RUNNING;
	kernel.resets = 0;
	kernel.resumed = kernel.loaded = false;
	if (ftruncate(kernel.data_fd, 0))
		err(1, "ftruncate");
	lseek(kernel.data_fd, 0, SEEK_SET);
	return vfiomig_restore(dev, fd, &options, result);
}

static void judge(int ret, const struct vfiomig_result *result, const uint8_t *data, size_t size)
{
	struct oracle o = { .digest = XXH3_createState() };
	uint64_t reached = lseek(kernel.data_fd, 0, SEEK_END);

	XXH3_128bits_reset(o.digest);
	walk(&o, data, size);
	XXH3_freeState(o.digest);
	expect(reached <= o.bytes, "the device got more than the image has");
	expect(ret == 0 || ret == -EBADMSG || ret == -ENODATA || ret == -EXDEV ||
		       ret == -EDESTADDRREQ,
	       "an error that no image can cause");
	expect(kernel.loaded == (ret == 0), "the result is not whether the state was loaded");
	expect(!kernel.loaded || (o.whole && reached == o.bytes),
	       "an image that is not whole was loaded");
	expect(kernel.resets == (kernel.resumed && !kernel.loaded),
	       "RESUMING was not left by a reset, or there was another reset");
	expect(kernel.resumed == result->touched,
	       "the result is not whether the device was touched");
	expect(kernel.state == (ret ? result->before : VFIOMIG_STATE_RUNNING),
	       "the device is not in the right state");
	expect(result->state == kernel.state, "the result has another state than the device");
}

static void from_file(const uint8_t *data, size_t size)
{
	struct vfiomig_result result = VFIOMIG_RESULT_INIT;
	int ret;

	if (ftruncate(file, 0) || pwrite(file, data, size, 0) != (ssize_t)size)
		err(1, "writing the image");
	lseek(file, 0, SEEK_SET);
	ret = restore(file, false, &result);
	judge(ret, &result, data, size);
	expect(!ret || !result.touched, "a bad image in a file touched the device");
}

static void from_pipe(const uint8_t *data, size_t size)
{
	struct vfiomig_result result = VFIOMIG_RESULT_INIT;
	int fds[2], ret;

	/* A pipe takes no more without a reader. */
	if (size > 65536)
		return;
	if (pipe2(fds, O_CLOEXEC) || write(fds[1], data, size) != (ssize_t)size)
		err(1, "writing the image");
	close(fds[1]);
	ret = restore(fds[0], true, &result);
	close(fds[0]);
	judge(ret, &result, data, size);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	from_file(data, size);
	from_pipe(data, size);
	return 0;
}
