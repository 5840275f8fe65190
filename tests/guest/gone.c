// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * gone DEV PORT: the device, which is below this port, vanishes while it is saved and restored, as
 * if it had been pulled out. It is also reset without anybody's knowledge, and sent to sleep.
 */
#include "port.h"
#include "tap.h"
#include "whole.h"

static struct vfiomig_device *dev;
static const char *port;
static struct whole good, part;

/* Read up to an error. What is no error is the end of the stream. */
static int read_rest(int fd)
{
	part.size = 0;
	return whole_read(&part, fd);
}

static void test_save(int state, const char *what)
{
	static char some[100000];
	int fd = device_go(dev, state), error;

	if (read(fd, some, sizeof(some)) <= 0)
		err(1, "read");
	port_vanish(port, true);
	error = read_rest(fd);
	tap(error == EIO, "%s: what is no device is not read (%s)", what, strerror(error));
	error = read_rest(fd);
	tap(error == EIO, "%s: nor is it later (%s)", what, strerror(error));
	port_vanish(port, false);
	close(fd);
	device_reset(dev);
	tap(whole_load(dev, &good) && whole_is(dev, &good), "%s: the device is back", what);
}

static void test_restore(void)
{
	int fd = device_go(dev, VFIOMIG_STATE_RESUMING), none;
	size_t done = 100000;

	if (!write_all(fd, good.data, done))
		err(1, "write");
	port_vanish(port, true);
	done += write_up_to(fd, good.data + done, good.size - done);
	tap(done < good.size && errno == EIO,
	    "restoring: what is no device is not written to (%m)");
	port_vanish(port, false);
	tap(device_set_state(dev, VFIOMIG_STATE_STOP, &none) == -EINVAL &&
		    vfiomig_device_get_state(dev) == VFIOMIG_STATE_RESUMING,
	    "restoring: the state does not pass for loaded");
	tap(write_all(fd, good.data + done, good.size - done) &&
		    device_set_state(dev, VFIOMIG_STATE_STOP, &none) == 0,
	    "restoring: when the device is back, the rest can be written");
	close(fd);
	device_go(dev, VFIOMIG_STATE_RUNNING);
	tap(whole_is(dev, &good), "restoring: the device has the state");

	fd = device_go(dev, VFIOMIG_STATE_RESUMING);
	if (!write_all(fd, good.data, good.size))
		err(1, "write");
	port_vanish(port, true);
	tap(device_set_state(dev, VFIOMIG_STATE_STOP, &none) == -EIO &&
		    vfiomig_device_get_state(dev) == VFIOMIG_STATE_RESUMING,
	    "restoring: the registers cannot be loaded");
	port_vanish(port, false);
	tap(device_set_state(dev, VFIOMIG_STATE_STOP, &none) == 0,
	    "restoring: they can when the device is back");
	close(fd);
	device_go(dev, VFIOMIG_STATE_RUNNING);
	tap(whole_is(dev, &good), "restoring: the device has the state");
}

/* Reset what is below the port, without the knowledge of the kernel. @bars keeps the addresses. */
static void reset_secretly(const char *name, unsigned char bars[24])
{
	uint16_t control;

	config(name, false, PCI_BASE_ADDRESS_0, bars, 24);
	config(port, false, PCI_BRIDGE_CONTROL, &control, 2);
	control |= PCI_BRIDGE_CTL_BUS_RESET;
	config(port, true, PCI_BRIDGE_CONTROL, &control, 2);
	usleep(2000);
	control &= ~PCI_BRIDGE_CTL_BUS_RESET;
	config(port, true, PCI_BRIDGE_CONTROL, &control, 2);
	usleep(100000);
}

static void test_secret_reset(const char *name, uint16_t command)
{
	static char some[100000];
	unsigned char bars[24];
	int fd, error;

	fd = device_go(dev, VFIOMIG_STATE_STOP_COPY);
	command_write(dev, command);
	if (read(fd, some, sizeof(some)) <= 0)
		err(1, "read");
	reset_secretly(name, bars);
	error = read_rest(fd);
	tap(error == EIO || error == ENODEV,
	    "a reset that nobody knows of, command %#x: nothing is read after it (%s)", command,
	    strerror(error));
	error = read_rest(fd);
	tap(error == ENODEV, "the session has ended (%s)", strerror(error));
	close(fd);
	config(name, true, PCI_BASE_ADDRESS_0, bars, 24);
	command = PCI_COMMAND_MEMORY;
	config(name, true, PCI_COMMAND, &command, 2);
	device_reset(dev);
	command_write(dev, PCI_COMMAND_MEMORY);
	tap(whole_load(dev, &good) && whole_is(dev, &good), "the device is back");
}

/* ---- Sleep --------------------------------------------------------------- */

/* Let the device sleep, if the kernel can send it to sleep: it has no power states itself. */
static void device_sleeps(bool asleep)
{
	if (device_set_feature(dev, asleep ? VFIO_DEVICE_FEATURE_LOW_POWER_ENTRY
					   : VFIO_DEVICE_FEATURE_LOW_POWER_EXIT))
		err(1, "LOW_POWER");
	usleep(20000);
}

/*
 * A transfer is in the middle when the device is sent to sleep. The transfer either fails or gives
 * what it would have given.
 */
