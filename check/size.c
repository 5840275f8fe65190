// SPDX-License-Identifier: GPL-2.0-or-later
/* Rules about MIG_DATA_SIZE. */
#include <unistd.h>

#include "stream.h"
#include "tests.h"

#define DATA_SIZE VFIO_DEVICE_FEATURE_MIG_DATA_SIZE

static int get_size(struct run *run, uint64_t *bytes)
{
	struct vfio_device_feature_mig_data_size size = { 0 };
	int err = feature(run, VFIO_DEVICE_FEATURE_GET | DATA_SIZE, &size, sizeof(size));

	*bytes = size.stop_copy_length;
	return err;
}

void size_in_each_state(struct run *run)
{
	for (int state = 1; state < VFIOMIG_NR_STATES; state++) {
		uint64_t bytes;
		int err;

		if (!has_state(run, state))
			continue;
		enter(run, state);
		err = get_size(run, &bytes);
		expect(run, !err, "GET of MIG_DATA_SIZE in %s gives %s", vfiomig_state_name(state),
		       errno_name(err));
	}
}

void size_has_no_side_effects(struct run *run)
{
	struct stream known, again, stream;
	struct digest *digest;
	uint64_t bytes;
	char buf[512];
	ssize_t n;
	int data_fd;

	known = save_stream(run);
	enter(run, S(RUNNING));
	again = save_stream(run);
	enter(run, S(RUNNING));
	data_fd = go(run, S(STOP_COPY));
	digest = digest_new(run);
	for (int i = 0; i < 100; i++) {
		get_size(run, &bytes);
		n = read_data(run, data_fd, buf, 1);
		if (n > 0)
			digest_add(digest, buf, n);
	}
	expect_state(run, S(STOP_COPY));
	read_more(run, data_fd, 1 << 20, -1, digest);
	stream = digest_end(digest);
	expect(run, stream.size == known.size, "the stream has %llu bytes instead of %llu",
	       (unsigned long long)stream.size, (unsigned long long)known.size);
	/* A device whose streams are never the same cannot be compared. */
	expect(run, known.digest != again.digest || stream.digest == known.digest,
	       "the bytes of the stream are others");
}

void size_is_plausible(struct run *run)
{
	uint64_t bytes;
	int err = get_size(run, &bytes);

	expect(run, !err, "GET of MIG_DATA_SIZE gives %s", errno_name(err));
	expect(run, bytes < 1ULL << 63, "the size is negative as a signed number: %#llx",
	       (unsigned long long)bytes);
	expect(run, bytes > 0, "the size is 0");
	warn_unless(run, bytes < 1ULL << 40, "the size is %llu bytes", (unsigned long long)bytes);
}

void size_cannot_be_set(struct run *run)
{
	uint64_t bytes = 1;
	int err = feature(run, VFIO_DEVICE_FEATURE_SET | DATA_SIZE, &bytes, sizeof(bytes));

	expect(run, err == -EINVAL, "SET of MIG_DATA_SIZE gives %s", errno_name(err));
}

void size_argsz(struct run *run)
{
	uint64_t bytes = 0;

	for (unsigned int argsz = 8; argsz < 16; argsz++) {
		int err = feature_argsz(run, VFIO_DEVICE_FEATURE_GET | DATA_SIZE, argsz, &bytes,
					sizeof(bytes));

		expect(run, err == -EINVAL, "an argsz of %u gives %s", argsz, errno_name(err));
	}
}

void size_in_a_session(struct run *run)
{
	struct stream known = save_stream(run);
	uint64_t at_first, later, read = 0;
	static char buf[1 << 20];
	int data_fd;

	enter(run, S(RUNNING));
	data_fd = go(run, S(STOP_COPY));
	if (get_size(run, &at_first))
		test_skips(run, "GET of MIG_DATA_SIZE fails in STOP_COPY");
	while (read < known.size / 2) {
		uint64_t left = known.size / 2 - read;
		ssize_t n = read_data(run, data_fd, buf, left < sizeof(buf) ? left : sizeof(buf));

		if (n <= 0)
			break;
		read += n;
	}
	if (get_size(run, &later))
		test_skips(run, "GET of MIG_DATA_SIZE fails in STOP_COPY");
	note(run, "%llu bytes at first, %llu when %llu of %llu bytes are read",
	     (unsigned long long)at_first, (unsigned long long)later, (unsigned long long)read,
	     (unsigned long long)known.size);
	warn_unless(run, later >= known.size - read, "the size is %llu, and %llu bytes are left",
		    (unsigned long long)later, (unsigned long long)(known.size - read));
}
