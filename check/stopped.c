// SPDX-License-Identifier: GPL-2.0-or-later
/* Rules about what a device does, and does not do, while it is stopped. */
#include <linux/pci_regs.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "stream.h"
#include "tests.h"

/* ---- Config space ---------------------------------------------------------- */

/* The header. Behind it are registers that change by themselves. */
#define CONFIG_SIZE 64
/* All of the config space */
#define CONFIG_MAX  4096

/* Read at most @size bytes of the config space. What is not there is 0. */
static void read_config(struct run *run, uint8_t *config, size_t size)
{
	struct vfio_region_info region = { .argsz = sizeof(region),
					   .index = VFIO_PCI_CONFIG_REGION_INDEX };
	ssize_t n;

	memset(config, 0, size);
	if (ioctl(run->fd, VFIO_DEVICE_GET_REGION_INFO, &region))
		test_skips(run, "the config space cannot be found: %s", errno_name(errno));
	size = region.size < size ? region.size : size;
	doing(run, "read of the config space in %s", vfiomig_state_name(run->state));
	/* By four bytes, as a VMM does. */
	for (size_t at = 0; at + 4 <= size; at += 4) {
		n = pread(run->fd, config + at, 4, region.offset + at);
		expect(run, n == 4, "a read of the config space at %#zx in %s gives %s", at,
		       vfiomig_state_name(run->state), n < 0 ? errno_name(errno) : "less");
	}
}

/* Expect that all of the config space can be read, and is this device's. */
static void expect_config(struct run *run, const uint8_t *before)
{
	const char *state = vfiomig_state_name(run->state);
	uint8_t config[CONFIG_MAX];

	read_config(run, config, sizeof(config));
	expect(run, memcmp(config, "\xff\xff\xff\xff", 4) != 0,
	       "the config space is all-ones in %s", state);
	expect(run, memcmp(config, before, 4) == 0,
	       "the vendor and device ids are %02x%02x:%02x%02x in %s, and %02x%02x:%02x%02x in RUNNING",
	       config[1], config[0], config[3], config[2], state, before[1], before[0], before[3],
	       before[2]);
}

void config_space_works(struct run *run)
{
	static const int states[] = { S(STOP), S(STOP_COPY), S(RESUMING) };
	uint8_t before[CONFIG_SIZE];

	read_config(run, before, sizeof(before));
	for (size_t i = 0; i < sizeof(states) / sizeof(states[0]); i++) {
		enter(run, states[i]);
		expect_config(run, before);
	}
}

static void expect_same_config(struct run *run, const uint8_t before[CONFIG_SIZE])
{
	uint8_t now[CONFIG_SIZE];

	read_config(run, now, sizeof(now));
	/* So does the status register. */
	memcpy(now + PCI_STATUS, before + PCI_STATUS, 2);
	for (size_t i = 0; i < CONFIG_SIZE; i++)
		expect(run, now[i] == before[i],
		       "the byte %#zx of the config space is %#x in %s, and was %#x", i, now[i],
		       vfiomig_state_name(run->state), before[i]);
}

void arcs_change_nothing(struct run *run)
{
	uint8_t before[CONFIG_SIZE];

	read_config(run, before, sizeof(before));
	if (has_state(run, S(PRE_COPY))) {
		close(go(run, S(PRE_COPY)));
		expect_same_config(run, before);
		go(run, S(RUNNING));
		expect_same_config(run, before);
	}
	go(run, S(STOP));
	expect_same_config(run, before);
	close(go(run, S(STOP_COPY)));
	expect_same_config(run, before);
	go(run, S(STOP));
	go(run, S(RUNNING));
	expect_same_config(run, before);
}

/* ---- Interrupts ------------------------------------------------------------- */

#define VECTORS_MAX 64

/* The interrupts of one index, with an eventfd for each. */
struct vectors {
	unsigned int index, count;
	bool maskable;
	int eventfds[VECTORS_MAX];
};

/* Find an index that has interrupts: MSI-X before MSI before INTx. */
static bool find_vectors(struct run *run, unsigned int index, struct vectors *vectors)
{
	struct vfio_irq_info irq = { .argsz = sizeof(irq), .index = index };

	if (ioctl(run->fd, VFIO_DEVICE_GET_IRQ_INFO, &irq) || !irq.count ||
	    !(irq.flags & VFIO_IRQ_INFO_EVENTFD))
		return false;
	vectors->index = index;
	vectors->maskable = irq.flags & VFIO_IRQ_INFO_MASKABLE;
	vectors->count = irq.count < VECTORS_MAX ? irq.count : VECTORS_MAX;
	return true;
}

