/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The operations of stress.c: each function does one thing to an ivshmem device. */
#ifndef OPERATIONS_H
#define OPERATIONS_H

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>

#include "random.h"
#include "whole.h"

#define SLOTS 6

static struct vfiomig_device *dev;
static const char *name;
static struct whole whole; /* the device's state before the test */
static int device_fd, group_fd;
static uint64_t size, memory_at, regs_at;

struct worker {
	const char *what;
	bool lasts; /* the thread runs across sessions */
	void (*step)(struct worker *w);
	uint64_t seed;
	pthread_t thread;
	atomic_int tid;
	atomic_ulong steps;
	unsigned long seen; /* the steps that the watchdog has seen last, and when */
	time_t seen_at;
	/* where to go on after a fault in memory that is not there at the moment */
	sigjmp_buf fault;
};

static _Thread_local struct worker *self;

/* Counters for the summary. */
static atomic_ulong arcs_taken, bytes_read, bytes_written, resets_done, faults;

/* Count the bytes that a read() or a write() has moved. Returns @n, its result. */
static ssize_t count(atomic_ulong *bytes, ssize_t n)
{
	if (n > 0)
		*bytes += n;
	return n;
}

static uint64_t below(struct worker *w, uint64_t n)
{
	return next_random(&w->seed) % n;
}

/* ---- The data_fds of this session and of former ones --------------------- */

static pthread_mutex_t slots_lock = PTHREAD_MUTEX_INITIALIZER;
static int slots[SLOTS] = { -1, -1, -1, -1, -1, -1 };

static void slot_put(struct worker *w, int fd)
{
	int *slot = &slots[below(w, SLOTS)], old;

	pthread_mutex_lock(&slots_lock);
	old = *slot;
	*slot = fd;
	pthread_mutex_unlock(&slots_lock);
	if (old >= 0)
		close(old);
}

/* Returns a descriptor that the caller has to close, or -1. */
static int slot_get(struct worker *w)
{
	int *slot = &slots[below(w, SLOTS)], fd;

	pthread_mutex_lock(&slots_lock);
	fd = *slot < 0 ? -1 : dup(*slot);
	pthread_mutex_unlock(&slots_lock);
	return fd;
}

/* ---- Operations ---------------------------------------------------------- */

/* Returns the data_fd, or -1. The library's function cannot be called by several threads. */
static int set_state(unsigned int state)
{
	char buf[sizeof(struct vfio_device_feature) +
		 sizeof(struct vfio_device_feature_mig_state)] = { 0 };
	struct vfio_device_feature *feature = (void *)buf;
	struct vfio_device_feature_mig_state *mig = (void *)feature->data;

	feature->argsz = sizeof(buf);
	feature->flags = VFIO_DEVICE_FEATURE_SET | VFIO_DEVICE_FEATURE_MIG_DEVICE_STATE;
	mig->device_state = state;
	mig->data_fd = -1;
	if (ioctl(device_fd, VFIO_DEVICE_FEATURE, feature))
		return -1;
	arcs_taken++;
	return mig->data_fd;
}

static void do_arc(struct worker *w)
{
	int fd = set_state(below(w, VFIOMIG_NR_STATES + 1));

	if (fd >= 0)
		slot_put(w, fd);
	if (below(w, 4) == 0)
		usleep(below(w, 20000));
}

/* A transfer as a VMM does it, as far as the other threads permit it. */
static void do_transfer(struct worker *w)
{
	static _Thread_local char buf[1 << 18];
	int fd;

	if (below(w, 2)) {
		set_state(VFIOMIG_STATE_RUNNING);
		fd = set_state(VFIOMIG_STATE_PRE_COPY);
		while (fd >= 0 && count(&bytes_read, read(fd, buf, sizeof(buf))) > 0)
			;
		set_state(VFIOMIG_STATE_STOP_COPY);
		while (fd >= 0 && count(&bytes_read, read(fd, buf, sizeof(buf))) > 0)
			;
	} else {
		fd = set_state(VFIOMIG_STATE_RESUMING);
		if (fd >= 0)
			count(&bytes_written, write(fd, whole.data, whole.size));
		set_state(VFIOMIG_STATE_STOP);
	}
	if (fd >= 0)
		slot_put(w, fd);
	usleep(below(w, 50000));
}

static void do_data_fd(struct worker *w)
{
	static _Thread_local char buf[100000];
	struct vfio_precopy_info info = { .argsz = sizeof(info) };
	int fd = slot_get(w);
	struct pollfd p = { .fd = fd, .events = POLLIN };
	ssize_t n = below(w, sizeof(buf));

	if (fd < 0) {
		usleep(1000);
		return;
	}
	switch (below(w, 6)) {
	case 0:
		n = write(fd, buf, n);
		break;
	case 1:
		n = write(fd, whole.data, 1 + below(w, 200));
		break;
	case 2:
		n = ioctl(fd, VFIO_MIG_GET_PRECOPY_INFO, &info);
		break;
	case 3:
		n = poll(&p, 1, below(w, 20));
		break;
	case 4:
		n = read(fd, NULL, n);
		break;
	default:
		n = count(&bytes_read, read(fd, buf, n));
	}
	close(fd);
	/* Most data_fds are dead: do not spin. */
	if (n < 0)
		usleep(below(w, 1000));
}

/* Read the stream into the device's own memory, for which the driver handles page faults. */
static void do_read_into_memory(struct worker *w)
{
	void *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, device_fd, memory_at);
	int fd = slot_get(w);

	if (p != MAP_FAILED) {
		ssize_t n = fd < 0 ? 0 : read(fd, p, below(w, size));

		if (n <= 0 && fd >= 0)
			n = write(fd, p, below(w, size));
		munmap(p, size);
	}
	if (fd >= 0)
		close(fd);
	usleep(below(w, 5000));
}

