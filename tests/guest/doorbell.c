// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * doorbell DEV PEER [PORT]: the interrupts that an ivshmem-doorbell device gets from another one,
 * in each state, and after everything that might lift their mask. With PORT, the device is below
 * this port, and vanishes once.
 */
#include <poll.h>
#include <pthread.h>
#include <sys/eventfd.h>

#include "klog.h"
#include "port.h"
#include "tap.h"
#include "whole.h"

#define VECTORS	 2

/* How long to wait for an interrupt that comes, and for one that does not come. */
#define SOON_MS	 5000
#define NEVER_MS 200

static struct vfiomig_ctx *ctx;
static struct vfiomig_device *dev, *peer;
static const char *name;
static uint32_t id;
static int events[VECTORS];

static void ring(unsigned int vector)
{
	reg_write(peer, DOORBELL, id << 16 | vector);
}

/* Returns whether the vector's interrupt comes within that time, and clears it. */
static bool comes(unsigned int vector, int ms)
{
	struct pollfd pfd = { .fd = events[vector], .events = POLLIN };
	uint64_t count;

	return poll(&pfd, 1, ms) > 0 && read(events[vector], &count, sizeof(count)) > 0;
}

static void heard(const char *when)
{
	bool good = true;

	for (unsigned int i = 0; i < VECTORS; i++) {
		ring(i);
		good = comes(i, SOON_MS) && good;
	}
	tap(good, "%s: an interrupt comes", when);
}

/* No interrupt comes now. It may be pending. */
static void silent(const char *when)
{
	bool good = true;

	for (unsigned int i = 0; i < VECTORS; i++)
		ring(i);
	/* One wait is enough for all of them. */
	for (unsigned int i = 0; i < VECTORS; i++)
		good = !comes(i, i ? 0 : NEVER_MS) && good;
	tap(good, "%s: no interrupt comes", when);
}

static void pending(const char *when)
{
	bool good = true;

	for (unsigned int i = 0; i < VECTORS; i++)
		good = comes(i, SOON_MS) && good;
	tap(good, "%s: the pending interrupt comes", when);
}

static void forget(void)
{
	usleep(1000 * NEVER_MS);
	for (unsigned int i = 0; i < VECTORS; i++)
		comes(i, 0);
}

static bool set_irqs(void)
{
	_Alignas(struct vfio_irq_set) char buffer[sizeof(struct vfio_irq_set) + sizeof(events)];
	struct vfio_irq_set *irqs = (struct vfio_irq_set *)buffer;

	*irqs = (struct vfio_irq_set){
		.argsz = sizeof(buffer),
		.flags = VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_TRIGGER,
		.index = VFIO_PCI_MSIX_IRQ_INDEX,
		.count = VECTORS,
	};
	memcpy(irqs->data, events, sizeof(events));
	return ioctl(vfiomig_device_get_fd(dev), VFIO_DEVICE_SET_IRQS, irqs) == 0;
}

static bool unset_irqs(void)
{
	struct vfio_irq_set none = {
		.argsz = sizeof(none),
		.flags = VFIO_IRQ_SET_DATA_NONE | VFIO_IRQ_SET_ACTION_TRIGGER,
		.index = VFIO_PCI_MSIX_IRQ_INDEX,
	};

	return ioctl(vfiomig_device_get_fd(dev), VFIO_DEVICE_SET_IRQS, &none) == 0;
}

static void go(int state)
{
	int fd = device_go(dev, state);

	if (fd >= 0)
		close(fd);
}