static int set_irqs(struct run *run, uint32_t flags, unsigned int index, unsigned int start,
		    unsigned int count, const int *eventfds)
{
	size_t size = sizeof(struct vfio_irq_set) + (eventfds ? count * sizeof(int) : 0);
	struct vfio_irq_set *set = calloc(1, size);
	int err;

	if (!set)
		test_skips(run, "out of memory");
	set->argsz = size;
	set->flags = flags;
	set->index = index;
	set->start = start;
	set->count = count;
	if (eventfds)
		memcpy(set->data, eventfds, count * sizeof(int));
	doing(run, "VFIO_DEVICE_SET_IRQS of index %u in %s", index, vfiomig_state_name(run->state));
	err = ioctl(run->fd, VFIO_DEVICE_SET_IRQS, set) ? -errno : 0;
	free(set);
	return err;
}

static int enable(struct run *run, struct vectors *vectors)
{
	for (unsigned int i = 0; i < vectors->count; i++) {
		vectors->eventfds[i] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
		if (vectors->eventfds[i] < 0)
			test_skips(run, "no eventfd can be made: %s", errno_name(errno));
	}
	return set_irqs(run, VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_TRIGGER,
			vectors->index, 0, vectors->count, vectors->eventfds);
}

static int disable(struct run *run, struct vectors *vectors)
{
	int err = set_irqs(run, VFIO_IRQ_SET_DATA_NONE | VFIO_IRQ_SET_ACTION_TRIGGER,
			   vectors->index, 0, 0, NULL);

	for (unsigned int i = 0; i < vectors->count; i++)
		close(vectors->eventfds[i]);
	return err;
}

/* Mask the first interrupt, and unmask it. Returns 0 or a negative errno. */
static int mask(struct run *run, const struct vectors *vectors)
{
	const uint32_t none = VFIO_IRQ_SET_DATA_NONE;

	return set_irqs(run, none | VFIO_IRQ_SET_ACTION_MASK, vectors->index, 0, 1, NULL)
		       ?: set_irqs(run, none | VFIO_IRQ_SET_ACTION_UNMASK, vectors->index, 0, 1,
				   NULL);
}

/* The index that a driver of the device would use. Returns false if there is none. */
static bool find_best_vectors(struct run *run, struct vectors *vectors)
{
	static const unsigned int indexes[] = { VFIO_PCI_MSIX_IRQ_INDEX, VFIO_PCI_MSI_IRQ_INDEX,
						VFIO_PCI_INTX_IRQ_INDEX };

	for (size_t i = 0; i < sizeof(indexes) / sizeof(indexes[0]); i++)
		if (find_vectors(run, indexes[i], vectors))
			return true;
	return find_vectors(run, 0, vectors);
}

void interrupts_can_be_set(struct run *run)
{
	static const int states[] = { S(STOP), S(STOP_COPY) };
	bool any = false;

	for (size_t i = 0; i < sizeof(states) / sizeof(states[0]); i++) {
		for (unsigned int index = 0; index < VFIO_PCI_NUM_IRQS; index++) {
			struct vectors vectors;
			bool masks;
			int err;

			enter(run, S(RUNNING));
			if (!find_vectors(run, index, &vectors))
				continue;
			/* What cannot be done in RUNNING is no matter of the state. */
			err = enable(run, &vectors);
			masks = !err && vectors.maskable && !mask(run, &vectors);
			disable(run, &vectors);
			if (err)
				continue;
			any = true;
			enter(run, states[i]);
			err = enable(run, &vectors);
			expect(run, !err, "VFIO_DEVICE_SET_IRQS of index %u in %s gives %s", index,
			       vfiomig_state_name(states[i]), errno_name(err));
			err = masks ? mask(run, &vectors) : 0;
			expect(run, !err, "masking the interrupt of index %u in %s gives %s", index,
			       vfiomig_state_name(states[i]), errno_name(err));
			err = disable(run, &vectors);
			expect(run, !err, "disabling the interrupts of index %u in %s gives %s",
			       index, vfiomig_state_name(states[i]), errno_name(err));
		}
	}
	if (!any)
		test_skips(run, "no interrupt can be enabled in RUNNING");
}

