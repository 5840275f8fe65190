// SPDX-License-Identifier: LGPL-2.1-or-later
/* The header and the trailer of an image. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>
#include <time.h>
#include <xxhash.h>

#include "device/config.h"
#include "device/feature.h"
#include "device/sysfs.h"
#include "meta.h"

/* What follows the text's line break: "xxh64:", sixteen digits, a line break. */
#define CHECKSUM_FORMAT "xxh64:%016" PRIx64 "\n"
#define CHECKSUM_LENGTH 23

/* ---- Reading ------------------------------------------------------------- */

int meta_read(const char *text, size_t size, char **json)
{
	char expected[CHECKSUM_LENGTH + 1];
	size_t length;

	/* The shortest text is "{}" and its line break. */
	if (size < CHECKSUM_LENGTH + 3)
		return -EBADMSG;
	length = size - CHECKSUM_LENGTH - 1;
	snprintf(expected, sizeof(expected), CHECKSUM_FORMAT, XXH64(text, length, 0));
	if (text[length] != '\n' || memcmp(text + length + 1, expected, CHECKSUM_LENGTH) != 0 ||
	    !json_is_object(text, length))
		return -EBADMSG;
	*json = strndup(text, length);
	return *json ? 0 : -ENOMEM;
}

size_t meta_length(const char *text)
{
	return strlen(text) - CHECKSUM_LENGTH - 1;
}

ssize_t meta_string(const char *object, const char *key, char *to, size_t size)
{
	return json_get_string(json_find(object, key), to, size);
}

uint64_t meta_number(const char *object, const char *key, uint64_t missing)
{
	uint64_t number;

	return json_get_number(json_find(object, key), &number) ? number : missing;
}

/* ---- What identifies a device -------------------------------------------- */

static const char *pci_number(const struct vfiomig_pci_id *id, const char *key, char text[16])
{
	const struct {
		const char *key;
		int digits;
		unsigned int value;
	} numbers[] = {
		{ "vendor", 4, id->vendor },
		{ "device", 4, id->device },
		{ "subsystem_vendor", 4, id->subsystem_vendor },
		{ "subsystem_device", 4, id->subsystem_device },
		{ "class", 6, id->class_code },
		{ "revision", 2, id->revision },
	};

	for (size_t i = 0; i < ARRAY_SIZE(numbers); i++) {
		if (strcmp(numbers[i].key, key) != 0)
			continue;
		snprintf(text, 16, "%0*x", numbers[i].digits, numbers[i].value);
		return text;
	}
	return NULL;
}

/* The value of @key in the header's object "device", or NULL. */
static const char *identity(const struct vfiomig_device *dev, const char *key, char text[16])
{
	if (strcmp(key, "name") == 0)
		return dev->name;
	if (strcmp(key, "bus") == 0)
		return dev->sys.bus;
	if (strcmp(key, "mdev_type") == 0)
		return dev->sys.mdev_type;
	if (strcmp(key, "driver") == 0)
		return dev->sys.driver;
	return dev->sys.is_pci ? pci_number(&dev->sys.pci, key, text) : NULL;
}

bool meta_driver(const char *header, char *driver, size_t size)
{
	const char *device = json_find(header, "device");

	return device && meta_string(device, "driver", driver, size) >= 0;
}

int meta_check_device(const struct vfiomig_device *dev, const char *header)
{
	static const char *const keys[] = { "bus", "vendor", "device", "mdev_type", "driver" };
	const char *theirs = json_find(header, "device");
	char value[256], text[16];

	if (!theirs)
		return 0;
	if (device_check_identity(dev))
		return -ENOTUNIQ;
	for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
		const char *ours = identity(dev, keys[i], text);

		if (meta_string(theirs, keys[i], value, sizeof(value)) < 0)
			strcpy(value, "none");
		if (!ours)
			ours = "none";
		if (strcmp(value, ours) != 0)
			return ctx_fail(
				dev->ctx, -EXDEV,
				"the image is of another device: its %s is %s, this one's is %s",
				keys[i], value, ours);
	}
	return 0;
}

