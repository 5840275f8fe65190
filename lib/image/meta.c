// SPDX-License-Identifier: LGPL-2.1-or-later
/* The header and the trailer of an image. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>
#include <time.h>
#include <xxhash.h>

#include "device/config.h"
#include "device/sysfs.h"
#include "meta.h"
#include "utf8.h"

/* After the text's line break: "xxh64:", sixteen digits, a line break. */
#define CHECKSUM_FORMAT "xxh64:%016" PRIx64 "\n"
#define CHECKSUM_LENGTH 23

char *meta_write(struct json_object *object, size_t *size)
{
	const char *text = json_object_to_json_string_ext(
		object, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE);
	char *all = NULL;
	int n = text ? asprintf(&all, "%s\n" CHECKSUM_FORMAT, text, XXH64(text, strlen(text), 0))
		     : -1;

	if (n < 0)
		return NULL;
	*size = n;
	return all;
}

struct json_object *meta_read(const char *text, size_t size)
{
	struct json_object *object;
	struct json_tokener *tokener;
	char expected[CHECKSUM_LENGTH + 1];
	size_t length;

	/* At least "{}" and its line break. */
	if (size < CHECKSUM_LENGTH + 3)
		return NULL;
	length = size - CHECKSUM_LENGTH - 1;
	snprintf(expected, sizeof(expected), CHECKSUM_FORMAT, XXH64(text, length, 0));
	if (text[length] != '\n' || memcmp(text + length + 1, expected, CHECKSUM_LENGTH) != 0 ||
	    !utf8_is_valid(text, length))
		return NULL;

	tokener = json_tokener_new();
	if (!tokener)
		return NULL;
	json_tokener_set_flags(tokener, JSON_TOKENER_STRICT | JSON_TOKENER_VALIDATE_UTF8);
	object = json_tokener_parse_ex(tokener, text, length);
	/* A number at the very end would want more to be sure: no object. */
	if (json_tokener_get_error(tokener) != json_tokener_success ||
	    json_tokener_get_parse_end(tokener) != length ||
	    !json_object_is_type(object, json_type_object)) {
		json_object_put(object);
		object = NULL;
	}
	json_tokener_free(tokener);
	return object;
}

const char *meta_string(struct json_object *object, const char *key)
{
	struct json_object *value;

	if (!json_object_object_get_ex(object, key, &value) ||
	    !json_object_is_type(value, json_type_string))
		return NULL;
	return json_object_get_string(value);
}

uint64_t meta_number(struct json_object *object, const char *key, uint64_t missing)
{
	struct json_object *value;

	if (!json_object_object_get_ex(object, key, &value) ||
	    !json_object_is_type(value, json_type_int) || json_object_get_int64(value) < 0)
		return missing;
	return json_object_get_uint64(value);
}

static void add_string(struct json_object *object, const char *key, const char *value)
{
	if (value)
		json_object_object_add(object, key, json_object_new_string(value));
}

__attribute__((format(printf, 3, 4))) static void add_text(struct json_object *object,
							   const char *key, const char *fmt, ...)
{
	char text[128];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	add_string(object, key, text);
}

/* What the module calls its version; most modules have none. */
static void add_driver_version(struct json_object *object, const struct vfiomig_device *dev)
{
	char version[64];

	if (dev->sys.syspath && sysfs_read_text(dev->sys.syspath, "driver/module/version", version,
						sizeof(version)) == 0)
		add_string(object, "driver_version", version);
}

static struct json_object *device_identity(const struct vfiomig_device *dev)
{
	struct json_object *object = json_object_new_object();

	add_string(object, "name", dev->name);
	add_string(object, "bus", dev->sys.bus);
	if (dev->sys.is_pci) {
		add_text(object, "vendor", "%04x", dev->sys.pci.vendor);
		add_text(object, "device", "%04x", dev->sys.pci.device);
		add_text(object, "subsystem_vendor", "%04x", dev->sys.pci.subsystem_vendor);
		add_text(object, "subsystem_device", "%04x", dev->sys.pci.subsystem_device);
		add_text(object, "class", "%06x", dev->sys.pci.class_code);
		add_text(object, "revision", "%02x", dev->sys.pci.revision);
	}
	add_string(object, "mdev_type", dev->sys.mdev_type);
	add_string(object, "driver", dev->sys.driver);
	add_driver_version(object, dev);
	return object;
}

static struct json_object *migration_flags(uint64_t flags)
{
	static const char *const names[] = { "STOP_COPY", "P2P", "PRE_COPY" };
	struct json_object *array = json_object_new_array();

	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (flags & (1ULL << i))
			json_object_array_add(array, json_object_new_string(names[i]));
	return array;
}

/* Without its command register a PCI function that is restored does nothing:
 * that it cannot be read is no detail. */
static int add_config(struct json_object *object, const struct vfiomig_device *dev)
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
		add_string(object, "config", hex);
	return 0;
}

static int add_device(struct json_object *header, struct vfiomig_device *dev, bool precopy)
{
	uint64_t flags = 0, bytes;

	json_object_object_add(header, "device", device_identity(dev));
	vfiomig_device_get_migration(dev, &flags);
	json_object_object_add(header, "migration", migration_flags(flags));
	json_object_object_add(header, "precopy", json_object_new_boolean(precopy));
	if (vfiomig_device_get_data_size(dev, &bytes) == 0)
		json_object_object_add(header, "expected_bytes", json_object_new_uint64(bytes));
	return add_config(header, dev);
}

struct json_object *meta_header(struct vfiomig_device *dev, bool precopy, int level,
				size_t chunk_size)
{
	struct json_object *header = json_object_new_object();
	time_t now = time(NULL);
	struct utsname uts;
	char when[32];
	struct tm tm;

	strftime(when, sizeof(when), "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&now, &tm));
	json_object_object_add(header, "format", json_object_new_int(META_FORMAT));
	add_string(header, "created", when);
	add_string(header, "tool", "vfiomig " VERSION);
	if (uname(&uts) == 0)
		add_string(header, "kernel", uts.release);
	add_string(header, "compression", level ? "zstd" : "none");
	json_object_object_add(header, "chunk_size", json_object_new_uint64(chunk_size));
	if (dev && add_device(header, dev, precopy)) {
		json_object_put(header);
		return NULL;
	}
	return header;
}

int meta_check_device(struct vfiomig_device *dev, struct json_object *header)
{
	static const char *const keys[] = { "bus", "vendor", "device", "mdev_type", "driver" };
	struct json_object *theirs, *ours;
	int err = 0;

	if (!json_object_object_get_ex(header, "device", &theirs))
		return 0;
	ours = device_identity(dev);
	for (size_t i = 0; !err && i < ARRAY_SIZE(keys); i++) {
		const char *a = meta_string(theirs, keys[i]);
		const char *b = meta_string(ours, keys[i]);

		if (strcmp(a ? a : "none", b ? b : "none") != 0)
			err = ctx_fail(
				dev->ctx, -EXDEV,
				"the image is of another device: its %s is %s, this one's is %s",
				keys[i], a ? a : "none", b ? b : "none");
	}
	json_object_put(ours);
	return err;
}
