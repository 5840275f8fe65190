// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * faults DEV: the driver of an ivshmem device without a PCI reset fails in the middle of arcs, of
 * streams and of resets, because the debug kernel makes it fail (see fault.h). The state that is
 * read back then is one that the uAPI allows, and the device recovers as the uAPI says.
 */
#include "fault.h"
#include "tap.h"
#include "whole.h"

static struct vfiomig_ctx *ctx;
static struct vfiomig_device *dev;
static struct whole good; /* the state that the device must have again and again */
static uint64_t flags;

/* Functions of the driver that are called during arcs, and can fail. */
static const char *const steps[] = { "hw_mask_irqs", "migf_begin", "hw_load_regs" };

static int set_state(int state, int *data_fd)
{
	return device_set_state(dev, state, data_fd);
}

static int get_state(void)
{
	return vfiomig_device_get_state(dev);
}

static void check_whole(const char *when)
{
	tap(whole_works(dev, &good), "%s: the device can be saved and restored", when);
}

/* ---- Arcs that fail ------------------------------------------------------ */

/* Returns whether the driver calls this function during this arc. */
static bool arc_needs(int from, int to, const char *step)
{
	if (strcmp(step, "hw_mask_irqs") == 0)
		return (from == VFIOMIG_STATE_RUNNING_P2P && to == VFIOMIG_STATE_STOP) ||
		       (from == VFIOMIG_STATE_PRE_COPY_P2P && to == VFIOMIG_STATE_STOP_COPY);
	if (strcmp(step, "migf_begin") == 0)
		return to == VFIOMIG_STATE_RESUMING || (is_saving(to) && !is_saving(from));
	return from == VFIOMIG_STATE_RESUMING;
}

/* Returns the state before the arc in which this function is called, or -1 if it is not called. */
static int fails_in(int from, const int *path, int arcs, const char *step)
{
	for (int i = 0; i < arcs; i++) {
		if (arc_needs(from, path[i], step))
			return from;
		from = path[i];
	}
	return -1;
}

/* Put the device into @from; if that is RESUMING, load a whole state. Returns the data_fd. */
static int start_in(int from)
{
	int fd;

	device_reset(dev);
	fd = device_go(dev, from);
	if (from == VFIOMIG_STATE_RESUMING && !write_all(fd, good.data, good.size))
		err(1, "load");
	return fd;
}

/* One fault on the path is reported, and afterwards the device can go on from where it is. */
static void test_way(int from, int to, const char *step, int where)
{
	int session = start_in(from), fd = -1, now;
	const char *why = NULL;

	fault_arm(step, 1, 1);
	if (set_state(to, &fd) != -FAULT_ERRNO || fd >= 0)
		why = "the error is not reported";
	if (!fault_disarm(1))
		why = "there was no fault";
	now = get_state();
	if (now != where) {
		why = "in another state";
	} else if (set_state(to, &fd) || get_state() != to) {
		why = "the device cannot go on";
	}
	tap(!why, "%s to %s, %s fails: %s", vfiomig_state_name(from), vfiomig_state_name(to), step,
	    why ? why : vfiomig_state_name(now));
	if (fd >= 0)
		close(fd);
	if (session >= 0)
		close(session);
}

static void test_ways(int from)
{
	int path[VFIOMIG_NR_STATES];

	for (int to = 0; to < VFIOMIG_NR_STATES; to++) {
		int arcs = vfiomig_fsm_path(flags, from, to, path);

		for (size_t i = 0; i < sizeof(steps) / sizeof(*steps); i++) {
			int where = fails_in(from, path, arcs, steps[i]);

			if (where >= 0)
				test_way(from, to, steps[i], where);
		}
	}
	device_reset(dev);
	check_whole(vfiomig_state_name(from));
}

/* ---- Streams that fail in the middle ------------------------------------- */

/*
 * Read all of a save's data. Returns how many times a read failed with the fault's error, or -1
 * after another error.
 */
