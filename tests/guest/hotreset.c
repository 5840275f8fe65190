// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * hotreset DEV [NEIGHBOUR]: the device is reset while it is saved and restored, and its user has
 * not asked for that: PCI resets it through sysfs, or the neighbour's user resets the bus on which
 * both are. Both are in one group.
 */
#include <pthread.h>
#include <stdatomic.h>

#include "tap.h"
#include "whole.h"

#define RESETS 25

static struct vfiomig_device *dev;
static const char *name;
static int neighbour = -1;
static atomic_bool done;
static struct whole good;

/*
 * Read or write the whole stream. The reset comes in the middle of this. If it comes later, what
 * was read has to be right: nothing else may pass for the end of the stream.
 */
static void *transfer(void *arg)
{
	static struct whole w;
	int fd = *(int *)arg;

	if (fcntl(fd, F_GETFL) & O_WRONLY) {
		errno = 0;
		write_all(fd, good.data, good.size);
	} else {
		w.size = 0;
		errno = whole_read(&w, fd);
		if (!errno && (w.size != good.size || memcmp(w.data, good.data, w.size) != 0))
			errx(1, "a wrong stream passes for a whole one");
	}
	/* ENOMSG: all of the memory was read in PRE_COPY. */
	if (errno && errno != ENODEV && errno != ENOMSG)
		err(1, "transfer");
	done = true;
	return NULL;
}

static int reset(void)
{
	if (neighbour >= 0)
		return device_hot_reset(dev, neighbour);
	return file_write(pci_file(name, "reset"), "1") ? 0 : -errno;
}

static void test(int state, int resets, const char *what)
{
	int refused = 0, running = 0, kept = 0, early = 0;
	uint16_t command = command_read(dev);

	for (int i = 0; i < resets; i++) {
		int fd = device_go(dev, state), ret;
		pthread_t thread;

		done = false;
		pthread_create(&thread, NULL, transfer, &fd);
		usleep(random() % 20000);
		early += !done;
		ret = reset();
		refused += ret != 0;
		if (ret && ret != -EBUSY)
			errx(1, "reset: %s", strerror(-ret));
		running += vfiomig_device_get_state(dev) == VFIOMIG_STATE_RUNNING;
		kept += command_read(dev) == command;
		pthread_join(thread, NULL);
		close(fd);
		if (ret)
			device_reset(dev);
	}
	printf("# %d of %d resets came before the end of the transfer\n", early, resets);
	tap(refused == 0, "%s: no reset is refused (%d of %d)", what, refused, resets);
	tap(running == resets, "%s: each ends in RUNNING (%d of %d)", what, running, resets);
	tap(kept == resets, "%s: the command register is what it was (%d of %d)", what, kept,
	    resets);
	tap(whole_load(dev, &good) && whole_is(dev, &good),
	    "%s: the device can be restored and saved afterwards", what);
}

int main(int argc, char **argv)
{
	struct vfiomig_fds fds = VFIOMIG_FDS_INIT;
	struct vfiomig_ctx *ctx;

	if (argc != 2 && argc != 3)
		errx(2, "usage: hotreset DEV [NEIGHBOUR]");
	name = argv[1];
	ctx = new_context();
	dev = device_new(ctx, name);
	vfiomig_device_set_via(dev, VFIOMIG_VIA_GROUP);
	if (vfiomig_device_open(dev, 0))
		errx(1, "%s", vfiomig_get_error(ctx));
	if (argc == 3) {
		vfiomig_device_get_fds(dev, &fds);
		neighbour = ioctl(fds.group, VFIO_GROUP_GET_DEVICE_FD, argv[2]);
		if (neighbour < 0)
			err(1, "%s", argv[2]);
	}
	command_write(dev, command_read(dev) | PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
	good = whole_save(dev);

	test(VFIOMIG_STATE_STOP_COPY, RESETS, "saving");
	if (!old_kernel())
		test(VFIOMIG_STATE_PRE_COPY, RESETS, "pre-copy");
	test(VFIOMIG_STATE_RESUMING, RESETS, "restoring");
	command_write(dev, PCI_COMMAND_MASTER);
	test(VFIOMIG_STATE_STOP_COPY, RESETS / 2, "saving without memory decode");

	if (neighbour >= 0)
		close(neighbour);
	vfiomig_device_unref(dev);
	vfiomig_unref(ctx);
	return tap_end();
}
