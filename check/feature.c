// SPDX-License-Identifier: GPL-2.0-or-later
/* Rules about VFIO_DEVICE_FEATURE itself. */
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "tests.h"

#define GET	  VFIO_DEVICE_FEATURE_GET
#define SET	  VFIO_DEVICE_FEATURE_SET
#define PROBE	  VFIO_DEVICE_FEATURE_PROBE

#define MIGRATION VFIO_DEVICE_FEATURE_MIGRATION
#define STATE	  VFIO_DEVICE_FEATURE_MIG_DEVICE_STATE
#define START	  VFIO_DEVICE_FEATURE_DMA_LOGGING_START
#define STOP	  VFIO_DEVICE_FEATURE_DMA_LOGGING_STOP
#define REPORT	  VFIO_DEVICE_FEATURE_DMA_LOGGING_REPORT
#define DATA_SIZE VFIO_DEVICE_FEATURE_MIG_DATA_SIZE
#define INFOV2	  VFIO_DEVICE_FEATURE_MIG_PRECOPY_INFOv2

static int migration_flags(struct run *run, uint64_t *flags)
{
	struct vfio_device_feature_migration mig = { 0 };
	int err = feature(run, GET | MIGRATION, &mig, sizeof(mig));

	*flags = mig.flags;
	return err;
}

static bool has(struct run *run, uint32_t flags)
{
	return feature(run, PROBE | flags, NULL, 0) == 0;
}

/* The features of migration, with the size of their data. */
static const struct {
	uint32_t number;
	size_t size;
	bool harmless; /* GET, or SET of the data that GET has given, changes nothing */
} features[] = {
	{ MIGRATION, sizeof(struct vfio_device_feature_migration), true },
	{ STATE, sizeof(struct vfio_device_feature_mig_state), true },
	{ START, 24, false },
	{ STOP, 0, false },
	{ REPORT, 32, false },
	{ DATA_SIZE, sizeof(struct vfio_device_feature_mig_data_size), true },
	{ INFOV2, 0, false },
};

void probe_agrees(struct run *run)
{
	for (size_t i = 0; i < sizeof(features) / sizeof(features[0]); i++) {
		uint32_t number = features[i].number;
		const char *name = vfiomig_feature_name(number);
		bool get = has(run, GET | number), set = has(run, SET | number);
		uint64_t data[8] = { 0 };
		int err;

		expect(run, has(run, number) || (!get && !set),
		       "PROBE says that %s is not supported, PROBE with GET or SET that it is",
		       name);
		err = feature(run, GET | number, data, features[i].size);
		if (!get)
			expect(run, err,
			       "GET of %s succeeds, but PROBE says that it is not supported", name);
		else if (features[i].harmless)
			expect(run, !err,
			       "GET of %s fails with %s, but PROBE says that it is supported", name,
			       errno_name(err));
		if (!features[i].harmless && set)
			continue;
		err = feature(run, SET | number, data, features[i].size);
		if (!set)
			expect(run, err,
			       "SET of %s succeeds, but PROBE says that it is not supported", name);
		else
			expect(run, !err,
			       "SET of %s fails with %s, but PROBE says that it is supported", name,
			       errno_name(err));
	}
	expect_state(run, S(RUNNING));
}

void get_set_exclusive(struct run *run)
{
	struct vfio_device_feature_mig_state mig = { .device_state = S(STOP), .data_fd = -1 };
	struct vfio_device_feature_migration migration = { 0 };
	int err = feature(run, GET | SET | MIGRATION, &migration, sizeof(migration));

	expect(run, err == -EINVAL, "GET with SET of MIGRATION gives %s", errno_name(err));
	err = feature(run, GET | SET | STATE, &mig, sizeof(mig));
	expect(run, err == -EINVAL, "GET with SET of MIG_DEVICE_STATE gives %s", errno_name(err));
	expect_state(run, S(RUNNING));
}

