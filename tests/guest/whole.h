/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A device's whole stream, for the C programs that test in the guest. */
#ifndef WHOLE_H
#define WHOLE_H

#include "device.h"

struct whole {
	unsigned char *data;
	size_t size, room;
};

/* Make room for @more bytes. Returns where they begin. */
static inline unsigned char *whole_room(struct whole *w, size_t more)
{
	if (w->size + more > w->room) {
		w->room = 2 * w->room + more;
		w->data = realloc(w->data, w->room);
		if (!w->data)
			err(1, NULL);
	}
	return w->data + w->size;
}

/* Read up to the end of the stream or an error. Returns 0 or the errno. */
static inline int whole_read(struct whole *w, int data_fd)
{
	ssize_t n;

	do {
		n = read(data_fd, whole_room(w, 1 << 18), 1 << 18);
		w->size += n > 0 ? n : 0;
	} while (n > 0);
	return n ? errno : 0;
}

/* Save the device, which is RUNNING afterwards. */
static inline struct whole whole_save(struct vfiomig_device *dev)
{
	struct whole w = { 0 };
	int fd = device_go(dev, VFIOMIG_STATE_STOP_COPY);

	errno = whole_read(&w, fd);
	if (errno)
		err(1, "save");
	close(fd);
	device_go(dev, VFIOMIG_STATE_RUNNING);
	return w;
}

static inline bool whole_load(struct vfiomig_device *dev, const struct whole *w)
{
	int fd = device_go(dev, VFIOMIG_STATE_RESUMING), none;
	bool good = write_all(fd, w->data, w->size) &&
		    vfiomig_device_set_state(dev, VFIOMIG_STATE_STOP, &none) == 0;

	close(fd);
	if (good)
		device_go(dev, VFIOMIG_STATE_RUNNING);
	return good;
}

/* Returns whether the device would save this stream now. */
static inline bool whole_is(struct vfiomig_device *dev, const struct whole *w)
{
	struct whole now = whole_save(dev);
	bool same = now.size == w->size && memcmp(now.data, w->data, w->size) == 0;

	free(now.data);
	return same;
}

/*
 * Returns whether the stream can be loaded, the device be changed, and the stream be loaded again.
 */
static inline bool whole_works(struct vfiomig_device *dev, const struct whole *w)
{
	uint64_t other = random();

	if (!whole_load(dev, w))
		return false;
	for (off_t at = 0; at < 1 << 14; at += 1 << 12)
		region_write(dev, VFIO_PCI_BAR2_REGION_INDEX, at, &other, sizeof(other));
	reg_write(dev, INTR_MASK, other);
	return !whole_is(dev, w) && whole_load(dev, w) && whole_is(dev, w);
}

#endif