/* MSI-X needs memory decoding and bus mastering. */
static void enable(struct vfiomig_device *d)
{
	command_write(d, command_read(d) | PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
}

static bool low_power(unsigned int feature)
{
	return device_set_feature(dev, feature) == 0;
}

static bool falls_asleep(int ms)
{
	const char *path = pci_file(name, "power/runtime_status");
	char now[32];

	for (; ms > 0; ms -= 20) {
		if (!file_read(path, now, sizeof(now)))
			err(1, "%s", path);
		if (strcmp(now, "suspended\n") == 0)
			return true;
		usleep(20000);
	}
	return false;
}

static void test_states(void)
{
	heard("RUNNING");
	go(VFIOMIG_STATE_RUNNING_P2P);
	heard("RUNNING_P2P");
	go(VFIOMIG_STATE_STOP);
	silent("STOP");
	go(VFIOMIG_STATE_STOP_COPY);
	silent("STOP_COPY");
	go(VFIOMIG_STATE_STOP);
	silent("STOP again");
	go(VFIOMIG_STATE_RUNNING_P2P);
	pending("RUNNING_P2P");
	heard("RUNNING_P2P, a second time");
	go(VFIOMIG_STATE_RUNNING);
	heard("RUNNING again");
	tap(!comes(0, NEVER_MS), "RUNNING again: no further interrupt comes");
}

static void test_reset(void)
{
	go(VFIOMIG_STATE_STOP);
	silent("STOP, before a reset");
	device_reset(dev);
	enable(dev);
	/* PCI's reset, if there is one, clears pending interrupts. */
	forget();
	heard("RUNNING after a reset");

	go(VFIOMIG_STATE_RESUMING);
	silent("RESUMING");
	device_reset(dev);
	enable(dev);
	forget();
	heard("RUNNING after a reset in RESUMING");
}

/* Setting up MSI-X lifts the mask. The mask must be back when the ioctl returns. */
static void test_set_irqs(void)
{
	go(VFIOMIG_STATE_STOP);
	tap(set_irqs(), "VFIO_DEVICE_SET_IRQS in STOP");
	forget();
	silent("STOP after VFIO_DEVICE_SET_IRQS");
	tap(unset_irqs() && set_irqs(),
	    "VFIO_DEVICE_SET_IRQS in STOP, after the interrupts were disabled");
	forget();
	silent("STOP after the second VFIO_DEVICE_SET_IRQS");
	go(VFIOMIG_STATE_STOP_COPY);
	tap(unset_irqs() && set_irqs(), "VFIO_DEVICE_SET_IRQS in STOP_COPY");
	forget();
	silent("STOP_COPY after VFIO_DEVICE_SET_IRQS");
	go(VFIOMIG_STATE_RUNNING);
	pending("RUNNING");
	heard("RUNNING");
}

/* What is no device has no mask. The log says so, and nothing else is amiss. */
static void test_set_irqs_gone(const char *port)
{
	int log = klog_open();
	bool set, told;

	go(VFIOMIG_STATE_STOP);
	port_vanish(port, true);
	set = set_irqs();
	told = klog_next(log, "migration: the interrupts cannot be masked");
	port_vanish(port, false);
	close(log);
	tap(set && told, "VFIO_DEVICE_SET_IRQS in STOP, without a device: the log says so");
	device_reset(dev);
	enable(dev);
	forget();
	heard("RUNNING after the device has come back");
}

/* Waking up lifts the mask, too. Therefore a stopped device must not sleep. */
static void test_low_power(void)
{
	tap(low_power(VFIO_DEVICE_FEATURE_LOW_POWER_ENTRY) && falls_asleep(SOON_MS),
	    "a running device goes to sleep");
	go(VFIOMIG_STATE_STOP);
	silent("STOP, after the device has slept");
	tap(!falls_asleep(NEVER_MS), "a stopped device does not go to sleep again");
	vfiomig_device_get_state(dev);
	silent("STOP, after an ioctl");
	low_power(VFIO_DEVICE_FEATURE_LOW_POWER_EXIT);
	silent("STOP, after LOW_POWER_EXIT");
	tap(low_power(VFIO_DEVICE_FEATURE_LOW_POWER_ENTRY) && !falls_asleep(NEVER_MS),
	    "a stopped device does not go to sleep at LOW_POWER_ENTRY");
	silent("STOP, after LOW_POWER_ENTRY");
	go(VFIOMIG_STATE_STOP_COPY);
	silent("STOP_COPY, after LOW_POWER_ENTRY");
	low_power(VFIO_DEVICE_FEATURE_LOW_POWER_EXIT);
	silent("STOP_COPY");
	go(VFIOMIG_STATE_RUNNING);
	pending("RUNNING");

	go(VFIOMIG_STATE_STOP);
	low_power(VFIO_DEVICE_FEATURE_LOW_POWER_ENTRY);
	go(VFIOMIG_STATE_RUNNING);
	tap(falls_asleep(SOON_MS), "the device sleeps when it runs again");
	low_power(VFIO_DEVICE_FEATURE_LOW_POWER_EXIT);
	heard("RUNNING, awake");

	go(VFIOMIG_STATE_STOP);
	device_reset(dev);
	enable(dev);
	low_power(VFIO_DEVICE_FEATURE_LOW_POWER_ENTRY);
	tap(falls_asleep(SOON_MS), "the device sleeps after a reset");
	low_power(VFIO_DEVICE_FEATURE_LOW_POWER_EXIT);
	heard("RUNNING, awake again");
}

/* Returns the message control of MSI-X as the next driver would find it. */
static uint16_t msix_control(void)
{
	const char *path = pci_file(name, "config");
	unsigned char config[256];
	int fd;

	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || read(fd, config, 256) != 256)
		err(1, "%s", path);
	close(fd);
	for (int at = config[0x34]; at; at = config[at + 1])
		if (config[at] == 0x11)
			return config[at + 2] | config[at + 3] << 8;
	errx(1, "%s has no MSI-X", name);
}

