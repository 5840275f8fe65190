/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a rule's function works with: the device, and the ways to say how the test ended.
 *
 * A function returns when the rule is kept. Everything else ends its process: there is nothing to
 * clean up, because the process' descriptors go with it and the runner resets the device.
 */
#ifndef RUN_H
#define RUN_H

#include <errno.h>
#include <sys/types.h>
#include <uapi.h>

#include "check.h"

#define S(state) VFIOMIG_STATE_##state

/* What the process of a test shares with the runner. */
struct shared {
	struct check_result result;
	_Atomic unsigned int beats; /* it changes as long as the device answers */
	bool logging;		    /* DMA logging was started */
	bool low_power;		    /* LOW_POWER_ENTRY was called */
	bool ended;		    /* the function has returned, or said how the test ends */
	/* The stream that the tests of loading use is in run->reference once this is set. */
	bool has_reference;
	uint64_t reference_size;
};

struct run {
	struct vfiomig_ctx *ctx;
	const struct check_target *target;
	struct vfiomig_device *device;
	int fd;			   /* of the device, or -1 */
	uint64_t flags;		   /* the device's migration flags */
	uint64_t seed, first_seed; /* of the random numbers, and at the beginning */
	unsigned int timeout;
	bool dangerous;
	bool verbose;  /* print each call */
	int state;     /* the state that the device was last seen in */
	int reference; /* a file without a name */
	struct shared *shared;
};

/* ---- How a test ends ----------------------------------------------------- */

/* The rule is broken unless @condition is true. The rest says what came instead. */
#define expect(run, condition, ...)                                                        \
	do {                                                                               \
		if (!(condition))                                                          \
			test_fails(run, __FILE_NAME__, __LINE__, #condition, __VA_ARGS__); \
	} while (0)
/* The same for what the rule does not demand, but what is doubtful. */
#define warn_unless(run, condition, ...)                                                   \
	do {                                                                               \
		if (!(condition))                                                          \
			test_warns(run, __FILE_NAME__, __LINE__, #condition, __VA_ARGS__); \
	} while (0)

#ifndef __FILE_NAME__
#define __FILE_NAME__ __FILE__
#endif

__attribute__((noreturn, format(printf, 5, 6))) void test_fails(struct run *run, const char *file,
								int line, const char *condition,
								const char *fmt, ...);
__attribute__((noreturn, format(printf, 5, 6))) void test_warns(struct run *run, const char *file,
								int line, const char *condition,
								const char *fmt, ...);
/* The rule cannot be tested here. */
__attribute__((noreturn, format(printf, 2, 3))) void test_skips(struct run *run, const char *fmt,
								...);
/* The device lacks what the rule is about. */
__attribute__((noreturn, format(printf, 2, 3))) void test_unsupported(struct run *run,
								      const char *fmt, ...);
/* Note a line for the report. */
__attribute__((format(printf, 2, 3))) void note(struct run *run, const char *fmt, ...);
__attribute__((format(printf, 2, 3))) void add_note(struct check_result *result, const char *fmt,
						    ...);
/* Note what is done to the device from here on, for the case that it never ends. */
__attribute__((format(printf, 2, 3))) void doing(struct run *run, const char *fmt, ...);

/* "EINVAL", or "0" */
const char *errno_name(int err);

/* ---- Calls of the uAPI, which return 0 or a negative errno --------------- */

/* VFIO_DEVICE_FEATURE with @flags and @size bytes of data. @data receives what the kernel has
 * written, whatever is returned. */
int feature(struct run *run, uint32_t flags, void *data, size_t size);
/* The same with an argsz that is not 8 + @size. */
int feature_argsz(struct run *run, uint32_t flags, uint32_t argsz, void *data, size_t size);
/* The same with the structure as it is in memory. */
int feature_at(struct run *run, struct vfio_device_feature *at);

/* GET of MIG_DEVICE_STATE. Returns the state or a negative errno. */
int get_state(struct run *run);
/* SET of MIG_DEVICE_STATE. @data_fd receives what the kernel has written. */
int set_state(struct run *run, int state, int *data_fd);
/* The same, with a second try after an error that need not come again. */
int try_state(struct run *run, int state, int *data_fd);
int reset_device(struct run *run);
/* VFIO_MIG_GET_PRECOPY_INFO */
int precopy_info(struct run *run, int data_fd, struct vfio_precopy_info *info);

/* read(2) and write(2), which begin again after EINTR; the number of bytes or a negative errno. */
ssize_t read_data(struct run *run, int data_fd, void *buf, size_t size);
ssize_t write_data(struct run *run, int data_fd, const void *buf, size_t size);

/* All states that the device has, except ERROR. */
#define FOR_EACH_STATE(run, state)                              \
	for (int state = 1; state < VFIOMIG_NR_STATES; state++) \
		if (has_state(run, state))

/* ---- Steps of tests ------------------------------------------------------ */

/* SET_STATE as a step that the rule is not about: the test is skipped if it fails. Returns the
 * data_fd, or -1. */
int go(struct run *run, int state);
/* Reset the device, and go to @state. A device in RESUMING has been given a stream that it can
 * load. */
int enter(struct run *run, int state);
/* Whether the device has the state. */
bool has_state(const struct run *run, int state);
/* Expect that the device is in this state. */
void expect_state(struct run *run, int state);
/* Open and close the device, for rules with OPENS_DEVICE. */
void open_device(struct run *run);
void close_device(struct run *run);
/* How many descriptors this process has open. */
unsigned int count_descriptors(struct run *run);
void sleep_ms(unsigned int ms);
/* CLOCK_MONOTONIC */
double seconds(void);
uint64_t random_number(struct run *run);
bool is_saving(int state);
/* Whether read() in PRE_COPY says with this that there is nothing more for now. Some drivers give
 * EAGAIN, or 0. */
bool is_temporary_end(ssize_t n);
/* Tell the runner that the test goes on, where doing() is not called. */
void beat(struct run *run);

#endif
