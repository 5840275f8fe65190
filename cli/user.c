// SPDX-License-Identifier: GPL-2.0-or-later
/* The process that has a device open. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "user.h"

/* Of which the program's own start takes a part. */
#define ANSWER_MS 1600
#define LEAST_MS  350

bool take_user(const struct vfiomig_use *use, struct user *user)
{
	*user = (struct user){ .pid = use->pid,
			       .is_holder = use->holder,
			       .is_silent = use->silent,
			       .state = use->state,
			       .error = use->error };
	snprintf(user->comm, sizeof(user->comm), "%s", use->comm);
	snprintf(user->sentence, sizeof(user->sentence), "%s", use->sentence);
	return use->pid || use->silent;
}

struct found {
	struct user *user;
	bool is_used;
};

static int take(void *data, const struct vfiomig_use *use)
{
	struct found *found = data;

	found->is_used = take_user(use, found->user);
	return 0;
}

bool find_user(struct vfiomig_device *dev, struct user *user)
{
	struct found found = { .user = user };
	int err;

	*user = (struct user){ .state = -1 };
	err = vfiomig_device_get_use(dev, PATIENCE_MS, take, &found);
	if (err)
		user->error = err;
	return found.is_used;
}

const char *why_unknown(const struct user *user)
{
	return user->error == -ETIMEDOUT ? "it took too long" : strerror(-user->error);
}

const char *print_user(const struct user *user, char text[48])
{
	const char *what = user->is_holder ? "holder" : user->comm;

	if (user->is_silent)
		what = "silent holder";
	if (user->pid)
		snprintf(text, 48, "%d (%s)", user->pid, what);
	else
		snprintf(text, 48, "? (%s)", what);
	return text;
}

uint64_t clock_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000000ULL + ts.tv_nsec;
}

unsigned int ms_left(uint64_t start)
{
	uint64_t gone = (clock_ns() - start) / 1000000;

	return gone + LEAST_MS < ANSWER_MS ? ANSWER_MS - gone : LEAST_MS;
}
