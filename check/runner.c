// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The runner: each rule in a process of its own, with a time limit, and the device reset in
 * between.
 *
 * A driver under test may do anything: hang, crash, or bring the kernel to complain. So nothing
 * that reaches the device is done in this process, except opening and closing it.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "klog.h"
#include "stream.h"

/* How a process ended. */
enum ending {
	ENDED,	  /* by itself */
	KILLED,	  /* by a signal that nobody here has sent */
	TOO_LONG, /* it was killed after the time limit */
	HANGS,	  /* and did not even end then */
	GIVEN_UP, /* the user has sent a signal */
};

static double now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec + ts.tv_nsec / 1e9;
}

/* Wait for the process, at most until the time @deadline. */
static bool wait_until(pid_t pid, double deadline, int *status, const struct check_options *options)
{
	for (;;) {
		pid_t ended = waitpid(pid, status, WNOHANG);
		double left = deadline - now();
		int pidfd, ms = left > 0.2 ? 200 : left * 1000 + 1;

		if (ended == pid)
			return true;
		if (left <= 0 || (options->interrupted && options->interrupted(options->data)))
			return false;
		pidfd = syscall(SYS_pidfd_open, pid, 0);
		poll(&(struct pollfd){ .fd = pidfd, .events = POLLIN }, 1, pidfd < 0 ? 1 : ms);
		if (pidfd >= 0)
			close(pidfd);
	}
}

/* Call @fn in a process of its own. */
static enum ending call_apart(struct run *run, void (*fn)(struct run *run),
			      const struct check_options *options, int *signal)
{
	pid_t pid, parent = getpid();
	int status;

	pid = fork();
	if (pid < 0)
		return GIVEN_UP;
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (getppid() != parent)
			_exit(1);
		for (int s = 1; s < SIGRTMAX; s++)
			if (s != SIGKILL && s != SIGSTOP)
				(void)sigaction(s, &(struct sigaction){ .sa_handler = SIG_DFL },
						NULL);
		fn(run);
		run->shared->ended = true;
		_exit(0);
	}
	if (!wait_until(pid, now() + options->timeout, &status, options)) {
		bool interrupted = options->interrupted && options->interrupted(options->data);
		struct check_options patient = { 0 };

		kill(pid, SIGKILL);
		if (!wait_until(pid, now() + 3, &status, &patient))
			return HANGS;
		return interrupted ? GIVEN_UP : TOO_LONG;
	}
	if (WIFSIGNALED(status)) {
		*signal = WTERMSIG(status);
		return KILLED;
	}
	return ENDED;
}

static void clean(struct run *run)
{
	int err, state;

	if (run->fd < 0)
		_exit(0);
	/* A reset need not end DMA logging. */
	if (run->target->supports & NEEDS_DMA_LOGGING)
		(void)feature(run, VFIO_DEVICE_FEATURE_SET | VFIO_DEVICE_FEATURE_DMA_LOGGING_STOP,
			      NULL, 0);
	err = reset_device(run);
	state = err ? err : get_state(run);
	/* The runner reads the status from here, because the result is the test's. */
	_exit(err ? 1 : state == S(RUNNING) ? 0 : 2);
}

/* Reset the device. Returns 0, or a negative errno and why. */
static int clean_up(struct run *run, const struct check_options *options, char why[512])
{
	struct shared *shared = run->shared;
	struct check_result before;
	struct check_options here = { .timeout = options->timeout };
	pid_t pid, parent = getpid();
	int status;

	memcpy(&before, &shared->result, sizeof(before));
	pid = fork();
	if (pid < 0)
		return -errno;
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (getppid() == parent)
			clean(run);
		_exit(1);
	}
	if (!wait_until(pid, now() + options->timeout, &status, &here)) {
		kill(pid, SIGKILL);
		if (!wait_until(pid, now() + 3, &status, &here)) {
			snprintf(why, 512, "a process hangs in the kernel: %s",
				 shared->result.doing);
			return -ETIMEDOUT;
		}
		snprintf(why, 512, "the device cannot be reset: no answer within %u s to %s",
			 options->timeout, shared->result.doing);
		return -EIO;
	}
	memcpy(&shared->result, &before, sizeof(before));
	if (!WIFEXITED(status) || WEXITSTATUS(status) == 1) {
		snprintf(why, 512, "the device cannot be reset: VFIO_DEVICE_RESET fails");
		return -EIO;
	}
	if (WEXITSTATUS(status) == 2) {
		snprintf(
			why, 512,
			"the device cannot be reset: it is not in RUNNING after VFIO_DEVICE_RESET");
		return -EIO;
	}
	return 0;
}

static void set(struct check_result *result, enum check_status status, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

static void set(struct check_result *result, enum check_status status, const char *fmt, ...)
{
	va_list ap;

	result->status = status;
	va_start(ap, fmt);
	vsnprintf(result->reason, sizeof(result->reason), fmt, ap);
	va_end(ap);
}

/* Why the rule is not tested on this device, if so. */
static bool is_left_out(const struct check_rule *rule, const struct run *run,
			const struct check_options *options, struct check_result *result)
{
	unsigned int lacks = rule->needs & ~run->target->supports &
			     (NEEDS_P2P | NEEDS_PRE_COPY | NEEDS_DATA_SIZE | NEEDS_DMA_LOGGING |
			      NEEDS_PRECOPY_INFOV2 | NEEDS_CONFIG_SPACE | NEEDS_INTERRUPTS);
	static const struct {
		unsigned int need;
		const char *text;
	} texts[] = {
		{ NEEDS_P2P, "the device has no P2P states" },
		{ NEEDS_PRE_COPY, "the device has no PRE_COPY" },
		{ NEEDS_DATA_SIZE, "the kernel or the driver has no MIG_DATA_SIZE" },
		{ NEEDS_DMA_LOGGING, "the device has no DMA logging" },
		{ NEEDS_PRECOPY_INFOV2, "the kernel or the driver has no MIG_PRECOPY_INFOv2" },
		{ NEEDS_CONFIG_SPACE, "the device has no PCI config space" },
		{ NEEDS_INTERRUPTS, "the device has no interrupts" },
	};

	if (rule->cannot) {
		set(result, CHECK_SKIP, "%s", rule->cannot);
		return true;
	}
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		if (lacks & texts[i].need) {
			set(result, CHECK_UNSUPPORTED, "%s", texts[i].text);
			return true;
		}
	}
	if ((rule->needs & IS_DANGEROUS) && !options->dangerous) {
		set(result, CHECK_SKIP,
		    "it can hang or taint a kernel that is not mended; --dangerous tests it");
		return true;
	}
	return false;
}

