// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * The migration state machine as pure functions.
 *
 * The kernel has a table from which it reads the paths (vfio_mig_get_next_state()). Here they are
 * searched for, by the arcs and the rules in the uAPI. A test compares the results for all flags
 * and all pairs of states.
 */
#include <assert.h>
#include <string.h>
#include <strings.h>

#include "internal.h"

static_assert((int)VFIOMIG_STATE_ERROR == VFIO_DEVICE_STATE_ERROR &&
		      (int)VFIOMIG_STATE_STOP == VFIO_DEVICE_STATE_STOP &&
		      (int)VFIOMIG_STATE_RUNNING == VFIO_DEVICE_STATE_RUNNING &&
		      (int)VFIOMIG_STATE_STOP_COPY == VFIO_DEVICE_STATE_STOP_COPY &&
		      (int)VFIOMIG_STATE_RESUMING == VFIO_DEVICE_STATE_RESUMING &&
		      (int)VFIOMIG_STATE_RUNNING_P2P == VFIO_DEVICE_STATE_RUNNING_P2P,
	      "the states are the kernel's");
static_assert(VFIOMIG_STOP_COPY == VFIO_MIGRATION_STOP_COPY && VFIOMIG_P2P == VFIO_MIGRATION_P2P &&
		      VFIOMIG_PRE_COPY == VFIO_MIGRATION_PRE_COPY,
	      "the flags are the kernel's");

#define S(state) VFIOMIG_STATE_##state

static const struct {
	const char *name;
	uint64_t needs; /* flags without which the state does not exist */
} states[VFIOMIG_NR_STATES] = {
	[S(ERROR)] = { "ERROR", 0 },
	[S(STOP)] = { "STOP", VFIOMIG_STOP_COPY },
	[S(RUNNING)] = { "RUNNING", VFIOMIG_STOP_COPY },
	[S(STOP_COPY)] = { "STOP_COPY", VFIOMIG_STOP_COPY },
	[S(RESUMING)] = { "RESUMING", VFIOMIG_STOP_COPY },
	[S(RUNNING_P2P)] = { "RUNNING_P2P", VFIOMIG_STOP_COPY | VFIOMIG_P2P },
	[S(PRE_COPY)] = { "PRE_COPY", VFIOMIG_STOP_COPY | VFIOMIG_PRE_COPY },
	[S(PRE_COPY_P2P)] = { "PRE_COPY_P2P", VFIOMIG_STOP_COPY | VFIOMIG_P2P | VFIOMIG_PRE_COPY },
};

/* The arcs that drivers implement. An arc that bypasses an optional state exists only if the device
 * does not have that state ("unless"). */
static const struct {
	uint8_t from, to;
	uint64_t unless;
} arcs[] = {
	{ S(RUNNING), S(RUNNING_P2P), 0 },
	{ S(RUNNING_P2P), S(RUNNING), 0 },
	{ S(RUNNING_P2P), S(STOP), 0 },
	{ S(STOP), S(RUNNING_P2P), 0 },
	{ S(RUNNING), S(STOP), VFIOMIG_P2P },
	{ S(STOP), S(RUNNING), VFIOMIG_P2P },

	{ S(RUNNING), S(PRE_COPY), 0 },
	{ S(PRE_COPY), S(RUNNING), 0 },
	{ S(RUNNING_P2P), S(PRE_COPY_P2P), 0 },
	{ S(PRE_COPY_P2P), S(RUNNING_P2P), 0 },
	{ S(PRE_COPY), S(PRE_COPY_P2P), 0 },
	{ S(PRE_COPY_P2P), S(PRE_COPY), 0 },
	{ S(PRE_COPY_P2P), S(STOP_COPY), 0 },
	{ S(PRE_COPY), S(STOP_COPY), VFIOMIG_P2P },

	{ S(STOP), S(STOP_COPY), 0 },
	{ S(STOP_COPY), S(STOP), 0 },
	{ S(STOP), S(RESUMING), 0 },
	{ S(RESUMING), S(STOP), 0 },
};

static bool in_saving_group(int state)
{
	return state == S(PRE_COPY) || state == S(PRE_COPY_P2P) || state == S(STOP_COPY);
}

EXPORT const char *vfiomig_state_name(int state)
{
	if (state < 0 || state >= VFIOMIG_NR_STATES)
		return "?";
	return states[state].name;
}

EXPORT int vfiomig_state_from_name(const char *name)
{
	for (int state = 0; state < VFIOMIG_NR_STATES; state++) {
		const char *a = name, *b = states[state].name;

		while (*a && (strncasecmp(a, b, 1) == 0 || (*a == '-' && *b == '_'))) {
			a++;
			b++;
		}
		if (!*a && !*b)
			return state;
	}
	return -EINVAL;
}

EXPORT bool vfiomig_fsm_supports(uint64_t flags, int state)
{
	if (state < 0 || state >= VFIOMIG_NR_STATES)
		return false;
	return (flags & states[state].needs) == states[state].needs;
}

/* Whether a path from @from to @to may have this arc. */
static bool arc_allowed(uint64_t flags, size_t arc, int from, int to)
{
	int next = arcs[arc].to;

	if ((flags & arcs[arc].unless) || !vfiomig_fsm_supports(flags, arcs[arc].from) ||
	    !vfiomig_fsm_supports(flags, next))
		return false;
	/*
	 * A state of the saving group is inside of a path only if the whole path is in that group.
	 */
	if (next != to && in_saving_group(next))
		return in_saving_group(from) && in_saving_group(to);
	return true;
}

EXPORT int vfiomig_fsm_path(uint64_t flags, int from, int to, int path[VFIOMIG_NR_STATES])
{
	/* Breadth first, so that the first path found is the shortest. */
	int queue[VFIOMIG_NR_STATES], came_from[VFIOMIG_NR_STATES];
	int head = 0, tail = 0, length = 0;

	if (!vfiomig_fsm_supports(flags, from) || !vfiomig_fsm_supports(flags, to) ||
	    from == S(ERROR) || to == S(ERROR))
		return -EINVAL;
	if (from == S(STOP_COPY) && in_saving_group(to) && to != from)
		return -EINVAL;

	memset(came_from, -1, sizeof(came_from));
	came_from[from] = from;
	queue[tail++] = from;
	while (head < tail && came_from[to] < 0) {
		int cur = queue[head++];

		for (size_t i = 0; i < ARRAY_SIZE(arcs); i++) {
			int next = arcs[i].to;

			if (arcs[i].from != cur || came_from[next] >= 0 ||
			    !arc_allowed(flags, i, from, to))
				continue;
			came_from[next] = cur;
			queue[tail++] = next;
		}
	}
	if (came_from[to] < 0)
		return -EINVAL;

	for (int s = to; s != from; s = came_from[s])
		length++;
	if (path)
		for (int s = to, i = length; i > 0; s = came_from[s])
			path[--i] = s;
	return length;
}
