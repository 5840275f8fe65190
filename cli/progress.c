// SPDX-License-Identifier: GPL-2.0-or-later
/* The progress of a transfer: a line that is redrawn, and one for each SIGUSR1. */
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "progress.h"
#include "signals.h"

static struct {
	double start, drawn;
	bool line;  /* redraw a line now and then */
	bool dirty; /* there is such a line */
} progress;

static double now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec + ts.tv_nsec / 1e9;
}

const char *format_bytes(uint64_t bytes, char text[32])
{
	static const char *const units[] = { "KiB", "MiB", "GiB", "TiB", "PiB" };
	double value = bytes;
	int unit = -1;

	while (value >= 1024 && unit < 4) {
		value /= 1024;
		unit++;
	}
	if (unit < 0)
		snprintf(text, 32, "%d B", (int)bytes);
	else
		snprintf(text, 32, value < 100 ? "%.1f %s" : "%.0f %s", value, units[unit]);
	return text;
}

static void draw(uint64_t bytes, uint64_t expected, double seconds)
{
	char done[32], all[32], rate[32];
	double speed = seconds > 0 ? bytes / seconds : 0;

	fprintf(stderr, "\r%s", format_bytes(bytes, done));
	/* The expected size is only an estimate. */
	if (expected && bytes <= expected)
		fprintf(stderr, " of %s, %d%%", format_bytes(expected, all),
			(int)(bytes * 100.0 / expected));
	fprintf(stderr, ", %s/s", format_bytes(speed, rate));
	if (expected && bytes <= expected && speed > 0) {
		double left = (expected - bytes) / speed + 0.5;
		int seconds_left = left < 360000 ? left : 359999;

		if (seconds_left >= 3600)
			fprintf(stderr, ", %d:%02d:%02d left", seconds_left / 3600,
				seconds_left / 60 % 60, seconds_left % 60);
		else
			fprintf(stderr, ", %d:%02d left", seconds_left / 60, seconds_left % 60);
	}
	fprintf(stderr, "\033[K");
	fflush(stderr);
	progress.dirty = true;
}

static int on_progress(void *data, uint64_t bytes, uint64_t expected)
{
	double t = now();

	(void)data;
	if (signals_usr1()) {
		char text[32], rate[32];

		progress_end();
		fprintf(stderr, "%llu bytes (%s) copied, %.3g s, %s/s\n", (unsigned long long)bytes,
			format_bytes(bytes, text), t - progress.start,
			format_bytes(bytes / (t - progress.start), rate));
	}
	if (progress.line && t - progress.drawn >= 0.2) {
		draw(bytes, expected, t - progress.start);
		progress.drawn = t;
	}
	return 0;
}

void progress_start(struct transfer *t)
{
	progress.line = t->progress == PROGRESS_ALWAYS ||
			(t->progress == PROGRESS_AUTO && !t->cli->quiet && isatty(STDERR_FILENO));
	progress.start = progress.drawn = now();
	/* A muted transfer does not answer SIGUSR1 either. */
	t->opt.progress = t->mute ? NULL : on_progress;
}

void progress_end(void)
{
	if (progress.dirty) {
		fprintf(stderr, "\r\033[K");
		fflush(stderr);
	}
	progress.dirty = false;
}