static void on_fault(int signal)
{
	(void)signal;
	faults++;
	siglongjmp(self->fault, 1);
}

static void touch(struct worker *w, volatile char *p, size_t n)
{
	for (int i = below(w, 200); i; i--) {
		size_t at = below(w, n);

		if (below(w, 2))
			p[at] = at;
		else
			(void)p[at];
	}
}

static void do_touch(struct worker *w)
{
	static _Thread_local volatile char *p;
	static _Thread_local size_t n;
	uint64_t offset = below(w, size / 4096) * 4096;

	n = size - offset;
	p = mmap(NULL, n, PROT_READ | PROT_WRITE, MAP_SHARED, device_fd, memory_at + offset);
	if (p == MAP_FAILED)
		return;
	if (sigsetjmp(w->fault, 1) == 0) {
		for (int i = 0; i < 10; i++) {
			touch(w, p, n);
			if (below(w, 4) == 0) {
				mprotect((void *)p, n, PROT_READ);
				mprotect((void *)p, n, PROT_READ | PROT_WRITE);
			}
			usleep(below(w, 300));
		}
	}
	if (below(w, 20) == 0) {
		pid_t child = fork();

		/* A fault ends the child. */
		if (child == 0) {
			signal(SIGBUS, SIG_DFL);
			signal(SIGSEGV, SIG_DFL);
			touch(w, p, n);
			_exit(0);
		}
		if (child > 0)
			waitpid(child, NULL, 0);
	}
	munmap((void *)p, n);
}

static void do_region(struct worker *w)
{
	static _Thread_local char buf[9000];
	size_t n = 1 + below(w, sizeof(buf));
	uint32_t reg = below(w, 1ULL << 32);
	ssize_t ret;

	switch (below(w, 4)) {
	case 0:
		ret = pread(device_fd, buf, n, memory_at + below(w, size));
		break;
	case 1:
		ret = pwrite(device_fd, buf, n, memory_at + below(w, size));
		break;
	case 2:
		ret = pread(device_fd, &reg, 4, regs_at + below(w, 4) * 4);
		break;
	default:
		ret = pwrite(device_fd, &reg, 4, regs_at + below(w, 2) * 4);
	}
	(void)ret;
}

/* Memory decoding stays on, see t-stress.sh. */
static bool still;

static void set_decoding(bool on)
{
	if (!still)
		command_write(dev, on ? PCI_COMMAND_MEMORY : 0);
}

/* Switch memory decoding off and on, and let the device sleep. */
static void do_power(struct worker *w)
{
	struct vfio_device_feature feature = { .argsz = sizeof(feature) };

	set_decoding(below(w, 3) != 0);
	usleep(below(w, 3000));
	set_decoding(true);
	/* 3 and 5: VFIO_DEVICE_FEATURE_LOW_POWER_ENTRY and _EXIT */
	feature.flags = VFIO_DEVICE_FEATURE_SET | (below(w, 4) ? 5 : 3);
	ioctl(device_fd, VFIO_DEVICE_FEATURE, &feature);
	usleep(below(w, 3000));
	feature.flags = VFIO_DEVICE_FEATURE_SET | 5;
	ioctl(device_fd, VFIO_DEVICE_FEATURE, &feature);
	usleep(below(w, 30000));
}

static void do_reset(struct worker *w)
{
	usleep(below(w, 60000));
	if (below(w, 3)) {
		resets_done += ioctl(device_fd, VFIO_DEVICE_RESET) == 0;
		return;
	}
	/* PCI's reset, which the kernel offers for some functions only. */
	resets_done += file_write(pci_file(name, "reset"), "1");
}

static void do_ask(struct worker *w)
{
	char buf[sizeof(struct vfio_device_feature) + 64] = { 0 };
	struct vfio_device_feature *feature = (void *)buf;
	char path[128];

	/* Any of the features that exist. */
	feature->argsz = sizeof(buf);
	feature->flags = VFIO_DEVICE_FEATURE_GET | below(w, 11);
	ioctl(device_fd, VFIO_DEVICE_FEATURE, feature);
	snprintf(path, sizeof(path), "/sys/kernel/debug/vfio/%s/migration/state", name);
	file_read(path, buf, sizeof(buf));
	usleep(below(w, 2000));
}

static void do_irqs(struct worker *w)
{
	struct vfio_irq_set set = {
		.argsz = sizeof(set),
		.flags = VFIO_IRQ_SET_DATA_NONE | VFIO_IRQ_SET_ACTION_TRIGGER,
		.index = VFIO_PCI_MSIX_IRQ_INDEX,
	};
	char buf[sizeof(set) + 4];
	int none = -1;

	memcpy(buf, &set, sizeof(set));
	memcpy(buf + sizeof(set), &none, sizeof(none));
	if (below(w, 2)) {
		struct vfio_irq_set *one = (void *)buf;

		one->argsz = sizeof(buf);
		one->flags = VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_TRIGGER;
		one->count = 1;
	}
	ioctl(device_fd, VFIO_DEVICE_SET_IRQS, buf);
	usleep(below(w, 10000));
}

/* A group hands out any number of descriptors of a device. */
static void do_open(struct worker *w)
{
	int fd = group_fd < 0 ? -1 : ioctl(group_fd, VFIO_GROUP_GET_DEVICE_FD, name);

	usleep(below(w, 10000));
	if (fd >= 0)
		close(fd);
}

#endif
