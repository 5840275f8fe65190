// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The runner: a rule in a process of its own, with a time limit, and the device reset after it.
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
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "runner.h"
#include "stream.h"

/* How a process ended. */
enum ending {
	ENDED,	  /* by itself */
	KILLED,	  /* by a signal that nobody here has sent */
	TOO_LONG, /* it was killed, because the device did not answer */
	HANGS,	  /* and did not even end then, or one of its own processes did not */
	GIVEN_UP, /* the user has sent a signal */
	NOT_MADE, /* there was no process */
};

#define DYING 3 /* seconds */

static bool is_interrupted(const struct check_options *options)
{
	return options->interrupted && options->interrupted(options->data);
}

/* Wait until the process ends, as long as the device answers it. */
static enum ending wait_for(struct run *run, pid_t pid, const struct check_options *options,
			    int *status)
{
	int pidfd = syscall(SYS_pidfd_open, pid, 0);
	unsigned int beats = run->shared->beats;
	double answered = seconds();
	enum ending ending = ENDED;

	while (waitpid(pid, status, WNOHANG) != pid) {
		if (beats != run->shared->beats) {
			beats = run->shared->beats;
			answered = seconds();
		}
		if (is_interrupted(options))
			ending = GIVEN_UP;
		else if (seconds() > answered + options->timeout)
			ending = TOO_LONG;
		if (ending != ENDED)
			break;
		poll(&(struct pollfd){ .fd = pidfd, .events = POLLIN }, 1, pidfd < 0 ? 1 : 200);
	}
	if (pidfd >= 0)
		close(pidfd);
	return ending;
}

/* End the process group of a test. Returns false if the kernel does not let all of it go. */
static bool end_group(pid_t group)
{
	double limit = seconds() + DYING;

	kill(-group, SIGKILL);
	/* The processes that it has made are this process' now. */
	while (waitpid(-group, NULL, WNOHANG) >= 0 || errno == EINTR) {
		if (seconds() > limit)
			return false;
		poll(NULL, 0, 1);
	}
	return true;
}

