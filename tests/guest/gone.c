// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * gone DEV PORT: the device, which is below this port, vanishes while it is saved and restored, as
 * if it had been pulled out. The port is told that the bus below it has another number, so that
 * nobody finds the device any more: it reads as all ones.
 */
#include "tap.h"
#include "whole.h"

static struct vfiomig_device *dev;
static const char *port;
static struct whole good, part;

static void port_write(off_t at, const void *data, size_t size)
{
	int fd = open(pci_file(port, "config"), O_RDWR | O_CLOEXEC);

	if (fd < 0 || pwrite(fd, data, size, at) != (ssize_t)size)
		err(1, "%s", port);
	close(fd);
}

static void vanish(bool gone)
{
	static unsigned char buses[2];
	static const unsigned char nowhere[2] = { 0xee, 0xee };
	int fd;

	if (!gone) {
		port_write(PCI_SECONDARY_BUS, buses, 2);
		return;
	}
	fd = open(pci_file(port, "config"), O_RDONLY | O_CLOEXEC);
	if (fd < 0 || pread(fd, buses, 2, PCI_SECONDARY_BUS) != 2)
		err(1, "%s", port);
	close(fd);
	port_write(PCI_SECONDARY_BUS, nowhere, 2);
}

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
	vanish(true);
	error = read_rest(fd);
	tap(error == EIO, "%s: what is no device is not read (%s)", what, strerror(error));
	error = read_rest(fd);
	tap(error == EIO, "%s: nor is it later (%s)", what, strerror(error));
	vanish(false);
	close(fd);
	device_reset(dev);
	tap(whole_load(dev, &good) && whole_is(dev, &good), "%s: the device is back", what);
}

static void test_restore(void)
{
	int fd = device_go(dev, VFIOMIG_STATE_RESUMING), none;

	if (!write_all(fd, good.data, 100000))
		err(1, "write");
	vanish(true);
	tap(!write_all(fd, good.data + 100000, good.size - 100000) && errno == EIO,
	    "restoring: what is no device is not written to (%m)");
	vanish(false);
	tap(device_set_state(dev, VFIOMIG_STATE_STOP, &none) < 0 &&
		    vfiomig_device_get_state(dev) == VFIOMIG_STATE_RESUMING,
	    "restoring: the state does not pass for loaded");
	close(fd);
	device_reset(dev);

	fd = device_go(dev, VFIOMIG_STATE_RESUMING);
	if (!write_all(fd, good.data, good.size))
		err(1, "write");
	vanish(true);
	tap(device_set_state(dev, VFIOMIG_STATE_STOP, &none) == -EIO &&
		    vfiomig_device_get_state(dev) == VFIOMIG_STATE_RESUMING,
	    "restoring: the registers cannot be loaded");
	vanish(false);
	tap(device_set_state(dev, VFIOMIG_STATE_STOP, &none) == 0,
	    "restoring: they can when the device is back");
	close(fd);
	device_go(dev, VFIOMIG_STATE_RUNNING);
	tap(whole_is(dev, &good), "restoring: the device has the state");
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
	vfiomig_device_unref(dev);
	vfiomig_unref(ctx);
	return tap_end();
}