static int read_through(struct whole *w, int fd)
{
	int told = 0, error;

	while ((error = whole_read(w, fd)) != 0) {
		if (error == ENOMSG)
			break;
		if (error != FAULT_ERRNO)
			return -1;
		told++;
	}
	return told;
}

/* The @nth piece cannot be read at first. A failed read can be repeated. */
static bool read_fault(const char *step, int nth, int times, bool precopy)
{
	struct whole w = { 0 };
	bool come = true;
	int fd, told;

	fd = device_go(dev, precopy ? VFIOMIG_STATE_PRE_COPY : VFIOMIG_STATE_STOP_COPY);
	fault_arm(step, nth, times);
	told = read_through(&w, fd);
	if (precopy) {
		device_go(dev, VFIOMIG_STATE_STOP_COPY);
		told += read_through(&w, fd);
	}
	come = fault_disarm(times) == times;
	close(fd);
	device_go(dev, VFIOMIG_STATE_RUNNING);
	/* A read() that has got data before the fault returns the data, and not the error. */
	come &= told >= times - 1 && told <= times;
	come &= w.size == good.size && !memcmp(w.data, good.data, good.size);
	free(w.data);
	return come;
}

/* A save is given up in the middle, while the device still fails. */
static bool read_given_up(const char *step, int nth)
{
	struct whole w = { 0 };
	int fd = device_go(dev, VFIOMIG_STATE_STOP_COPY);
	bool told;

	fault_arm(step, nth, 2);
	told = whole_read(&w, fd) != 0 || whole_read(&w, fd) != 0;
	free(w.data);
	device_go(dev, VFIOMIG_STATE_RUNNING);
	fault_disarm(2);
	told &= read(fd, &nth, sizeof(nth)) < 0 && errno == ENODEV;
	close(fd);
	return told && whole_is(dev, &good);
}

/*
 * The @nth piece cannot be stored at first. A write() that has taken something before the fault
 * returns that, and not the error, so there are two faults. The stream is not whole then, but the
 * write can be repeated.
 */
static bool write_fault(int nth, bool given_up)
{
	int none, fd;
	size_t done;
	bool told;

	region_write(dev, VFIO_PCI_BAR2_REGION_INDEX, (off_t)(nth - 1) << 16, "other", 5);
	fd = device_go(dev, VFIOMIG_STATE_RESUMING);
	fault_arm("hw_write_memory", nth, 2);
	done = write_up_to(fd, good.data, good.size);
	told = done < good.size && errno == FAULT_ERRNO;
	told &= fault_disarm(2) == 2;
	told &= set_state(VFIOMIG_STATE_STOP, &none) == -EINVAL &&
		get_state() == VFIOMIG_STATE_RESUMING;
	if (given_up) {
		device_reset(dev);
		told &= write(fd, good.data, 1) < 0 && errno == ENODEV;
		close(fd);
		return told && whole_load(dev, &good) && whole_is(dev, &good);
	}
	told &= write_all(fd, good.data + done, good.size - done) &&
		set_state(VFIOMIG_STATE_STOP, &none) == 0;
	close(fd);
	device_go(dev, VFIOMIG_STATE_RUNNING);
	return told && whole_is(dev, &good);
}

static void test_streams(int pieces)
{
	for (int nth = 1; nth <= pieces; nth += nth < 4 ? 1 : 5) {
		tap(read_fault("hw_read_memory", nth, 1, false) &&
			    read_fault("hw_read_memory", nth, 2, false) &&
			    read_fault("hw_read_memory", nth, 3, true),
		    "memory piece %d cannot be read at first: the stream is complete", nth);
		tap(read_given_up("hw_read_memory", nth),
		    "memory piece %d cannot be read: the save is given up", nth);
		tap(write_fault(nth, false) && write_fault(nth, true),
		    "memory piece %d cannot be written: the write can be repeated, or given up",
		    nth);
	}
	tap(read_fault("hw_save_regs", 1, 1, false) && read_fault("hw_save_regs", 1, 2, false) &&
		    read_fault("hw_save_regs", 1, 3, true),
	    "the registers cannot be read at first: the stream is complete");
	tap(read_given_up("hw_save_regs", 1), "the registers cannot be read: the save is given up");
	check_whole("after streams that failed");
}

