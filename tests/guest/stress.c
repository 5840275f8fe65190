// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * stress [--still] DEV SECONDS [SEED]: many threads do everything that can be done to an ivshmem
 * device, at random, in sessions of a few seconds: arcs, whole transfers, reads, writes, polls and
 * ioctls on old and new data_fds, memory that is mapped, written to, unmapped and inherited,
 * accesses to the regions, memory decoding that is switched off, resets from both sides, opens and
 * closes. A thread that makes no progress for a long time is a hang. The runner looks for what the
 * kernel reports (lockdep, KASAN). After each session the device must save and load as before. With
 * --still, memory decoding stays on.
 */
#include <sys/syscall.h>

#include "operations.h"
#include "tap.h"

#define SESSION_SECONDS 4
#define HANG_SECONDS	120

static atomic_bool quit, over;

static struct worker workers[] = {
	{ .what = "arcs", .step = do_arc },
	{ .what = "more arcs", .step = do_arc },
	{ .what = "transfers", .step = do_transfer },
	{ .what = "data_fd", .step = do_data_fd, .lasts = true },
	{ .what = "more data_fd", .step = do_data_fd, .lasts = true },
	{ .what = "data_fd and mapping", .step = do_read_into_memory },
	{ .what = "mapping", .step = do_touch },
	{ .what = "more mapping", .step = do_touch },
	{ .what = "regions", .step = do_region },
	{ .what = "power", .step = do_power },
	{ .what = "resets", .step = do_reset },
	{ .what = "questions", .step = do_ask },
	{ .what = "interrupts", .step = do_irqs },
	{ .what = "opens", .step = do_open },
};

#define WORKERS (sizeof(workers) / sizeof(workers[0]))

/* ---- Threads, and the watchdog ------------------------------------------- */

static void *work(void *arg)
{
	struct worker *w = arg;

	self = w;
	w->tid = syscall(SYS_gettid);
	while (!(w->lasts ? over : quit)) {
		w->step(w);
		w->steps++;
	}
	/* The watchdog ignores threads without a tid. */
	w->tid = 0;
	return NULL;
}

static time_t now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec;
}

static void show_stack(const struct worker *w)
{
	char path[64], stack[4096];

	snprintf(path, sizeof(path), "/proc/self/task/%d/stack", w->tid);
	file_read(path, stack, sizeof(stack));
	printf("# %s, after %lu steps:\n%s", w->what, w->steps, stack);
}

/* Look for a hang. There is no way to go on after one, so the program ends. */
static void watch(void)
{
	bool hangs = false;

	for (size_t i = 0; i < WORKERS; i++) {
		struct worker *w = &workers[i];

		if (!w->tid || w->steps != w->seen) {
			w->seen = w->steps;
			w->seen_at = now();
		}
		hangs |= now() - w->seen_at > HANG_SECONDS;
	}
	if (!hangs)
		return;
	for (size_t i = 0; i < WORKERS; i++)
		if (workers[i].tid)
			show_stack(&workers[i]);
	tap(false, "a thread hangs");
	fflush(stdout);
	_exit(1);
}

static struct vfiomig_ctx *ctx;

static void open_device(bool by_group)
{
	struct vfiomig_fds fds = VFIOMIG_FDS_INIT;

	vfiomig_device_set_via(dev, by_group ? VFIOMIG_VIA_GROUP : VFIOMIG_VIA_AUTO);
	if (vfiomig_device_open(dev, 0))
		errx(1, "%s: %s", name, vfiomig_get_error(ctx));
	device_fd = vfiomig_device_get_fd(dev);
	vfiomig_device_get_fds(dev, &fds);
	group_fd = fds.group;
	size = region_info(dev, VFIO_PCI_BAR2_REGION_INDEX).size;
	memory_at = region_info(dev, VFIO_PCI_BAR2_REGION_INDEX).offset;
	regs_at = region_info(dev, VFIO_PCI_BAR0_REGION_INDEX).offset;
}