/* Call @fn in a process, and a process group, of its own. */
static enum ending call_apart(struct run *run, void (*fn)(struct run *run),
			      const struct check_options *options, int *status)
{
	pid_t pid, parent = getpid();
	enum ending ending;

	pid = fork();
	if (pid < 0)
		return NOT_MADE;
	if (pid == 0) {
		setpgid(0, 0);
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
	setpgid(pid, pid);
	ending = wait_for(run, pid, options, status);
	if (!end_group(pid))
		return HANGS;
	return ending == ENDED && WIFSIGNALED(*status) ? KILLED : ending;
}

/* ---- In between --------------------------------------------------------------- */

/* How the process of clean() ends. */
enum {
	IS_CLEAN,
	NO_RESET,
	NOT_RUNNING
};

static void disable_interrupts(struct run *run)
{
	for (unsigned int index = 0; index <= VFIO_PCI_MSIX_IRQ_INDEX; index++) {
		struct vfio_irq_set set = {
			.argsz = sizeof(set),
			.flags = VFIO_IRQ_SET_DATA_NONE | VFIO_IRQ_SET_ACTION_TRIGGER,
			.index = index,
		};

		doing(run, "VFIO_DEVICE_SET_IRQS of index %u", index);
		(void)ioctl(run->fd, VFIO_DEVICE_SET_IRQS, &set);
	}
}

/* Undo what a test can have set up. */
static void clean(struct run *run)
{
	if (run->target->supports & NEEDS_INTERRUPTS)
		disable_interrupts(run);
	/* A reset need not end DMA logging. */
	if (run->shared->logging)
		(void)feature(run, VFIO_DEVICE_FEATURE_SET | VFIO_DEVICE_FEATURE_DMA_LOGGING_STOP,
			      NULL, 0);
	/* Neither does it wake the device. */
	if (run->shared->low_power)
		(void)feature(run, VFIO_DEVICE_FEATURE_SET | VFIO_DEVICE_FEATURE_LOW_POWER_EXIT,
			      NULL, 0);
	if (reset_device(run))
		_exit(NO_RESET);
	_exit(get_state(run) == S(RUNNING) ? IS_CLEAN : NOT_RUNNING);
}

int clean_up(struct run *run, const struct check_options *options, char why[512])
{
	struct check_result *result = &run->shared->result, before = *result;
	/* A signal of the user does not end this. */
	const struct check_options patient = { .timeout = options->timeout };
	char doing_now[sizeof(before.doing)];
	int status = 0;
	enum ending ending = call_apart(run, clean, &patient, &status);

	memcpy(doing_now, result->doing, sizeof(doing_now));
	*result = before;
	run->shared->logging = run->shared->low_power = false;
	if (ending == ENDED && WEXITSTATUS(status) == IS_CLEAN)
		return 0;
	if (ending == HANGS) {
		snprintf(why, 512, "a process hangs in the kernel: %s", doing_now);
		return -ETIMEDOUT;
	}
	if (ending == TOO_LONG)
		snprintf(why, 512, "the device cannot be reset: no answer within %u s to %s",
			 options->timeout, doing_now);
	else if (ending == ENDED && WEXITSTATUS(status) == NOT_RUNNING)
		snprintf(
			why, 512,
			"the device cannot be reset: it is not in RUNNING after VFIO_DEVICE_RESET");
	else if (ending == ENDED)
		snprintf(why, 512, "the device cannot be reset: VFIO_DEVICE_RESET fails");
	else
		snprintf(why, 512, "the device cannot be reset: no process can do it");
	return -EIO;
}

/* ---- A rule ------------------------------------------------------------------- */

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

bool is_left_out(const struct check_rule *rule, const struct run *run,
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
	int err;

	/* After a signal the library would not open it. */
	vfiomig_resume(run->ctx);
	err = vfiomig_device_open(run->device, VFIOMIG_OPEN_KEEP_LOCK);
	if (err)
		snprintf(why, 512, "the device cannot be opened again: %s",
			 vfiomig_get_error(run->ctx));
	else
		run->fd = vfiomig_device_get_fd(run->device);
	return err;
}

static void close_here(struct run *run)
{
	vfiomig_device_close(run->device);
	run->fd = -1;
}

/* What the process of the test has found becomes the result. Returns 0, or the negative errno that
 * ends the run, and why. */
static int take_ending(struct run *run, enum ending ending, int status,
		       const struct check_options *options, char why[512])
{
	struct check_result *result = &run->shared->result;

	switch (ending) {
	case ENDED:
		if (!run->shared->ended)
			set(result, CHECK_FAIL,
			    "the process of the test ended with status %d in: %s",
			    WEXITSTATUS(status), result->doing);
		return 0;
	case KILLED:
		set(result, CHECK_FAIL, "the process of the test was killed by SIG%s in: %s",
		    sigabbrev_np(WTERMSIG(status)) ?: "?", result->doing);
		return 0;
	case TOO_LONG:
		set(result, CHECK_FAIL, "no answer within %u s: %s", options->timeout,
		    result->doing);
		return 0;
	case HANGS:
		set(result, CHECK_FAIL, "a process of the test hangs in the kernel: %s",
		    result->doing);
		snprintf(why, 512, "a process hangs in the kernel and cannot be killed: %s",
			 result->doing);
		return -ETIMEDOUT;
	case NOT_MADE:
		set(result, CHECK_SKIP, "no process can be made");
		snprintf(why, 512, "no process can be made");
		return -EAGAIN;
	case GIVEN_UP:
		break;
	}
	set(result, CHECK_SKIP, "interrupted");
	snprintf(why, 512, "interrupted");
	return -EINTR;
}

/* What is known to fail in this way is no FAIL. Everything else that goes wrong is. */
static void expect_erratum(struct run *run, struct check_result *result)
{
	const char *erratum = NULL;

	if (result->status == CHECK_FAIL || result->status == CHECK_WARN)
		erratum = check_erratum(result, run->target->driver, run->target->kernel);
	if (!erratum)
		return;
	result->status = CHECK_XFAIL;
	note(run, "known: %s", erratum);
}

void overrule(struct check_result *result, enum check_status status, const char *fmt, ...)
{
	va_list ap;

	if (result->reason[0])
		add_note(result, "the test itself: %s: %s", check_status_name(result->status),
			 result->reason);
	result->status = status;
	result->condition[0] = result->where[0] = '\0';
	va_start(ap, fmt);
	vsnprintf(result->reason, sizeof(result->reason), fmt, ap);
	va_end(ap);
}

/* Make the device ready for the next rule. Returns 0, or a negative errno and why. */
static int leave_device(struct run *run, const struct check_rule *rule,
			const struct check_options *options, char why[512])
{
	struct check_result *result = &run->shared->result;
	char trouble[512];
	int err = 0;

	/* Where the process of the test has left the device */
	run->state = result->path[result->path_length - 1];
	/* The opt-in to MIG_PRECOPY_INFOv2 lasts until the device is closed. */
	if (rule->needs & NEEDS_PRECOPY_INFOV2)
		close_here(run);
	if (run->fd < 0)
		err = open_again(run, trouble);
	if (!err)
		err = clean_up(run, options, trouble);
	if (!err)
		return 0;
	if (result->status != CHECK_FAIL)
		overrule(result, CHECK_FAIL, "after the test %s", trouble);
	snprintf(why, 512, "%s", trouble);
	return err;
}

int test_rule(struct run *run, const struct check_rule *rule, const struct check_options *options,
	      char why[512])
{
	struct check_result *result = &run->shared->result;
	int err, left, status = 0;
	double begin = seconds();
	enum ending ending;

	if (run->verbose)
		fprintf(stderr, "vfiomig: check: %s\n", rule->id);
	*result = (struct check_result){ .rule = rule };
	run->shared->ended = false;
	run->seed = run->first_seed = options->seed;
	run->state = S(RUNNING);
	result->path[0] = S(RUNNING);
	result->path_length = 1;
	if (rule->needs & OPENS_DEVICE)
		close_here(run);
	ending = call_apart(run, rule->test, options, &status);
	err = take_ending(run, ending, status, options, why);
	expect_erratum(run, result);
	/* A process that hangs has the device, and perhaps its locks. */
	if (err != -ETIMEDOUT) {
		left = leave_device(run, rule, options, why);
		if (left)
			err = left;
	}
	result->seconds = seconds() - begin;
	return err;
}