/* ---- Resets and opens that fail ------------------------------------------ */

/* RESUMING, with all of a good state, ends neither by an arc nor by a reset that fail. */
static void test_resuming_stays(void)
{
	int fd = device_go(dev, VFIOMIG_STATE_RESUMING), none;
	uint64_t bytes;

	if (!write_all(fd, good.data, good.size))
		err(1, "load");
	fault_arm("hw_load_regs", 1, 2);
	tap(set_state(VFIOMIG_STATE_STOP, &none) == -FAULT_ERRNO &&
		    get_state() == VFIOMIG_STATE_RESUMING,
	    "registers that cannot be loaded leave the device in RESUMING");
	tap(vfiomig_device_reset(dev) == -FAULT_ERRNO && get_state() == VFIOMIG_STATE_RESUMING,
	    "and so does a reset that fails");
	fault_disarm(2);
	tap(vfiomig_device_get_data_size(dev, &bytes) == 0, "MIG_DATA_SIZE does no harm there");
	tap(set_state(VFIOMIG_STATE_STOP, &none) == 0 && get_state() == VFIOMIG_STATE_STOP,
	    "the arc can be tried again");
	device_go(dev, VFIOMIG_STATE_RUNNING);
	close(fd);
	tap(whole_is(dev, &good), "and then the device has the state");
}

static void test_reset_fails(void)
{
	struct whole w = { 0 };
	int fd = device_go(dev, VFIOMIG_STATE_STOP_COPY);

	if (read(fd, whole_room(&w, 1000), 1000) != 1000)
		err(1, "read");
	w.size = 1000;
	fault_arm("hw_load_regs", 1, 1);
	tap(vfiomig_device_reset(dev) == -FAULT_ERRNO && get_state() == VFIOMIG_STATE_STOP_COPY,
	    "a reset that fails leaves the device in its state");
	fault_disarm(1);
	tap(whole_read(&w, fd) == 0 && w.size == good.size &&
		    memcmp(w.data, good.data, w.size) == 0,
	    "a reset that fails does not end the session");
	close(fd);
	free(w.data);
	device_reset(dev);
}

static void test_open_fails(void)
{
	static const char *const of_open[] = { "hw_map", "hw_load_regs" };

	for (int i = 0; i < 2; i++) {
		vfiomig_device_close(dev);
		fault_arm(of_open[i], 1, 1);
		tap(vfiomig_device_open(dev, 0) == -FAULT_ERRNO,
		    "%s fails: the device does not open (%s)", of_open[i], vfiomig_get_error(ctx));
		fault_disarm(1);
		if (!tap(vfiomig_device_open(dev, 0) == 0, "the device opens without the fault"))
			errx(1, "%s", vfiomig_get_error(ctx));
		check_whole("after an open that failed");
	}
}

int main(int argc, char **argv)
{
	uint64_t size;

	if (argc != 2)
		errx(2, "usage: faults DEV");
	ctx = new_context();
	dev = device_open(ctx, argv[1]);
	if (vfiomig_device_get_migration(dev, &flags))
		errx(1, "%s", vfiomig_get_error(ctx));
	size = region_info(dev, VFIO_PCI_BAR2_REGION_INDEX).size;
	for (uint64_t at = 0; at < size; at += 1 << 12)
		region_write(dev, VFIO_PCI_BAR2_REGION_INDEX, at, &at, 8);
	reg_write(dev, INTR_MASK, 0x600d);
	good = whole_save(dev);

	for (int from = 0; from < VFIOMIG_NR_STATES; from++)
		if (from != VFIOMIG_STATE_ERROR)
			test_ways(from);
	test_streams(size >> 16);
	test_resuming_stays();
	test_reset_fails();
	test_open_fails();
	printf("# %d faults\n", fault_count);
	free(good.data);
	vfiomig_device_unref(dev);
	vfiomig_unref(ctx);
	return tap_end();
}
