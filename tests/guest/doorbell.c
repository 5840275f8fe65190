// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * doorbell DEV PEER: the interrupts that one ivshmem-doorbell device gets from
 * another, in each state and through whatever might lift their mask.
 */
#include <poll.h>
#include <sys/eventfd.h>

#include "device.h"
#include "tap.h"

#define VECTORS	 2

/* Long enough for what comes, and for what does not come. */
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

/* Does the vector's interrupt come? Forgets it. */
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

/* Not heard for now, that is: it may still be pending. */
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
	tap(good, "%s: the one that was pending comes", when);
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

/* Memory decode and bus mastering, without which MSI-X does not work. */
static void enable(struct vfiomig_device *d)
{
	command_write(d, command_read(d) | PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
}

static bool low_power(unsigned int feature)
{
	struct vfio_device_feature arg = {
		.argsz = sizeof(arg),
		.flags = VFIO_DEVICE_FEATURE_SET | feature,
	};

	return ioctl(vfiomig_device_get_fd(dev), VFIO_DEVICE_FEATURE, &arg) == 0;
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
	heard("and afterwards");
	go(VFIOMIG_STATE_RUNNING);
	heard("RUNNING again");
	tap(!comes(0, NEVER_MS), "and no more");
}

static void test_reset(void)
{
	go(VFIOMIG_STATE_STOP);
	silent("STOP, to be reset");
	device_reset(dev);
	enable(dev);
	/* PCI's reset, where there is one, clears what was pending. */
	forget();
	heard("RUNNING after a reset");

	go(VFIOMIG_STATE_RESUMING);
	silent("RESUMING");
	device_reset(dev);
	enable(dev);
	forget();
	heard("RUNNING after that");
}

/* Setting up MSI-X lifts the mask. It is there again when the ioctl returns. */
static void test_set_irqs(void)
{
	go(VFIOMIG_STATE_STOP);
	tap(set_irqs(), "VFIO_DEVICE_SET_IRQS in STOP");
	forget();
	silent("STOP after it");
	tap(unset_irqs() && set_irqs(), "and another one, from nothing");
	forget();
	silent("STOP after that");
	go(VFIOMIG_STATE_STOP_COPY);
	tap(unset_irqs() && set_irqs(), "in STOP_COPY");
	forget();
	silent("STOP_COPY after it");
	go(VFIOMIG_STATE_RUNNING);
	pending("RUNNING");
	heard("RUNNING");
}

/* So does waking up, hence a stopped device does not sleep. */
static void test_low_power(void)
{
	tap(low_power(VFIO_DEVICE_FEATURE_LOW_POWER_ENTRY) && falls_asleep(SOON_MS),
	    "a running device goes to sleep");
	go(VFIOMIG_STATE_STOP);
	silent("STOP, when it has slept");
	tap(!falls_asleep(NEVER_MS), "it sleeps no more");
	vfiomig_device_get_state(dev);
	silent("STOP, after an ioctl");
	low_power(VFIO_DEVICE_FEATURE_LOW_POWER_EXIT);
	silent("STOP, when sleep is over");
	tap(low_power(VFIO_DEVICE_FEATURE_LOW_POWER_ENTRY) && !falls_asleep(NEVER_MS),
	    "a stopped device does not go to sleep");
	silent("STOP, when it might sleep");
	go(VFIOMIG_STATE_STOP_COPY);
	silent("STOP_COPY, when it might sleep");
	low_power(VFIO_DEVICE_FEATURE_LOW_POWER_EXIT);
	silent("STOP_COPY");
	go(VFIOMIG_STATE_RUNNING);
	pending("RUNNING");

	go(VFIOMIG_STATE_STOP);
	low_power(VFIO_DEVICE_FEATURE_LOW_POWER_ENTRY);
	go(VFIOMIG_STATE_RUNNING);
	tap(falls_asleep(SOON_MS), "it sleeps when it runs again");
	low_power(VFIO_DEVICE_FEATURE_LOW_POWER_EXIT);
	heard("RUNNING, awake");

	go(VFIOMIG_STATE_STOP);
	device_reset(dev);
	enable(dev);
	low_power(VFIO_DEVICE_FEATURE_LOW_POWER_ENTRY);
	tap(falls_asleep(SOON_MS), "and when it was reset");
	low_power(VFIO_DEVICE_FEATURE_LOW_POWER_EXIT);
	heard("RUNNING, awake again");
}

/* PCI's reset, where there is one, is not asked for through the device. */
static void test_pci_reset(void)
{
	const char *path = pci_file(name, "reset");

	if (access(path, F_OK))
		return;

	go(VFIOMIG_STATE_STOP);
	silent("STOP, to be reset by PCI");
	tap(file_write(path, "1"), "PCI resets it");
	enable(dev);
	forget();
	heard("RUNNING after PCI's reset");
	low_power(VFIO_DEVICE_FEATURE_LOW_POWER_ENTRY);
	tap(falls_asleep(SOON_MS), "and it can sleep");
	low_power(VFIO_DEVICE_FEATURE_LOW_POWER_EXIT);
	heard("RUNNING, after that sleep");
}

/* The message control of MSI-X, as the next driver would find it. */
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

static void test_close(void)
{
	go(VFIOMIG_STATE_STOP);
	tap(msix_control() & 0x4000, "STOP: the function mask is set");
	vfiomig_device_close(dev);
	tap(!(msix_control() & 0x4000), "closing the device lifts it");
	tap(falls_asleep(SOON_MS), "and lets the device sleep");
	device_reopen(dev);
	enable(dev);
	tap(set_irqs(), "it is opened again");
	heard("RUNNING in the next session");
}

int main(int argc, char **argv)
{
	if (argc != 3)
		errx(2, "usage: doorbell DEV PEER");
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
	test_low_power();
	test_pci_reset();
	test_close();

	vfiomig_device_unref(peer);
	vfiomig_device_unref(dev);
	vfiomig_unref(ctx);
	return tap_end();
}
