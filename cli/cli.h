/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the commands share. They reach a device only through vfiomig.h. */
#ifndef CLI_H
#define CLI_H

#include <argp.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <vfiomig.h>

/* Exit statuses: scripts depend on them. Ended by signal N: 128 + N. */
enum status {
	STATUS_OK = 0,
	STATUS_FAILED = 1,
	STATUS_USAGE = 2,
	STATUS_UNSUPPORTED = 3, /* device or kernel has no migration support */
	STATUS_BUSY = 4,	/* or not permitted */
	STATUS_IMAGE = 5,	/* damaged, truncated or not an image */
	STATUS_DEVICE_LOST = 7, /* the device entered ERROR or was reset */
};

struct cli {
	struct vfiomig_ctx *ctx;
	const char *command;	/* "save" */
	const char *device;	/* as the user named it, or NULL */
	const char *usage_name; /* "vfiomig save", while options are parsed */
	bool verbose, quiet;
};

struct command {
	const char *name;
	const char *help; /* for the list of commands */
	int (*main)(struct cli *cli, int argc, char **argv);
};

extern const struct command cmd_list, cmd_info, cmd_state, cmd_save,
	cmd_restore;

/* options.c: -v and -q, and the way that all commands parse theirs. */
/* Returns 0, or STATUS_USAGE after having said what is wrong. */
int cli_parse(struct cli *cli, const struct argp *argp, int argc, char **argv,
	      void *input);
/* For parsers: like argp_error(), one line; returns EINVAL. */
__attribute__((format(printf, 2, 3))) error_t
usage_error(struct argp_state *state, const char *fmt, ...);
/* For parsers of commands with one positional argument, the device. */
error_t parse_device(struct argp_state *state, int key, char *arg,
		     struct cli *cli);
/* A state's number, or a negative errno after usage_error(). */
int parse_state(struct argp_state *state, const char *arg);

/* message.c: one line on stderr, "vfiomig: COMMAND DEVICE: ...". */
/* Returns @status, so that a command ends in "return fail(...)". */
__attribute__((format(printf, 3, 4))) int
fail(const struct cli *cli, enum status status, const char *fmt, ...);
/* Not with -q. */
__attribute__((format(printf, 2, 3))) void notice(const struct cli *cli,
						  const char *fmt, ...);

/* device.c */
/* Find @cli->device and open it. Returns 0, or the exit status after fail(). */
int open_device(struct cli *cli, struct vfiomig_device **dev);
/* The same, for a device that has to have migration support. */
int open_migratable(struct cli *cli, struct vfiomig_device **dev,
		    uint64_t *flags);
/* The exit status of a transfer that failed, after having told of it and of
 * where the device is now. */
int fail_transfer(const struct cli *cli, const struct vfiomig_result *result);

/* output.c: where an image goes: standard output, or a file that appears under
 * its name only when it is whole. */
struct output {
	int fd;
	char *path, *temporary; /* NULL where nothing has to be renamed */
};
/* @path: NULL or "-" for standard output. Returns 0 or the exit status. */
int output_open(const struct cli *cli, struct output *out, const char *path);
/* Returns 0 or the exit status; the output is closed in both cases. */
int output_commit(const struct cli *cli, struct output *out);
void output_discard(struct output *out);

/* signals.c */
/* SIGINT, SIGTERM and SIGHUP stop the transfers of @ctx from now on. */
void signals_catch(struct vfiomig_ctx *ctx);
/* If one came: end by it, as nothing had caught it. */
void signals_raise(void);

/* table.c: columns that line up. */
struct table {
	size_t columns, cells, size;
	char **cell;
};
void table_init(struct table *t, size_t columns);
/* A row of as many strings as there are columns, NULL for an empty cell. */
void table_row(struct table *t, ...);
void table_print(struct table *t, FILE *to);

#endif