/* PCI's reset, if there is one, can be requested without opening the device. */
static void test_pci_reset(void)
{
	const char *path = pci_file(name, "reset");

	if (access(path, F_OK))
		return;

	go(VFIOMIG_STATE_STOP);
	silent("STOP, before PCI's reset");
	tap(file_write(path, "1"), "PCI resets the device");
	enable(dev);
	forget();
	heard("RUNNING after PCI's reset");
	low_power(VFIO_DEVICE_FEATURE_LOW_POWER_ENTRY);
	tap(falls_asleep(SOON_MS), "the device can sleep after PCI's reset");
	low_power(VFIO_DEVICE_FEATURE_LOW_POWER_EXIT);
	heard("RUNNING, after PCI's reset and a sleep");
}

static void *reader(void *arg)
{
	static char buf[10000];

	while (read(*(int *)arg, buf, sizeof(buf)) > 0)
		;
	return NULL;
}

/* A transfer must not leave its mark on MSI-X when it is hit by PCI's reset. */
static void test_reset_in_transfer(void)
{
	bool enabled = true, masked = false;
	pthread_t thread;

	if (access(pci_file(name, "reset"), F_OK))
		return;

	for (int i = 0; i < 20; i++) {
		int fd = device_go(dev, VFIOMIG_STATE_STOP_COPY);

		if (pthread_create(&thread, NULL, reader, &fd))
			errx(1, "pthread_create");
		usleep(random() % 10000);
		if (!file_write(pci_file(name, "reset"), "1"))
			err(1, "reset");
		pthread_join(thread, NULL);
		close(fd);
		enabled = enabled && msix_control() & PCI_MSIX_FLAGS_ENABLE;
		masked = masked || msix_control() & PCI_MSIX_FLAGS_MASKALL;
		enable(dev);
	}
	tap(enabled && !masked, "resets in transfers: MSI-X is enabled and not masked");
	forget();
	heard("RUNNING after resets in transfers");
}

