// SPDX-License-Identifier: GPL-2.0-or-later
/* Rules about resets, about the end of a process, and about what debugfs says. */
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "memory.h"
#include "stream.h"
#include "tests.h"

void reset_in_each_state(struct run *run)
{
	FOR_EACH_STATE(run, state)
	{
		int data_fd = enter(run, state), err = reset_device(run);

		expect(run, !err, "VFIO_DEVICE_RESET in %s gives %s", vfiomig_state_name(state),
		       errno_name(err));
		expect_state(run, S(RUNNING));
		if (data_fd >= 0)
			close(data_fd);
	}
}

/* ---- Function Level Reset by a write to the config space -------------------- */

static ssize_t config(struct run *run, bool writes, unsigned int at, void *value, size_t size)
{
	struct vfio_region_info region = { .argsz = sizeof(region),
					   .index = VFIO_PCI_CONFIG_REGION_INDEX };

	if (ioctl(run->fd, VFIO_DEVICE_GET_REGION_INFO, &region))
		test_skips(run, "the config space cannot be found: %s", errno_name(errno));
	doing(run, "%s of the config space in %s", writes ? "write" : "read",
	      vfiomig_state_name(run->state));
	return writes ? pwrite(run->fd, value, size, region.offset + at)
		      : pread(run->fd, value, size, region.offset + at);
}

/* The place of the PCI Express capability, or 0. */
static unsigned int find_express(struct run *run)
{
	uint8_t at = 0, id[2];

	if (config(run, false, 0x34, &at, 1) != 1)
		return 0;
	for (int i = 0; i < 48 && at >= 0x40; i++) {
		if (config(run, false, at, id, 2) != 2)
			return 0;
		if (id[0] == 0x10)
			return at;
		at = id[1];
	}
	return 0;
}

void flr_by_config_space(struct run *run)
{
	unsigned int express = find_express(run);
	uint32_t capabilities = 0;
	uint16_t control = 0;

	if (!express || config(run, false, express + 4, &capabilities, 4) != 4 ||
	    !(capabilities & (1U << 28)))
		test_unsupported(run, "the device has no Function Level Reset");
	FOR_EACH_STATE(run, state)
	{
		int data_fd = enter(run, state);

		if (config(run, false, express + 8, &control, 2) != 2)
			test_skips(run, "the config space cannot be read in %s: %s",
				   vfiomig_state_name(state), errno_name(errno));
		control |= 1U << 15;
		if (config(run, true, express + 8, &control, 2) != 2)
			test_skips(run, "the config space cannot be written in %s: %s",
				   vfiomig_state_name(state), errno_name(errno));
		expect_state(run, S(RUNNING));
		if (data_fd >= 0)
			close(data_fd);
	}
}

void close_and_open(struct run *run)
{
	open_device(run);
	reference_stream(run);
	FOR_EACH_STATE(run, state)
	{
		int data_fd = enter(run, state);
		char byte = 0;
		ssize_t n;

		close_device(run);
		open_device(run);
		expect_state(run, S(RUNNING));
		if (data_fd < 0)
			continue;
		n = state == S(RESUMING) ? write_data(run, data_fd, &byte, 1)
					 : read_data(run, data_fd, &byte, 1);
		expect(run, n < 0,
		       "the data_fd of %s is alive after the device was closed and opened",
		       vfiomig_state_name(state));
		close(data_fd);
	}
	if (fail_to_load(run, S(STOP)) && get_state(run) == S(ERROR)) {
		close_device(run);
		open_device(run);
		expect_state(run, S(RUNNING));
	}
}

static void die_in(struct run *run, int state)
{
	char buf[4096];
	int data_fd;

	open_device(run);
	data_fd = enter(run, state);
	if (data_fd >= 0 && is_saving(state))
		read_data(run, data_fd, buf, sizeof(buf));
	raise(SIGKILL);
}

void killed_in_each_state(struct run *run)
{
	FOR_EACH_STATE(run, state)
	{
		pid_t pid = fork();
		int status;

		if (pid < 0)
			test_skips(run, "no process can be made: %s", errno_name(errno));
		if (pid == 0)
			die_in(run, state);
		waitpid(pid, &status, 0);
		if (!WIFSIGNALED(status))
			_exit(0); /* that process has said why */
		open_device(run);
		expect_state(run, S(RUNNING));
		close_device(run);
	}
}

/* ---- debugfs ----------------------------------------------------------------- */

