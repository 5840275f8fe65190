// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * bareloop DEV: the device's state to standard output, by a loop of reads and
 * writes of 1 MiB and nothing else: what a save is measured against.
 */
#include <err.h>
#include <unistd.h>
#include <vfiomig.h>

static char buf[1 << 20];

static void copy(int from)
{
	ssize_t n;

	while ((n = read(from, buf, sizeof(buf))) > 0)
		for (ssize_t done = 0, m; done < n; done += m) {
			m = write(STDOUT_FILENO, buf + done, n - done);
			if (m < 0)
				err(1, "write");
		}
	if (n < 0)
		err(1, "read");
}

int main(int argc, char **argv)
{
	struct vfiomig_device *dev;
	struct vfiomig_ctx *ctx;
	int data_fd;

	if (argc != 2)
		errx(2, "usage: bareloop DEV");
	if (vfiomig_new(&ctx))
		err(1, "out of memory");
	if (vfiomig_device_new(ctx, argv[1], &dev) || vfiomig_device_open(dev, 0) ||
	    vfiomig_device_drive(dev, VFIOMIG_STATE_STOP_COPY, &data_fd, NULL, NULL))
		errx(1, "%s", vfiomig_get_error(ctx));
	copy(data_fd);
	close(data_fd);
	if (vfiomig_device_drive(dev, VFIOMIG_STATE_RUNNING, NULL, NULL, NULL))
		errx(1, "%s", vfiomig_get_error(ctx));
	vfiomig_device_unref(dev);
	vfiomig_unref(ctx);
	return 0;
}
