// SPDX-License-Identifier: GPL-2.0-or-later
/* Failures that are known, by driver and kernel, and where each of them comes from. */
#include <fnmatch.h>
#include <stdio.h>
#include <string.h>

#include "check.h"

static const struct {
	const char *driver;
	const char *id;
	/* How it fails, as a pattern of the reason: another failure is not known. */
	const char *reason;
	/* The series of kernels that have it, both included: 0x060c is 6.12. */
	unsigned int first, last;
	const char *source;
} errata[] = {
	{ "mtty", "precopy.enomsg", "when there is nothing more for now, read() gives 0,*", 0x0607,
	  0x0703,
	  "samples/vfio-mdev/mtty.c: mtty_save_read() gives 0 in PRE_COPY when it has no more" },
	{ "mtty", "resume.refused-write",
	  "write() has refused the stream with *, and RESUMING -> STOP loads it", 0x0607, 0x0703,
	  "samples/vfio-mdev/mtty.c: mtty_resume_write() counts the bytes of a header that it refuses, and mtty_load_state() looks at their number only" },
	{ "mtty", "reset.close", "the device is in * instead of RUNNING", 0x0607, 0x0703,
	  "samples/vfio-mdev/mtty.c: mtty_close() leaves the migration state as it is" },
	{ "mtty", "reset.killed", "the device is in * instead of RUNNING", 0x0607, 0x0703,
	  "samples/vfio-mdev/mtty.c: mtty_close() leaves the migration state as it is" },
	{ "mtty", "resume.killed", "the device is in RESUMING instead of RUNNING", 0x0607, 0x0703,
	  "samples/vfio-mdev/mtty.c: mtty_close() leaves the migration state as it is" },
	{ "mtty", "dma.not-started", "DMA_LOGGING_REPORT * succeeds", 0x0607, 0x0703,
	  "samples/vfio-mdev/mtty.c: mtty_log_read_and_clear() does nothing, because the device has no DMA" },
	{ "mtty", "dma.bad-ranges", "the device logs after a DMA_LOGGING_START that failed", 0x0607,
	  0x0703,
	  "samples/vfio-mdev/mtty.c: mtty_log_read_and_clear() does nothing, because the device has no DMA" },
	{ "mtty", "dma.one-start", "a second DMA_LOGGING_START succeeds", 0x0607, 0x0703,
	  "samples/vfio-mdev/mtty.c: mtty_log_start() does nothing, because the device has no DMA" },
};

const char *check_erratum(const struct check_result *result, const char *driver,
			  const char *release)
{
	unsigned int major, minor, series;

	/* What crashes or hangs has failed no condition, and is not known. */
	if (!result->condition[0] || sscanf(release, "%u.%u", &major, &minor) != 2)
		return NULL;
	series = major << 8 | minor;
	for (size_t i = 0; i < sizeof(errata) / sizeof(errata[0]); i++)
		if (strcmp(errata[i].driver, driver) == 0 &&
		    strcmp(errata[i].id, result->rule->id) == 0 && series >= errata[i].first &&
		    series <= errata[i].last && fnmatch(errata[i].reason, result->reason, 0) == 0)
			return errata[i].source;
	return NULL;
}
