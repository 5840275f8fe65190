// SPDX-License-Identifier: GPL-2.0-or-later
/* Failures that are known, by driver and kernel, and where each of them comes from. */
#include <stdio.h>
#include <string.h>

#include "check.h"

static const struct {
	const char *driver;
	const char *id;
	/* The series of kernels that have it, both included: 0x060c is 6.12. */
	unsigned int first, last;
	const char *source;
} errata[] = {
	{ "mtty", "precopy.enomsg", 0x0607, 0x0703,
	  "samples/vfio-mdev/mtty.c: mtty_save_read() gives 0 in PRE_COPY when it has no more" },
	{ "mtty", "resume.refused-write", 0x0607, 0x0703,
	  "samples/vfio-mdev/mtty.c: mtty_resume_write() counts the bytes of a header that it refuses, and mtty_load_state() looks at their number only" },
	{ "mtty", "reset.close", 0x0607, 0x0703,
	  "samples/vfio-mdev/mtty.c: mtty_close() leaves the migration state as it is" },
	{ "mtty", "reset.killed", 0x0607, 0x0703,
	  "samples/vfio-mdev/mtty.c: mtty_close() leaves the migration state as it is" },
	{ "mtty", "dma.not-started", 0x0607, 0x0703,
	  "samples/vfio-mdev/mtty.c: mtty_log_read_and_clear() does nothing, because the device has no DMA" },
	{ "mtty", "dma.bad-ranges", 0x0607, 0x0703,
	  "samples/vfio-mdev/mtty.c: mtty_log_read_and_clear() does nothing, because the device has no DMA" },
	{ "mtty", "dma.one-start", 0x0607, 0x0703,
	  "samples/vfio-mdev/mtty.c: mtty_log_start() does nothing, because the device has no DMA" },
};

const char *check_erratum(const struct check_rule *rule, const char *driver, const char *release)
{
	unsigned int major, minor, series;

	if (sscanf(release, "%u.%u", &major, &minor) != 2)
		return NULL;
	series = major << 8 | minor;
	for (size_t i = 0; i < sizeof(errata) / sizeof(errata[0]); i++)
		if (strcmp(errata[i].driver, driver) == 0 && strcmp(errata[i].id, rule->id) == 0 &&
		    series >= errata[i].first && series <= errata[i].last)
			return errata[i].source;
	return NULL;
}