static void test_sleep(void)
{
	static char some[100000];
	int fd = device_go(dev, VFIOMIG_STATE_STOP_COPY), error, none;
	size_t done = sizeof(some);

	part.size = 0;
	memcpy(whole_room(&part, done), good.data, done);
	part.size = done;
	if (read(fd, some, done) != (ssize_t)done || memcmp(some, good.data, done) != 0)
		err(1, "read");
	device_sleeps(true);
	error = whole_read(&part, fd);
	device_sleeps(false);
	tap(error == EIO || error == ENODEV ||
		    (!error && part.size == good.size && !memcmp(part.data, good.data, part.size)),
	    "asleep, saving: no wrong stream passes for a whole one (%s)", strerror(error));
	close(fd);
	device_reset(dev);
	command_write(dev, command_read(dev) | PCI_COMMAND_MEMORY);

	region_write(dev, VFIO_PCI_BAR2_REGION_INDEX, good.size / 2, some, 8);
	fd = device_go(dev, VFIOMIG_STATE_RESUMING);
	if (!write_all(fd, good.data, done))
		err(1, "write");
	device_sleeps(true);
	done += write_up_to(fd, good.data + done, good.size - done);
	error = done < good.size ? errno : 0;
	device_sleeps(false);
	tap(!error || error == EIO, "asleep, restoring: the device is written to, or not (%s)",
	    strerror(error));
	tap(write_all(fd, good.data + done, good.size - done) &&
		    device_set_state(dev, VFIOMIG_STATE_STOP, &none) == 0,
	    "asleep, restoring: the rest can be written when it is awake");
	close(fd);
	device_go(dev, VFIOMIG_STATE_RUNNING);
	tap(whole_is(dev, &good), "asleep, restoring: the device has the state");
}

/* In PRE_COPY the device is running, so it may really sleep. */
static void test_sleep_in_precopy(void)
{
	int fd = device_go(dev, VFIOMIG_STATE_PRE_COPY), error;

	device_sleeps(true);
	part.size = 0;
	error = whole_read(&part, fd);
	tap(error == ENOMSG && part.size > good.size - 1000,
	    "asleep in PRE_COPY: the device is read all the same (%s)", strerror(error));
	device_go(dev, VFIOMIG_STATE_STOP_COPY);
	error = whole_read(&part, fd);
	device_sleeps(false);
	close(fd);
	device_go(dev, VFIOMIG_STATE_RUNNING);
	tap(!error && whole_load(dev, &part) && whole_is(dev, &good),
	    "asleep in PRE_COPY: the device has been saved");
}

/* Tell the kernel that the device is in D3hot, or in D0 again. */
static void device_is_in_d3(const char *name, bool asleep)
{
	char command[64] = "rmmod asleep";

	if (asleep)
		snprintf(command, sizeof(command), "modprobe asleep device=%s", name);
	if (system(command))
		errx(1, "asleep");
}

/* A device that does not wake up for an access is not accessed. */
static void test_d3(const char *name)
{
	static char some[100000];
	int fd = device_go(dev, VFIOMIG_STATE_STOP_COPY), error, none;
	size_t done = sizeof(some);

	if (read(fd, some, done) != (ssize_t)done)
		err(1, "read");
	part.size = 0;
	memcpy(whole_room(&part, done), some, done);
	part.size = done;
	device_is_in_d3(name, true);
	error = whole_read(&part, fd);
	tap(error == EIO, "D3, saving: the device is not read (%s)", strerror(error));
	device_is_in_d3(name, false);
	error = whole_read(&part, fd);
	tap(!error && part.size == good.size && memcmp(part.data, good.data, part.size) == 0,
	    "D3, saving: the rest can be read in D0 (%s)", strerror(error));
	close(fd);

	fd = device_go(dev, VFIOMIG_STATE_RESUMING);
	if (!write_all(fd, good.data, done))
		err(1, "write");
	device_is_in_d3(name, true);
	done += write_up_to(fd, good.data + done, good.size - done);
	tap(done < good.size && errno == EIO, "D3, restoring: the device is not written to (%m)");
	device_is_in_d3(name, false);
	tap(write_all(fd, good.data + done, good.size - done) &&
		    device_set_state(dev, VFIOMIG_STATE_STOP, &none) == 0,
	    "D3, restoring: the rest can be written in D0");
	close(fd);
	device_go(dev, VFIOMIG_STATE_RUNNING);
	tap(whole_is(dev, &good), "D3, restoring: the device has the state");
}

int main(int argc, char **argv)
{
	struct vfiomig_ctx *ctx;

	if (argc != 3)
		errx(2, "usage: gone DEV PORT");
	port = argv[2];
	ctx = new_context();
	dev = device_open(ctx, argv[1]);
	command_write(dev, command_read(dev) | PCI_COMMAND_MEMORY);
	reg_write(dev, INTR_MASK, 0x900d);
	good = whole_save(dev);

	test_save(VFIOMIG_STATE_STOP_COPY, "saving");
	if (!old_kernel())
		test_save(VFIOMIG_STATE_PRE_COPY, "pre-copy");
	test_restore();
	test_sleep();
	if (!old_kernel())
		test_sleep_in_precopy();
	test_d3(argv[1]);
	test_secret_reset(argv[1], PCI_COMMAND_MEMORY);
	test_secret_reset(argv[1], 0);
	vfiomig_device_unref(dev);
	vfiomig_unref(ctx);
	return tap_end();
}