/* The flags that debugfs tells, or a negative errno if it does not. */
static int64_t peek_flags(struct run *run)
{
	static const struct {
		const char *name;
		uint64_t flag;
	} names[] = {
		{ "stop-copy\n", VFIOMIG_STOP_COPY },
		{ "p2p\n", VFIOMIG_P2P },
		{ "pre-copy\n", VFIOMIG_PRE_COPY },
	};
	char path[PATH_MAX], line[64];
	int64_t flags = 0;
	FILE *f;

	snprintf(path, sizeof(path), "/sys/kernel/debug/vfio/%s/migration/features",
		 vfiomig_device_get_name(run->device));
	f = fopen(path, "re");
	if (!f)
		return -errno;
	while (fgets(line, sizeof(line), f))
		for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
			if (strcmp(line, names[i].name) == 0)
				flags |= names[i].flag;
	fclose(f);
	return flags;
}

void debugfs_agrees(struct run *run)
{
	const int64_t known = VFIOMIG_STOP_COPY | VFIOMIG_P2P | VFIOMIG_PRE_COPY;
	int64_t flags;
	bool seen = false;

	FOR_EACH_STATE(run, state)
	{
		int said;

		enter(run, state);
		said = vfiomig_device_peek_state(run->device);
		if (said < 0 && !seen)
			test_skips(run, "debugfs does not tell the state: %s", errno_name(said));
		seen = true;
		expect(run, said == state, "debugfs says %s in %s",
		       said < 0 ? errno_name(said) : vfiomig_state_name(said),
		       vfiomig_state_name(state));
		flags = peek_flags(run);
		/* Older kernels do not tell them. */
		expect(run, flags == -ENOENT || flags == ((int64_t)run->flags & known),
		       "debugfs says that the flags are %#llx in %s, and MIGRATION %#llx",
		       (long long)flags, vfiomig_state_name(state), (unsigned long long)run->flags);
	}
}

void kernel_log_is_clean(struct run *run)
{
	/* The runner looks at the kernel's log after each test. What is left is a whole cycle. */
	int data_fd = enter(run, S(RESUMING));

	go(run, S(RUNNING));
	close(data_fd);
	save_stream(run);
	go(run, S(RUNNING));
	if (!run->target->log_is_readable)
		test_skips(run, "the kernel's log cannot be read here");
}

static void save_and_load(struct run *run)
{
	int data_fd = enter(run, S(RESUMING));

	go(run, S(RUNNING));
	close(data_fd);
	close(go(run, S(STOP_COPY)));
	go(run, S(RUNNING));
}

void cycles_leave_nothing(struct run *run)
{
	reference_stream(run);
	expect_no_growth(run, save_and_load, "cycles");
}

/* ---- Power ---------------------------------------------------------------------- */

/* Whether the stream is what a device that does not answer is read as. */
static bool is_all_ones(struct run *run, int file, uint64_t size)
{
	static char buf[65536];

	for (uint64_t at = 0; at < size; at += sizeof(buf)) {
		ssize_t n = pread(file, buf, sizeof(buf), at);

		for (ssize_t i = 0; i < n; i++)
			if (buf[i] != '\xff')
				return false;
		beat(run);
	}
	return size;
}

static bool is_same(struct stream a, struct stream b)
{
	return a.size == b.size && a.digest == b.digest;
}

void saved_in_low_power(struct run *run)
{
	const uint32_t set = VFIO_DEVICE_FEATURE_SET;
	struct stream first, second, low = { .size = 0 };
	int data_fd, err, file;

	if (feature(run, VFIO_DEVICE_FEATURE_PROBE | set | VFIO_DEVICE_FEATURE_LOW_POWER_ENTRY,
		    NULL, 0))
		test_unsupported(run, "VFIO cannot bring the device to low power");
	file = new_file(run);
	first = save_stream(run);
	go(run, S(RUNNING));
	second = save_stream(run);
	go(run, S(RUNNING));
	/* The runner ends this if the test does not come to it. */
	run->shared->low_power = true;
	err = feature(run, set | VFIO_DEVICE_FEATURE_LOW_POWER_ENTRY, NULL, 0);
	if (err)
		test_skips(run, "LOW_POWER_ENTRY gives %s", errno_name(err));
	/* The kernel suspends the device a little later. */
	sleep_ms(200);
	err = set_state(run, S(STOP_COPY), &data_fd);
	if (!err)
		low = read_stream(run, data_fd, 1 << 20, file);
	(void)feature(run, set | VFIO_DEVICE_FEATURE_LOW_POWER_EXIT, NULL, 0);
	run->shared->low_power = false;
	note(run, "RUNNING -> STOP_COPY in low power gives %s, and a stream of %llu bytes",
	     errno_name(err), (unsigned long long)low.size);
	if (err)
		return;
	expect(run, !is_all_ones(run, file, low.size),
	       "the stream of the device in low power is nothing but 0xff");
	/* A device whose streams are never the same cannot be compared. */
	expect(run, !is_same(first, second) || is_same(first, low),
	       "the stream of the device in low power, of %llu bytes, is not the one of the device before, of %llu bytes",
	       (unsigned long long)low.size, (unsigned long long)first.size);
}