/* ---- Writing ------------------------------------------------------------- */

static int begin(struct json_writer *w, struct vfiomig_ctx *ctx, size_t room)
{
	*w = (struct json_writer){ .text = malloc(room), .room = room };
	if (!w->text)
		return ctx_fail_memory(ctx);
	/* For the checksum */
	w->room -= CHECKSUM_LENGTH + 2;
	json_open(w, NULL, '{');
	return 0;
}

static int end(struct json_writer *w, struct vfiomig_ctx *ctx, char **text)
{
	json_close(w, '}');
	if (w->full) {
		free(w->text);
		return ctx_fail(ctx, -EOVERFLOW, "the image's metadata are too large");
	}
	sprintf(w->text + w->size, "\n" CHECKSUM_FORMAT, XXH64(w->text, w->size, 0));
	*text = w->text;
	return 0;
}

/* Most modules have no version. */
static void put_driver_version(struct json_writer *w, const struct vfiomig_device *dev)
{
	char version[64];

	if (dev->sys.syspath && sysfs_read_text(dev->sys.syspath, "driver/module/version", version,
						sizeof(version)) == 0)
		json_put_string(w, "driver_version", version);
}

static void put_identity(struct json_writer *w, const struct vfiomig_device *dev)
{
	static const char *const keys[] = {
		"name",	 "bus",	     "vendor",	  "device", "subsystem_vendor", "subsystem_device",
		"class", "revision", "mdev_type", "driver",
	};
	char text[16];

	json_open(w, "device", '{');
	for (size_t i = 0; i < ARRAY_SIZE(keys); i++)
		json_put_string(w, keys[i], identity(dev, keys[i], text));
	put_driver_version(w, dev);
	json_close(w, '}');
}

static void put_flags(struct json_writer *w, uint64_t flags)
{
	static const char *const names[] = { "STOP_COPY", "P2P", "PRE_COPY" };

	json_open(w, "migration", '[');
	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (flags & (1ULL << i))
			json_put_string(w, NULL, names[i]);
	json_close(w, ']');
}

/* Without its command register a restored PCI function does not work. Therefore a configuration
 * space that cannot be read is a failure. */
static int put_config(struct json_writer *w, const struct vfiomig_device *dev)
{
	uint8_t config[CONFIG_SIZE_MAX];
	char hex[2 * CONFIG_SIZE_MAX + 1];
	ssize_t n = config_read(dev->fd, dev->info_flags, config);

	if (n < 0 && n != -ENOTTY)
		return ctx_fail(dev->ctx, n, "cannot read the configuration space: %s",
				strerror(-n));
	for (ssize_t i = 0; i < n; i++)
		sprintf(hex + 2 * i, "%02x", config[i]);
	if (n > 0)
		json_put_string(w, "config", hex);
	return 0;
}

static int put_device(struct json_writer *w, struct vfiomig_device *dev, bool precopy)
{
	uint64_t flags;
	int err = feature_migration(dev, &flags);

	if (err)
		return err;
	put_identity(w, dev);
	put_flags(w, flags);
	json_put_bool(w, "precopy", precopy);
	return 0;
}

