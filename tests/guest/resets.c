// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * resets DEV [DRIVER]: an ivshmem device is reset through VFIO and, where PCI has a reset for it,
 * through PCI behind the user's back. With DRIVER, the device is also taken away while a data_fd is
 * kept.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <sys/syscall.h>

#include "tap.h"
#include "whole.h"

static struct vfiomig_ctx *ctx;
static struct vfiomig_device *dev;
static const char *name;

/* Write to one of the device's files in sysfs; errno says why not. */
static bool tell_device(const char *file, const char *text)
{
	return file_write(pci_file(name, file), text);
}

static bool has_file(const char *file)
{
	return access(pci_file(name, file), F_OK) == 0;
}

static bool is_dead(int fd)
{
	char buf[64] = { 0 };

	/* A data_fd goes one way, so that one of the two calls fails with EBADF. */
	return read(fd, buf, sizeof(buf)) < 0 && (errno == ENODEV || errno == EBADF) &&
	       write(fd, buf, sizeof(buf)) < 0 && (errno == ENODEV || errno == EBADF);
}

/* Returns whether a whole save works. */
static bool saves(void)
{
	int fd = device_go(dev, VFIOMIG_STATE_STOP_COPY);
	static char buf[65536];
	uint64_t total = 0;
	ssize_t n;

	while ((n = read(fd, buf, sizeof(buf))) > 0)
		total += n;
	close(fd);
	device_go(dev, VFIOMIG_STATE_RUNNING);
	return n == 0 && total > region_info(dev, VFIO_PCI_BAR2_REGION_INDEX).size;
}

/*
 * Returns whether the device is as an open and a reset leave it: RUNNING, with its registers clear.
 */
static bool is_fresh(void)
{
	/* A reset switches memory decoding off. */
	command_write(dev, command_read(dev) | PCI_COMMAND_MEMORY);
	return vfiomig_device_get_state(dev) == VFIOMIG_STATE_RUNNING &&
	       reg_read(dev, INTR_MASK) == 0 && reg_read(dev, INTR_STATUS) == 0;
}

static void test_state(int state, bool by_pci)
{
	const char *how = by_pci ? "PCI's reset" : "VFIO_DEVICE_RESET";
	const char *in = vfiomig_state_name(state);
	int fd = device_go(dev, state);
	char buf[1000];

	reg_write(dev, INTR_MASK, 0xbad);
	reg_write(dev, INTR_STATUS, 0xbad);
	if (state == VFIOMIG_STATE_STOP_COPY)
		tap(read(fd, buf, sizeof(buf)) > 0, "STOP_COPY gives data");
	if (by_pci ? !tell_device("reset", "1") : vfiomig_device_reset(dev)) {
		tap(false, "%s in %s: %m", how, in);
		exit(1);
	}
	if (fd >= 0) {
		tap(is_dead(fd), "%s in %s ends the session", how, in);
		close(fd);
	}
	tap(is_fresh(), "%s in %s: the device is RUNNING, with its registers clear", how, in);
	tap(saves(), "%s in %s: the device can be saved", how, in);
}

static void test_states(bool by_pci)
{
	test_state(VFIOMIG_STATE_RUNNING, by_pci);
	test_state(VFIOMIG_STATE_RUNNING_P2P, by_pci);
	test_state(VFIOMIG_STATE_STOP, by_pci);
	test_state(VFIOMIG_STATE_STOP_COPY, by_pci);
	test_state(VFIOMIG_STATE_RESUMING, by_pci);
}

static void test_open(void)
{
	reg_write(dev, INTR_MASK, 0xbad);
	reg_write(dev, INTR_STATUS, 0xbad);
	device_go(dev, VFIOMIG_STATE_STOP);
	vfiomig_device_close(dev);
	device_reopen(dev);
	tap(is_fresh(), "the next session starts with the registers clear");
}

/* ---- Resets that find the driver busy ------------------------------------ */

static atomic_bool done;

/* Read from data_fd again and again, at its end and after errors, too. */
static void *reader(void *arg)
{
	static _Thread_local char buf[20000];
	const int *fd = arg;

	while (!done) {
		ssize_t n = read(*fd, buf, sizeof(buf));

		/* At its end a data_fd returns 0 until the session is over. */
		if (n < 0 && errno != ENODEV)
			err(1, "read");
	}
	return NULL;
}

/*
 * When another call returns, the reset must be complete, whoever carried it out. The driver defers
 * a reset only if it finds its mutex taken, so there are many attempts.
 */
static void test_busy(void)
{
	int running = 0, dead = 0;
	pthread_t thread;

	for (int i = 0; i < 15; i++) {
		int fd = device_go(dev, VFIOMIG_STATE_STOP_COPY);

		done = false;
		pthread_create(&thread, NULL, reader, &fd);
		usleep(random() % 5000);
		if (!tell_device("reset", "1"))
			err(1, "reset");
		running += vfiomig_device_get_state(dev) == VFIOMIG_STATE_RUNNING;
		done = true;
		pthread_join(thread, NULL);
		dead += is_dead(fd);
		close(fd);
	}
	tap(running == 15, "a reset in a transfer ends in RUNNING (%d of 15)", running);
	tap(dead == 15, "a reset in a transfer ends the transfer (%d of 15)", dead);
	tap(is_fresh() && saves(), "the device can be saved afterwards");
}