static unsigned int count_fired(const struct vectors *vectors)
{
	unsigned int fired = 0;
	uint64_t count;

	for (unsigned int i = 0; i < vectors->count; i++)
		if (read(vectors->eventfds[i], &count, sizeof(count)) == sizeof(count))
			fired++;
	return fired;
}

/* Expect that the device raises none of the interrupts, which are enabled, for this time. */
static void expect_no_interrupt(struct run *run, const struct vectors *vectors, unsigned int ms)
{
	/* What was on the way when the device stopped. */
	count_fired(vectors);
	sleep_ms(ms);
	expect(run, !count_fired(vectors), "an interrupt was raised in %s",
	       vfiomig_state_name(run->state));
}

void no_interrupts(struct run *run)
{
	struct vectors vectors;
	int err;

	if (!find_best_vectors(run, &vectors))
		test_skips(run, "the device has no interrupts that can be enabled");
	err = enable(run, &vectors);
	if (err)
		test_skips(run, "the interrupts cannot be enabled: %s", errno_name(err));
	go(run, S(STOP));
	expect_no_interrupt(run, &vectors, 1000);
	close(go(run, S(STOP_COPY)));
	expect_no_interrupt(run, &vectors, 200);
	go(run, S(STOP));
	close(go(run, S(RESUMING)));
	expect_no_interrupt(run, &vectors, 200);
}

/* ---- A device that works ----------------------------------------------------- */

/* The regions whose reads are the device's own answer: the BARs, or all regions if it is no PCI
 * function. */
#define REGIONS_MAX 6

static bool find_region(struct run *run, unsigned int index, struct vfio_region_info *region)
{
	*region = (struct vfio_region_info){ .argsz = sizeof(*region), .index = index };
	return ioctl(run->fd, VFIO_DEVICE_GET_REGION_INFO, region) == 0 &&
	       (region->flags & VFIO_REGION_INFO_FLAG_READ) && region->size >= 4;
}

/* Read the beginning of a region. Returns 0 or a negative errno. */
static int read_region(struct run *run, unsigned int index, const struct vfio_region_info *region)
{
	uint32_t value;
	ssize_t n;

	doing(run, "read of the region %u in %s", index, vfiomig_state_name(run->state));
	n = pread(run->fd, &value, sizeof(value), region->offset);
	return n < 0 ? -errno : n == sizeof(value) ? 0 : -EIO;
}

/* What can be seen of a device that works, without knowing what it is for. */
struct sight {
	uint8_t config[CONFIG_SIZE];
	unsigned int regions;	     /* bits of those that can be read */
	struct vectors vectors;	     /* whose interrupts are enabled, if there is one */
	bool interrupts, on_request; /* VFIO raises one of them on request */
};

static bool has_config(const struct run *run)
{
	return run->target->supports & NEEDS_CONFIG_SPACE;
}

/* Ask VFIO to raise an interrupt. Returns 0 or a negative errno: -ENODATA if it does not arrive. */
static int raise_one(struct run *run, const struct vectors *vectors)
{
	int err;

	count_fired(vectors);
	err = set_irqs(run, VFIO_IRQ_SET_DATA_NONE | VFIO_IRQ_SET_ACTION_TRIGGER, vectors->index, 0,
		       1, NULL);
	if (err)
		return err;
	for (int i = 0; i < 100; i++) {
		if (count_fired(vectors))
			return 0;
		sleep_ms(10);
	}
	return -ENODATA;
}

static void enable_some(struct run *run, struct sight *sight)
{
	sight->interrupts =
		find_best_vectors(run, &sight->vectors) && !enable(run, &sight->vectors);
}

/* Look at a device in RUNNING that was reset. */
static void look_at(struct run *run, struct sight *sight)
{
	struct vfio_region_info region;

	memset(sight, 0, sizeof(*sight));
	if (has_config(run))
		read_config(run, sight->config, sizeof(sight->config));
	for (unsigned int i = 0; i < REGIONS_MAX; i++)
		if (find_region(run, i, &region) && !read_region(run, i, &region))
			sight->regions |= 1U << i;
	if (run->target->supports & NEEDS_INTERRUPTS)
		enable_some(run, sight);
	sight->on_request = sight->interrupts && !raise_one(run, &sight->vectors);
	if (!has_config(run) && !sight->regions && !sight->interrupts)
		test_skips(
			run,
			"nothing can be seen of the device: it has no config space, no region that can be read, and no interrupt");
}