void probe_needs_no_data(struct run *run)
{
	struct vfio_device_feature_mig_state mig = { .device_state = S(STOP), .data_fd = -1 };
	int err = feature(run, PROBE | GET | MIGRATION, NULL, 0);

	expect(run, !err, "PROBE with GET of MIGRATION without data gives %s", errno_name(err));
	err = feature(run, PROBE | GET | SET | STATE, NULL, 0);
	expect(run, !err, "PROBE of MIG_DEVICE_STATE without data gives %s", errno_name(err));
	err = feature(run, PROBE | SET | STATE, &mig, sizeof(mig));
	expect(run, !err, "PROBE with SET of MIG_DEVICE_STATE with data gives %s", errno_name(err));
	expect_state(run, S(RUNNING));
}

void argsz_counts(struct run *run)
{
	static const uint32_t small[] = { 0, 7 };
	struct {
		struct vfio_device_feature_migration mig;
		uint64_t beyond[4];
	} data;
	int err;

	memset(&data, 0, sizeof(data));
	for (size_t i = 0; i < 2; i++) {
		err = feature_argsz(run, GET | MIGRATION, small[i], &data, sizeof(data.mig));
		expect(run, err == -EINVAL, "an argsz of %u gives %s", small[i], errno_name(err));
	}
	err = feature_argsz(run, GET | MIGRATION, 8, &data, sizeof(data.mig));
	expect(run, err == -EINVAL, "GET of MIGRATION without data gives %s", errno_name(err));
	err = feature_argsz(run, SET | STATE, 8 + 4, &data, sizeof(data.mig));
	expect(run, err == -EINVAL, "SET of MIG_DEVICE_STATE with half of the data gives %s",
	       errno_name(err));
	memset(&data, 0xa5, sizeof(data));
	err = feature(run, GET | MIGRATION, &data, sizeof(data));
	expect(run, !err, "an argsz that is larger than needed gives %s", errno_name(err));
	for (size_t i = 0; i < 4; i++)
		expect(run, data.beyond[i] == 0xa5a5a5a5a5a5a5a5,
		       "GET of MIGRATION wrote beyond its structure");
	expect_state(run, S(RUNNING));
}

void undefined_flags(struct run *run)
{
	struct vfio_device_feature_migration mig = { 0 };

	for (unsigned int bit = 19; bit < 32; bit++) {
		int err = feature(run, (1U << bit) | GET | MIGRATION, &mig, sizeof(mig));

		expect(run, err == -EINVAL, "GET with the undefined flag of bit %u gives %s", bit,
		       errno_name(err));
	}
}

void stop_copy_is_set(struct run *run)
{
	uint64_t flags;
	int err = migration_flags(run, &flags);

	expect(run, !err, "GET of MIGRATION gives %s", errno_name(err));
	expect(run, flags & VFIOMIG_STOP_COPY, "the flags are %#llx", (unsigned long long)flags);
}

void unknown_flags(struct run *run)
{
	uint64_t known = VFIOMIG_STOP_COPY | VFIOMIG_P2P | VFIOMIG_PRE_COPY;

	warn_unless(run, !(run->flags & ~known),
		    "the flags are %#llx, which this program does not know",
		    (unsigned long long)run->flags);
}

void flags_are_constant(struct run *run)
{
	uint64_t flags;

	for (int state = 1; state < VFIOMIG_NR_STATES; state++) {
		int err;

		if (!has_state(run, state))
			continue;
		enter(run, state);
		err = migration_flags(run, &flags);
		expect(run, !err, "GET of MIGRATION in %s gives %s", vfiomig_state_name(state),
		       errno_name(err));
		expect(run, flags == run->flags, "the flags are %#llx in %s, and were %#llx",
		       (unsigned long long)flags, vfiomig_state_name(state),
		       (unsigned long long)run->flags);
	}
}