/* ---- data_fd kept when the device goes ----------------------------------- */

static void *remover(void *arg)
{
	(void)arg;
	if (!tell_device("remove", "1"))
		err(1, "remove");
	return NULL;
}

/*
 * The device is unplugged while it is saved. The kernel waits for its user, who may read the stream
 * to its end.
 */
static void test_unplugged(void)
{
	static struct whole before, w;
	pthread_t thread;
	char some[1000];
	int fd;

	before = whole_save(dev);
	fd = device_go(dev, VFIOMIG_STATE_STOP_COPY);
	if (read(fd, whole_room(&w, sizeof(some)), sizeof(some)) != sizeof(some))
		err(1, "read");
	w.size = sizeof(some);
	pthread_create(&thread, NULL, remover, NULL);
	usleep(200000);
	tap(whole_read(&w, fd) == 0 && w.size == before.size &&
		    memcmp(w.data, before.data, w.size) == 0,
	    "unplugged: the stream can be read to its end");
	vfiomig_device_close(dev);
	pthread_join(thread, NULL);
	tap(is_dead(fd), "unplugged: the data_fd is dead");
	close(fd);
}

static bool unload(const char *driver)
{
	return syscall(SYS_delete_module, driver, O_NONBLOCK) == 0;
}

static void unbind(void)
{
	if (!tell_device("driver/unbind", name))
		err(1, "unbind");
}

static void rebind(void)
{
	if (!file_write("/sys/bus/pci/drivers_probe", name))
		err(1, "drivers_probe");
}

/*
 * Returns the device's number. VFIO gives a device the first free number, and keeps it until the
 * last reference to the device is gone.
 */
static int number(void)
{
	struct vfiomig_device *now;
	const char *vfio;
	int n;

	if (vfiomig_device_new(ctx, name, &now))
		errx(1, "%s", vfiomig_get_error(ctx));
	vfio = vfiomig_device_get_cdev(now);
	if (!vfio || sscanf(vfio, "vfio%d", &n) != 1)
		errx(1, "%s: no number", name);
	vfiomig_device_unref(now);
	return n;
}

static void test_taken_away(const char *driver)
{
	bool pci = has_file("reset");
	int saving, resuming, before;
	pthread_t threads[2];

	vfiomig_device_close(dev);
	before = number();
	unbind();
	rebind();
	tap(number() == before, "the former sessions keep no reference to the device");
	device_reopen(dev);

	/* Keep the data_fds of two sessions. */
	resuming = device_go(dev, VFIOMIG_STATE_RESUMING);
	device_reset(dev);
	saving = device_go(dev, VFIOMIG_STATE_STOP_COPY);
	vfiomig_device_close(dev);
	tap(is_dead(saving) && is_dead(resuming), "closed: both data_fds are dead");

	/* From here on two threads read all the time. */
	done = false;
	pthread_create(&threads[0], NULL, reader, &saving);
	pthread_create(&threads[1], NULL, reader, &saving);
	for (int i = 0; i < 5 && pci; i++)
		if (!tell_device("reset", "1"))
			err(1, "reset");
	tap(is_dead(saving) && is_dead(resuming), "reset while closed: both data_fds are dead");
	tap(!unload(driver) && errno == EWOULDBLOCK, "the module is in use (%m)");

	unbind();
	tap(is_dead(saving) && is_dead(resuming), "unbound: both data_fds are dead");
	tap(!unload(driver) && errno == EWOULDBLOCK, "the module is in use (%m)");
	for (int i = 0; i < 3 && pci; i++)
		if (!tell_device("reset", "1"))
			err(1, "reset");

	rebind();
	tap(number() == before, "the data_fds keep no reference to the former device");
	device_reopen(dev);
	tap(is_dead(saving) && is_dead(resuming), "rebound: both data_fds are dead");
	tap(is_fresh() && saves(), "rebound: the device can be saved");
	device_go(dev, VFIOMIG_STATE_STOP);
	if (pci && !tell_device("reset", "1"))
		err(1, "reset");
	if (!pci)
		device_reset(dev);
	tap(is_fresh() && saves(), "rebound: the device can be saved after a reset");

	/* The device goes away, with everything but what the data_fds need. */
	test_unplugged();
	tap(is_dead(saving) && is_dead(resuming), "removed: both data_fds are dead");
	done = true;
	pthread_join(threads[0], NULL);
	pthread_join(threads[1], NULL);
	/*
	 * Either data_fd is enough to keep the module. One kind of device keeps the one, the other
	 * kind the other.
	 */
	close(pci ? saving : resuming);
	tap(!unload(driver) && errno == EWOULDBLOCK, "the module is in use (%m)");
	close(pci ? resuming : saving);
	tap(unload(driver), "the module can be removed when both data_fds are closed (%m)");
}

int main(int argc, char **argv)
{
	if (argc < 2)
		errx(2, "usage: resets DEV [DRIVER]");
	name = argv[1];
	ctx = new_context();
	dev = device_open(ctx, name);

	test_states(false);
	if (has_file("reset")) {
		test_states(true);
		test_busy();
	}
	test_open();
	if (argc > 2)
		test_taken_away(argv[2]);
	vfiomig_device_unref(dev);
	vfiomig_unref(ctx);
	return tap_end();
}