static int open_again(struct run *run, char why[512])
{
	int err = vfiomig_device_open(run->device, 0);

	if (err)
		snprintf(why, 512, "the device cannot be opened again: %s",
			 vfiomig_get_error(run->ctx));
	else
		run->fd = vfiomig_device_get_fd(run->device);
	return err;
}

/* A failure that is known becomes XFAIL, with where it comes from. */
static void expect_erratum(struct run *run, struct check_result *result)
{
	const char *erratum;

	if (result->status != CHECK_FAIL && result->status != CHECK_WARN)
		return;
	erratum = check_erratum(result->rule, run->target->driver, run->target->kernel);
	if (!erratum)
		return;
	result->status = CHECK_XFAIL;
	note(run, "known: %s", erratum);
}

/* Test one rule. Returns 0, or the negative errno that ends the run, and why. */
static int test_one(struct run *run, const struct check_rule *rule,
		    const struct check_options *options, struct klog *log, char why[512])
{
	struct check_result *result = &run->shared->result;
	char lines[1500];
	double begin = now();
	enum ending ending;
	int err = 0, signal = 0;

	run->shared->ended = false;
	run->seed = run->first_seed = options->seed;
	run->state = S(RUNNING);
	result->path[0] = S(RUNNING);
	result->path_length = 1;
	klog_skip(log);
	if (rule->needs & OPENS_DEVICE) {
		vfiomig_device_close(run->device);
		run->fd = -1;
	}
	ending = call_apart(run, rule->test, options, &signal);
	if (ending == ENDED && !run->shared->ended)
		ending = KILLED;
	switch (ending) {
	case ENDED:
		break;
	case KILLED:
		set(result, CHECK_FAIL, "the process of the test was killed by signal %d in: %s",
		    signal, result->doing);
		break;
	case TOO_LONG:
		set(result, CHECK_FAIL, "no answer within %u s: %s", options->timeout,
		    result->doing);
		break;
	case HANGS:
		set(result, CHECK_FAIL, "the process of the test hangs in the kernel: %s",
		    result->doing);
		snprintf(why, 512, "a process hangs in the kernel and cannot be killed: %s",
			 result->doing);
		err = -ETIMEDOUT;
		break;
	case GIVEN_UP:
		set(result, CHECK_SKIP, "interrupted");
		snprintf(why, 512, "interrupted");
		err = -EINTR;
		break;
	}
	if ((rule->needs & OPENS_DEVICE) && err != -ETIMEDOUT) {
		int opened = open_again(run, why);

		err = err ?: opened;
	}
	if (err != -ETIMEDOUT && run->fd >= 0) {
		char trouble[512];
		int cleaned = clean_up(run, options, trouble);

		if (cleaned) {
			if (result->status == CHECK_OK)
				set(result, CHECK_FAIL, "after the test %s", trouble);
			snprintf(why, 512, "%s", trouble);
			err = cleaned;
		}
	}
	if (klog_has_splat(log, lines, sizeof(lines))) {
		if (result->status != CHECK_FAIL)
			set(result, CHECK_FAIL, "the kernel's log has a complaint");
		note(run, "%s", lines);
	}
	expect_erratum(run, result);
	result->seconds = now() - begin;
	return err;
}

static struct shared *share(void)
{
	struct shared *shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE,
				     MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	return shared == MAP_FAILED ? NULL : shared;
}

int check_run(struct vfiomig_ctx *ctx, struct check_target *target,
	      const struct check_options *options, char why[512])
{
	struct run run = {
		.ctx = ctx,
		.target = target,
		.device = target->device,
		.fd = vfiomig_device_get_fd(target->device),
		.flags = target->flags,
		.dangerous = options->dangerous,
		.verbose = options->verbose,
		.timeout = options->timeout,
		.shared = share(),
	};
	struct klog log;
	int err;

	why[0] = '\0';
	if (!run.shared) {
		snprintf(why, 512, "out of memory");
		return -ENOMEM;
	}
	run.reference = nameless_file();
	klog_open(&log);
	err = clean_up(&run, options, why);
	for (size_t i = 0; i < check_nr_rules && !err; i++) {
		const struct check_rule *rule = &check_rules[i];
		struct check_result *result = &run.shared->result;
		const char *reason = NULL;

		memset(result, 0, sizeof(*result));
		result->rule = rule;
		if (!options->wanted(options->data, rule, &reason)) {
			if (!reason)
				continue;
			set(result, CHECK_SKIP, "%s", reason);
			options->end(options->data, result);
			continue;
		}
		if (!is_left_out(rule, &run, options, result)) {
			options->begin(options->data, rule);
			err = test_one(&run, rule, options, &log, why);
		}
		options->end(options->data, result);
	}
	klog_close(&log);
	close(run.reference);
	munmap(run.shared, sizeof(*run.shared));
	return err;
}