static void put_origin(struct json_writer *w)
{
	time_t now = time(NULL);
	struct utsname uts;
	char when[32];
	struct tm tm;

	strftime(when, sizeof(when), "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&now, &tm));
	json_put_string(w, "created", when);
	json_put_string(w, "tool", "vfiomig " VERSION);
	if (uname(&uts) == 0)
		json_put_string(w, "kernel", uts.release);
}

/* What each header begins with. */
static void put_image(struct json_writer *w, int format, const struct vfiomig_options *opt,
		      size_t chunk_size)
{
	json_put_number(w, "format", format);
	put_origin(w);
	json_put_string(w, "compression", opt->level ? "zstd" : "none");
	json_put_number(w, "chunk_size", chunk_size);
}

/* What is known of a device, which may be NULL, and of its state. */
static int put_state(struct json_writer *w, struct vfiomig_device *dev,
		     const struct vfiomig_result *result)
{
	int err = dev ? put_device(w, dev, result->precopy) : 0;

	if (result->expected)
		json_put_number(w, "expected_bytes", result->expected);
	return !err && dev ? put_config(w, dev) : err;
}

static int end_header(struct json_writer *w, struct vfiomig_ctx *ctx, int err, char **text)
{
	if (!err)
		return end(w, ctx, text);
	free(w->text);
	return err;
}

int meta_header(struct vfiomig_ctx *ctx, struct vfiomig_device *dev,
		const struct vfiomig_options *opt, const struct vfiomig_result *result, char **text)
{
	struct json_writer w;
	int err = begin(&w, ctx, META_SIZE_MAX);

	if (err)
		return err;
	put_image(&w, META_FORMAT, opt, opt->chunk_size);
	err = put_state(&w, dev, result);
	return end_header(&w, ctx, err, text);
}

size_t meta_chunk_size(const struct vfiomig_options *opt, int count)
{
	size_t size = opt->chunk_size;

	while (size > VFIOMIG_CHUNK_SIZE_MIN && size * count > VFIOMIG_CHUNK_SIZE_MAX)
		size = size / 2 < VFIOMIG_CHUNK_SIZE_MIN ? VFIOMIG_CHUNK_SIZE_MIN : size / 2;
	return size;
}

int meta_set_header(struct vfiomig_ctx *ctx, struct vfiomig_device *const *devices,
		    const char *const *names, int count, const struct vfiomig_options *opt,
		    const struct vfiomig_result *const *results, char **text)
{
	struct json_writer w;
	int err = begin(&w, ctx, META_SET_SIZE_MAX);

	if (err)
		return err;
	put_image(&w, META_FORMAT_SET, opt, meta_chunk_size(opt, count));
	json_open(&w, "devices", '[');
	for (int i = 0; !err && i < count; i++) {
		json_open(&w, NULL, '{');
		json_put_string(&w, "name", names[i]);
		err = put_state(&w, devices ? devices[i] : NULL, results[i]);
		json_close(&w, '}');
	}
	json_close(&w, ']');
	return end_header(&w, ctx, err, text);
}

static void put_sizes(struct json_writer *w, uint64_t bytes, uint64_t frames)
{
	json_put_number(w, "bytes", bytes);
	json_put_number(w, "frames", frames);
}

/* @device: its number in a set, -1 if there is one. */
static int make_trailer(struct vfiomig_ctx *ctx, int device, uint64_t bytes, uint64_t frames,
			const char *digest, const char *frames_digest, char **text)
{
	struct json_writer w;
	int err = begin(&w, ctx, META_SIZE_MAX);

	if (err)
		return err;
	if (device >= 0)
		json_put_number(&w, "device", device);
	put_sizes(&w, bytes, frames);
	json_put_string(&w, "digest", digest);
	json_put_string(&w, "frames_digest", frames_digest);
	return end(&w, ctx, text);
}

int meta_trailer(struct vfiomig_ctx *ctx, uint64_t bytes, uint64_t frames, const char *digest,
		 const char *frames_digest, char **text)
{
	return make_trailer(ctx, -1, bytes, frames, digest, frames_digest, text);
}

int meta_device_trailer(struct vfiomig_ctx *ctx, int device, uint64_t bytes, uint64_t frames,
			const char *digest, const char *frames_digest, char **text)
{
	return make_trailer(ctx, device, bytes, frames, digest, frames_digest, text);
}

int meta_set_trailer(struct vfiomig_ctx *ctx, int devices, uint64_t bytes, uint64_t frames,
		     const char *digest, char **text)
{
	struct json_writer w;
	int err = begin(&w, ctx, META_SIZE_MAX);

	if (err)
		return err;
	json_put_number(&w, "devices", devices);
	put_sizes(&w, bytes, frames);
	json_put_string(&w, "metadata_digest", digest);
	return end(&w, ctx, text);
}
