// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * arcs DEV: every transition between all states, by one SET_STATE each. The kernel's behaviour is
 * compared with the library's prediction: whether the transition is refused, the state that is read
 * back, whether there is a data_fd, and each arc on the path, which the driver's debug messages in
 * the kernel's log tell.
 */
#include <time.h>

#include "tap.h"
#include "whole.h"

static struct vfiomig_ctx *ctx;
static struct vfiomig_device *dev;
static struct whole stream; /* a whole stream, without which a device cannot leave RESUMING */
static int kmsg;

static void forget_trace(void)
{
	lseek(kmsg, 0, SEEK_END);
}

/* Store the states that the driver has entered since forget_trace(). Returns how many there are. */
static int read_trace(int *path)
{
	char record[8192];
	int arcs = 0;
	ssize_t n;

	/* Each read returns one record. */
	while ((n = read(kmsg, record, sizeof(record) - 1)) > 0) {
		const char *step;
		int from, to;

		record[n] = '\0';
		step = strstr(record, "step_");
		step = step ? strstr(step, ": ") : NULL;
		if (step && sscanf(step, ": %d -> %d", &from, &to) == 2 && arcs < VFIOMIG_NR_STATES)
			path[arcs++] = to;
	}
	return arcs;
}

static void test_transition(uint64_t flags, int from, int to)
{
	int predicted[VFIOMIG_NR_STATES], taken[VFIOMIG_NR_STATES];
	int arcs = vfiomig_fsm_path(flags, from, to, predicted);
	int session = -1, data_fd = -1, got, error, now;
	const char *why = NULL;
	bool starts_session;

	device_reset(dev);
	session = device_go(dev, from);
	if (from == VFIOMIG_STATE_RESUMING && !write_all(session, stream.data, stream.size))
		err(1, "loading");

	forget_trace();
	error = device_set_state(dev, to, &data_fd);
	got = read_trace(taken);
	now = vfiomig_device_get_state(dev);

	/* Between states of the saving group the session continues. */
	starts_session =
		arcs > 0 && (to == VFIOMIG_STATE_RESUMING || (is_saving(to) && !is_saving(from)));
	if ((error != 0) != (arcs < 0))
		why = error ? "refused" : "not refused";
	else if (now != (arcs < 0 ? from : to))
		why = "state";
	else if (got != (arcs < 0 ? 0 : arcs) ||
		 (arcs > 0 && memcmp(taken, predicted, arcs * sizeof(int))))
		why = "path";
	else if ((data_fd >= 0) != starts_session)
		why = "data_fd";
	tap(!why, "%s to %s (%d)%s%s", vfiomig_state_name(from), vfiomig_state_name(to), to,
	    why ? ": " : "", why ? why : "");

	if (data_fd >= 0)
		close(data_fd);
	if (session >= 0)
		close(session);
}

/*
 * A user who does the wrong things all the time gets ten lines of the kernel's log in five seconds
 * at most, whatever the lines say. Nothing was logged about the device before this.
 */
static void test_log(void)
{
	static const char zeroes[32];
	char record[8192];
	time_t began = time(NULL);
	int lines = 0, most, fd;
	ssize_t n;

	forget_trace();
	for (int i = 0; i < 60; i++) {
		device_set_state(dev, VFIOMIG_STATE_ERROR, &fd);
		fd = device_go(dev, VFIOMIG_STATE_RESUMING);
		write_all(fd, zeroes, sizeof(zeroes));
		close(fd);
		device_reset(dev);
	}
	most = 10 * (1 + (time(NULL) - began) / 5);
	while ((n = read(kmsg, record, sizeof(record) - 1)) > 0) {
		record[n] = '\0';
		lines += strstr(record, " migration: ") != NULL;
	}
	tap(lines <= most, "the log has %d lines about 120 errors, and not more than %d", lines,
	    most);
}

int main(int argc, char **argv)
{
	uint64_t flags;

	if (argc != 2)
		errx(2, "usage: arcs DEV");
	kmsg = open("/dev/kmsg", O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	if (kmsg < 0)
		err(1, "/dev/kmsg");
	ctx = new_context();
	dev = device_open(ctx, argv[1]);
	if (vfiomig_device_get_migration(dev, &flags))
		errx(1, "%s: %s", argv[1], vfiomig_get_error(ctx));
	stream = whole_save(dev);

	test_log();
	for (int from = 0; from < VFIOMIG_NR_STATES; from++) {
		if (from == VFIOMIG_STATE_ERROR || !vfiomig_fsm_supports(flags, from))
			continue;
		/* The last number is not a state. */
		for (int to = 0; to <= VFIOMIG_NR_STATES; to++)
			test_transition(flags, from, to);
	}
	device_reset(dev);
	free(stream.data);
	vfiomig_device_unref(dev);
	vfiomig_unref(ctx);
	return tap_end();
}