/* Reset the device, and switch memory decoding on. */
static void calm_down(void)
{
	device_reset(dev);
	set_decoding(true);
}

/* Returns whether all data_fds are dead, as those of former sessions must be. */
static bool all_dead(void)
{
	bool dead = true;
	char byte = 0;

	for (int i = 0; i < SLOTS; i++)
		dead &= slots[i] < 0 ||
			(read(slots[i], &byte, 1) < 0 && write(slots[i], &byte, 1) < 0);
	return dead;
}

static void start(bool lasting)
{
	for (size_t i = 0; i < WORKERS; i++) {
		struct worker *w = &workers[i];

		if (w->lasts != lasting)
			continue;
		w->seen_at = now();
		if (pthread_create(&w->thread, NULL, work, w))
			errx(1, "no thread");
	}
}

static void join(bool lasting)
{
	for (size_t i = 0; i < WORKERS; i++) {
		struct worker *w = &workers[i];

		if (w->lasts != lasting)
			continue;
		while (w->tid) {
			usleep(10000);
			watch();
		}
		pthread_join(w->thread, NULL);
	}
}

/* Close the device while data_fds of the current session are in use. */
static void close_at_work(struct worker *w)
{
	static const int busy[] = { VFIOMIG_STATE_PRE_COPY, VFIOMIG_STATE_STOP_COPY,
				    VFIOMIG_STATE_RESUMING };
	int fd;

	calm_down();
	fd = device_go(dev, busy[below(w, 3)]);
	for (int i = 0; i < 2 * SLOTS; i++)
		slot_put(w, dup(fd));
	close(fd);
	usleep(below(w, 20000));
	vfiomig_device_close(dev);
}

static void session(unsigned int nr, int seconds)
{
	time_t end = now() + seconds;
	bool works;

	open_device(nr % 2);
	quit = false;
	start(false);
	while (now() < end) {
		sleep(1);
		watch();
	}
	quit = true;
	join(false);
	calm_down();
	works = all_dead() && whole_works(dev, &whole);
	close_at_work(&workers[0]);
	if (!works || !all_dead())
		tap(false, "session %u leaves the device in a bad state", nr);
}

int main(int argc, char **argv)
{
	struct sigaction act = { .sa_handler = on_fault, .sa_flags = SA_NODEFER };
	unsigned long steps = 0;
	unsigned int nr = 0;
	time_t end;

	if (argc > 1 && strcmp(argv[1], "--still") == 0) {
		still = true;
		argv++;
		argc--;
	}
	if (argc < 3)
		errx(2, "usage: stress [--still] DEV SECONDS [SEED]");
	name = argv[1];
	ctx = new_context();
	dev = device_new(ctx, name);
	for (size_t i = 0; i < WORKERS; i++)
		workers[i].seed = 0x9e3779b97f4a7c15 * (i + 1) + (argc > 3 ? atoll(argv[3]) : 0);
	open_device(true);
	whole = whole_save(dev);
	vfiomig_device_close(dev);
	sigaction(SIGBUS, &act, NULL);
	sigaction(SIGSEGV, &act, NULL);

	start(true);
	for (end = now() + atoi(argv[2]); now() < end && !tap_failed; nr++)
		session(nr, SESSION_SECONDS);
	over = true;
	join(true);
	for (size_t i = 0; i < WORKERS; i++) {
		printf("# %s: %lu\n", workers[i].what, workers[i].steps);
		steps += workers[i].steps;
	}
	printf("# SET_STATE accepted: %lu, read: %lu, written: %lu, resets: %lu, SIGBUS: %lu\n",
	       arcs_taken, bytes_read, bytes_written, resets_done, faults);
	tap(!tap_failed, "%u sessions of %zu threads, %lu operations", nr, WORKERS, steps);
	return tap_end();
}
