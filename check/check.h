/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The conformance test: does a device keep the rules of the VFIO migration protocol?
 *
 * Each rule of the uAPI that can be tested is one function and one entry in rules.c. The runner
 * calls each function in a process of its own, on a device that was reset. Programs that show the
 * results need this header alone.
 */
#ifndef CHECK_H
#define CHECK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <vfiomig.h>

struct run;

/* How much a rule weighs. */
enum check_level {
	MUST,	/* the uAPI's text says so: a failure is FAIL */
	SHOULD, /* the text says should, or Linux's conventions do: a failure is WARN */
	INFO,	/* nothing is judged */
};

enum check_status {
	CHECK_OK,
	CHECK_UNSUPPORTED, /* the device lacks what the rule is about, which it may */
	CHECK_FAIL,
	CHECK_WARN,
	CHECK_SKIP,
	CHECK_XFAIL, /* a failure that is known of this driver and kernel */
	NR_CHECK_STATUSES
};

/* What a rule needs of the device, and what it does that is not everybody's wish. */
enum check_needs {
	NEEDS_P2P = 1 << 0,
	NEEDS_PRE_COPY = 1 << 1,
	NEEDS_DATA_SIZE = 1 << 2,
	NEEDS_DMA_LOGGING = 1 << 3,
	NEEDS_PRECOPY_INFOV2 = 1 << 4,
	NEEDS_CONFIG_SPACE = 1 << 5,
	NEEDS_INTERRUPTS = 1 << 6,
	/* The function opens and closes the device itself. */
	OPENS_DEVICE = 1 << 7,
	/* It hangs or taints kernels or drivers that have known faults. */
	IS_DANGEROUS = 1 << 8,
	/* It takes seconds on the fastest device. */
	IS_SLOW = 1 << 9,
	/* It depends on the seed. */
	IS_RANDOM = 1 << 10,
};

struct check_rule {
	const char *id;	    /* "session.eof-permanent"; its first word is the group */
	const char *number; /* its number in the list of rules, "D1" */
	enum check_level level;
	unsigned int needs;
	const char *words; /* the rule, in the words of the uAPI where it has them */
	void (*test)(struct run *run);
	const char *cannot; /* why there is no test, if there is none */
};

/* All rules, group by group. */
extern const struct check_rule check_rules[];
extern const size_t check_nr_rules;

/* The heading of the group that the rule belongs to. */
const char *check_group(const struct check_rule *rule, size_t *length);
const char *check_level_name(enum check_level level);
const char *check_status_name(enum check_status status);

#define CHECK_PATH_MAX	48
#define CHECK_NOTES_MAX 2048

struct check_result {
	const struct check_rule *rule;
	enum check_status status;
	/* What was expected and what came instead, or why the rule was not tested; or "". */
	char reason[512];
	/* For FAIL and WARN: the condition, and where it is in the source, or "". */
	char condition[256];
	char where[64];
	/* The last thing that was done to the device: "SET_STATE STOP -> STOP_COPY". */
	char doing[128];
	/* The states that the device went through. */
	uint8_t path[CHECK_PATH_MAX];
	unsigned int path_length;
	bool path_cut; /* there were more states before these */
	/* What INFO rules have found, and what the kernel has logged: lines. */
	char notes[CHECK_NOTES_MAX];
	double seconds;
};

/*
 * Why a rule fails in this way with this driver on this kernel, if that is known; or NULL. @driver
 * is the name of the module, @release what uname(2) says.
 */
const char *check_erratum(const struct check_result *result, const char *driver,
			  const char *release);

struct check_options {
	/* For each rule whether it is to be tested; why not is in @reason, or NULL. */
	bool (*wanted)(void *data, const struct check_rule *rule, const char **reason);
	void (*end)(void *data, const struct check_result *result);
	/* Whether the user wants the run to end. */
	bool (*interrupted)(void *data);
	void *data;
	unsigned int timeout; /* how many seconds the device may not answer */
	uint64_t seed;
	bool dangerous, verbose;
};

/* What the runner has found out about the device and the kernel before it begins. */
struct check_target {
	struct vfiomig_device *device;
	uint64_t flags; /* of VFIO_DEVICE_FEATURE_MIGRATION */
	char kernel[128], driver[64], module_version[64], srcversion[64];
	unsigned int supports; /* of enum check_needs */
	uint64_t state_size;   /* as MIG_DATA_SIZE estimates it, or 0 */
	bool log_is_readable;
};

/*
 * Look at a device that is open. Returns 0 or a negative errno.
 */
int check_target_look(struct vfiomig_ctx *ctx, struct vfiomig_device *dev,
		      struct check_target *target);

/*
 * Test the rules. The device is open before and after, unless it could not be opened again. It is
 * reset after each rule.
 *
 * Returns 0 when all rules were tested; -EINTR after a signal; -ETIMEDOUT when a process hangs in
 * the kernel, -EIO when the device does not come back by a reset, or another negative errno. @why
 * receives a sentence then.
 */
int check_run(struct vfiomig_ctx *ctx, struct check_target *target,
	      const struct check_options *options, char why[512]);

#endif