/* Expect that the device works as it did then. Its interrupts have stayed enabled. */
static void expect_sight(struct run *run, const struct sight *before)
{
	struct vfio_region_info region;
	int err;

	if (has_config(run))
		expect_same_config(run, before->config);
	for (unsigned int i = 0; i < REGIONS_MAX; i++) {
		if (!(before->regions & (1U << i)) || !find_region(run, i, &region))
			continue;
		err = read_region(run, i, &region);
		expect(run, !err, "a read of the region %u in %s gives %s, and did not before", i,
		       vfiomig_state_name(run->state), errno_name(err));
	}
	if (!before->on_request)
		return;
	err = raise_one(run, &before->vectors);
	expect(run, err != -ENODATA,
	       "an interrupt that VFIO was asked to raise in %s does not arrive, and did before",
	       vfiomig_state_name(run->state));
	expect(run, !err, "VFIO was asked to raise an interrupt in %s, which gives %s",
	       vfiomig_state_name(run->state), errno_name(err));
}

void running_works_again(struct run *run)
{
	struct sight before;

	look_at(run, &before);
	close(go(run, S(STOP_COPY)));
	go(run, S(RUNNING));
	expect_sight(run, &before);
}

void precopy_runs(struct run *run)
{
	struct sight before;
	int data_fd;

	look_at(run, &before);
	data_fd = go(run, S(PRE_COPY));
	expect_sight(run, &before);
	if (has_state(run, S(PRE_COPY_P2P))) {
		go(run, S(PRE_COPY_P2P));
		expect_sight(run, &before);
	}
	close(data_fd);
}

void loaded_device_works(struct run *run)
{
	struct sight before;

	reference_stream(run);
	look_at(run, &before);
	/* What loads the state also says which interrupts it has. */
	if (before.interrupts)
		disable(run, &before.vectors);
	close(enter(run, S(RESUMING)));
	go(run, S(RUNNING));
	if (before.interrupts)
		enable_some(run, &before);
	expect_sight(run, &before);
}

/* Expect of the device, which was loaded and is in STOP, what STOP is after RUNNING. */
void loaded_device_stops(struct run *run)
{
	struct stream first, second;
	struct sight before;
	int err;

	reference_stream(run);
	look_at(run, &before);
	if (before.interrupts)
		disable(run, &before.vectors);
	close(enter(run, S(RESUMING)));
	go(run, S(STOP));
	if (has_config(run))
		expect_config(run, before.config);
	if (before.interrupts) {
		err = enable(run, &before.vectors);
		expect(run, !err, "VFIO_DEVICE_SET_IRQS of index %u in STOP gives %s",
		       before.vectors.index, errno_name(err));
		expect_no_interrupt(run, &before.vectors, 200);
	}
	first = save_stream(run);
	second = save_stream(run);
	warn_unless(run, first.size == second.size && first.digest == second.digest,
		    "two sessions of the loaded device differ");
	go(run, S(RUNNING));
	expect_state(run, S(RUNNING));
}

void stopped_device_can_be_read(struct run *run)
{
	static const int states[] = { S(STOP), S(STOP_COPY), S(RESUMING) };
	struct vfio_region_info region;
	bool any = false;

	for (size_t i = 0; i < sizeof(states) / sizeof(states[0]); i++) {
		int data_fd = enter(run, states[i]);

		for (unsigned int r = 0; r < REGIONS_MAX; r++) {
			if (!find_region(run, r, &region))
				continue;
			any = true;
			/* An error is the user's own. The runner looks at the kernel's log. */
			(void)read_region(run, r, &region);
		}
		expect_state(run, states[i]);
		if (data_fd >= 0)
			close(data_fd);
	}
	if (!any)
		test_unsupported(run, "the device has no region that can be read");
}

/* ---- The state ------------------------------------------------------------- */

void state_is_constant(struct run *run)
{
	struct stream first = save_stream(run), second = save_stream(run);

	warn_unless(
		run, first.size == second.size && first.digest == second.digest,
		"two sessions in a row differ: %llu and %llu bytes; a stream may have times in it",
		(unsigned long long)first.size, (unsigned long long)second.size);
}