void one_way_features(struct run *run)
{
	static const struct {
		uint32_t flags;
		const char *text;
		size_t size;
	} calls[] = {
		{ SET | MIGRATION, "SET of MIGRATION", 8 },
		{ SET | REPORT, "SET of DMA_LOGGING_REPORT", 32 },
		{ GET | START, "GET of DMA_LOGGING_START", 24 },
		{ GET | STOP, "GET of DMA_LOGGING_STOP", 0 },
		{ SET | DATA_SIZE, "SET of MIG_DATA_SIZE", 8 },
	};

	for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++) {
		uint64_t data[8] = { 0 };
		uint32_t number = calls[i].flags & VFIO_DEVICE_FEATURE_MASK;
		int err = feature(run, calls[i].flags, data, calls[i].size);

		if (has(run, number))
			expect(run, err == -EINVAL, "%s gives %s", calls[i].text, errno_name(err));
		else
			expect(run, err == -ENOTTY || err == -EINVAL, "%s gives %s", calls[i].text,
			       errno_name(err));
	}
}

void precopy_has_its_ioctl(struct run *run)
{
	struct vfio_precopy_info info = { 0 };
	int data_fd = go(run, S(PRE_COPY)), err = precopy_info(run, data_fd, &info);

	expect(run, !err, "VFIO_MIG_GET_PRECOPY_INFO in PRE_COPY gives %s", errno_name(err));
}

void unknown_features(struct run *run)
{
	int err = feature(run, PROBE | 0xffff, NULL, 0);

	warn_unless(run, err == -ENOTTY || err == -EINVAL, "PROBE of feature 0xffff gives %s",
		    errno_name(err));
	note(run, "PROBE of feature 0xffff gives %s", errno_name(err));
}

/* Map two pages. Returns the end of the first one; the second one has the protection @prot. */
static char *page_border(struct run *run, int prot)
{
	size_t page = sysconf(_SC_PAGESIZE);
	char *at = mmap(NULL, 2 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (at == MAP_FAILED)
		test_skips(run, "out of memory");
	memset(at, 0, 2 * page);
	*(struct vfio_device_feature_mig_state *)(at + page) =
		(struct vfio_device_feature_mig_state){ .device_state = S(STOP_COPY),
							.data_fd = -1 };
	mprotect(at + page, page, prot);
	return at + page;
}

static struct vfio_device_feature *at_border(char *border, uint32_t flags, size_t size)
{
	struct vfio_device_feature *at = (void *)(border - sizeof(*at));

	at->argsz = sizeof(*at) + size;
	at->flags = flags;
	return at;
}

void bad_pointer(struct run *run)
{
	char *border = page_border(run, PROT_NONE);
	int err;

	doing(run, "VFIO_DEVICE_FEATURE GET MIGRATION into memory that is not there");
	err = feature_at(run, at_border(border, GET | MIGRATION, 8));
	expect(run, err == -EFAULT, "GET of MIGRATION gives %s", errno_name(err));
	doing(run, "VFIO_DEVICE_FEATURE SET MIG_DEVICE_STATE from memory that is not there");
	err = feature_at(run, at_border(border, SET | STATE, 8));
	expect(run, err == -EFAULT, "SET of MIG_DEVICE_STATE gives %s", errno_name(err));
	expect_state(run, S(RUNNING));
}

void bad_pointer_of_result(struct run *run)
{
	char *border = page_border(run, PROT_READ);
	unsigned int before = count_descriptors(run), after;
	int err, state;

	doing(run, "SET_STATE RUNNING -> STOP_COPY with memory that cannot be written");
	err = feature_at(run, at_border(border, SET | STATE, 8));
	expect(run, err == -EFAULT, "SET of MIG_DEVICE_STATE gives %s", errno_name(err));
	after = count_descriptors(run);
	expect(run, after == before, "the process has %u descriptors, and had %u", after, before);
	state = get_state(run);
	expect(run, state >= 0 && has_state(run, state), "GET of the state gives %d", state);
	note(run, "the device is in %s then", vfiomig_state_name(state));
}