/* VFIO's reset of the whole bus finds nobody else at work on the device, and holds its locks. */
static void test_hot_reset(void)
{
	if (access(pci_file(name, "reset"), F_OK))
		return;

	go(VFIOMIG_STATE_STOP);
	silent("STOP, before a hot reset");
	tap(device_hot_reset(dev, vfiomig_device_get_fd(dev)) == 0, "a hot reset in STOP (%m)");
	enable(dev);
	forget();
	heard("RUNNING after a hot reset");
	low_power(VFIO_DEVICE_FEATURE_LOW_POWER_ENTRY);
	tap(falls_asleep(SOON_MS), "the device can sleep after a hot reset");
	low_power(VFIO_DEVICE_FEATURE_LOW_POWER_EXIT);
}

/* Load what the device was. It is in STOP then. */
static void load(const struct whole *w)
{
	int fd = device_go(dev, VFIOMIG_STATE_RESUMING);

	if (!write_all(fd, w->data, w->size))
		err(1, "load");
	close(fd);
	go(VFIOMIG_STATE_STOP);
}

static bool nothing_comes(void)
{
	bool good = true;

	for (unsigned int i = 0; i < VECTORS; i++)
		good = !comes(i, i ? 0 : NEVER_MS) && good;
	return good;
}

/*
 * A doorbell that was rung when the source had stopped is lost there. Therefore all vectors of a
 * device that was loaded fire once, as soon as it can send interrupts.
 */
static void test_load(void)
{
	struct whole w = whole_save(dev);

	load(&w);
	tap(nothing_comes(), "STOP after a load: no interrupt comes");
	go(VFIOMIG_STATE_RUNNING_P2P);
	pending("RUNNING_P2P after a load");
	go(VFIOMIG_STATE_RUNNING);
	go(VFIOMIG_STATE_STOP);
	go(VFIOMIG_STATE_RUNNING);
	set_irqs();
	tap(nothing_comes(), "they fire once only");

	unset_irqs();
	load(&w);
	go(VFIOMIG_STATE_RUNNING);
	tap(set_irqs(), "VFIO_DEVICE_SET_IRQS after a load");
	pending("interrupts that were set up after a load");

	load(&w);
	command_write(dev, command_read(dev) & ~PCI_COMMAND_MASTER);
	go(VFIOMIG_STATE_RUNNING);
	tap(nothing_comes(), "without bus mastering none comes after a load");
	enable(dev);
	pending("bus mastering is switched on after a load");

	load(&w);
	device_reset(dev);
	enable(dev);
	set_irqs();
	tap(nothing_comes(), "none comes after a load and a reset");
	heard("RUNNING after a load and a reset");
	free(w.data);
}

static void test_close(void)
{
	go(VFIOMIG_STATE_STOP);
	tap(msix_control() & PCI_MSIX_FLAGS_MASKALL, "STOP: the function mask is set");
	vfiomig_device_close(dev);
	tap(!(msix_control() & PCI_MSIX_FLAGS_MASKALL),
	    "closing the device clears the function mask");
	tap(falls_asleep(SOON_MS), "a closed device goes to sleep");
	device_reopen(dev);
	enable(dev);
	tap(set_irqs(), "VFIO_DEVICE_SET_IRQS in the next session");
	heard("RUNNING in the next session");
}

int main(int argc, char **argv)
{
	if (argc < 3)
		errx(2, "usage: doorbell DEV PEER [PORT]");
	name = argv[1];
	ctx = new_context();
	dev = device_open(ctx, name);
	peer = device_open(ctx, argv[2]);
	enable(dev);
	enable(peer);
	for (int i = 0; i < VECTORS; i++)
		events[i] = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	id = reg_read(dev, IV_POSITION);
	tap(id != reg_read(peer, IV_POSITION), "%s is peer %u", name, id);

	tap(set_irqs(), "VFIO_DEVICE_SET_IRQS");
	test_states();
	test_reset();
	test_set_irqs();
	if (argc > 3)
		test_set_irqs_gone(argv[3]);
	test_low_power();
	test_pci_reset();
	test_reset_in_transfer();
	test_hot_reset();
	test_load();
	test_close();

	vfiomig_device_unref(peer);
	vfiomig_device_unref(dev);
	vfiomig_unref(ctx);
	return tap_end();
}
