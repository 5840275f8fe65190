/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the commands share. They reach a device only through vfiomig.h. */
#ifndef CLI_H
#define CLI_H

#include <argp.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <vfiomig.h>

/* Images and states are larger than 2 GiB, on 32-bit machines too. */
_Static_assert(sizeof(off_t) == 8, "-D_FILE_OFFSET_BITS=64 is missing");

/* Exit statuses: scripts depend on them. Ended by signal N: 128 + N. */
enum status {
	STATUS_OK = 0,
	STATUS_FAILED = 1,
	STATUS_USAGE = 2,
	STATUS_UNSUPPORTED = 3,	 /* device or kernel has no migration support */
	STATUS_BUSY = 4,	 /* or not permitted */
	STATUS_IMAGE = 5,	 /* damaged, truncated or not an image */
	STATUS_OTHER_DEVICE = 6, /* the image is of another device */
	STATUS_DEVICE_LOST = 7,	 /* the device entered ERROR or was reset */
	/* Of the command that exec runs, as env(1) and the shells have them. */
	STATUS_CANNOT_RUN = 126,
	STATUS_NOT_FOUND = 127,
};

struct cli {
	struct vfiomig_ctx *ctx;
	const char *command;   /* "save" */
	const char *device;    /* as the user named it, or NULL */
	char usage_name[32];   /* "vfiomig save", for the usage */
	char message_name[32]; /* "vfiomig: save", for getopt's messages */
	enum vfiomig_via via;
	int wait;      /* for other commands, in seconds; negative: without end */
	bool in_order; /* what follows the first argument is not for us */
	bool verbose, quiet;
};

struct command {
	const char *name;
	const char *help; /* for the list of commands */
	int (*main)(struct cli *cli, int argc, char **argv);
};

extern const struct command cmd_list, cmd_info, cmd_state, cmd_save, cmd_restore, cmd_inspect,
	cmd_pack, cmd_unpack, cmd_hold, cmd_release, cmd_exec, cmd_bind, cmd_unbind;

/* options.c: -v and -q, and the way that all commands parse theirs. */
/* Returns 0, or STATUS_USAGE after having said what is wrong. */
int cli_parse(struct cli *cli, const struct argp *argp, int argc, char **argv, void *input);
/* argp_parse(), with one line of text on stderr if it fails. */
error_t parse_arguments(const struct argp *argp, int argc, char **argv, unsigned int flags,
			void *input);
/* For parsers: like argp_error(), one line; returns EINVAL. */
__attribute__((format(printf, 2, 3))) error_t usage_error(struct argp_state *state, const char *fmt,
							  ...);
/* --wait, for the commands that work on a device, and with --via, for those
 * that open it; their input is the struct cli. */
extern const struct argp argp_wait, argp_device;
/* For parsers of commands with one positional argument, the device, and one of
 * the above as their first child. */
error_t parse_device(struct argp_state *state, int key, char *arg, struct cli *cli);
/* A state's number, or a negative errno after usage_error(). */
int parse_state(struct argp_state *state, const char *arg);

/* message.c: one line on stderr, "vfiomig: COMMAND DEVICE: ...". */
/* Nothing in @text that a terminal would obey is left in it. */
void make_printable(char *text);
/* Returns @status, so that a command ends in "return fail(...)". */
__attribute__((format(printf, 3, 4))) int fail(const struct cli *cli, enum status status,
					       const char *fmt, ...);
/* Not with -q. */
__attribute__((format(printf, 2, 3))) void notice(const struct cli *cli, const char *fmt, ...);

/* A line that is neither a result nor an error, "vfiomig: ...", with a level of
 * syslog(3). */
__attribute__((format(printf, 2, 3))) void log_line(int level, const char *fmt, ...);
/* Standard error is gone: whatever is told from now on goes to syslog(3). */
void log_to_syslog(void);

/* notify.c: the service manager that waits until this process is ready. */
/* Send it assignments, a line each, see sd_notify(3); without one, nothing. A
 * failure is told, and ends nothing. */
__attribute__((format(printf, 2, 3))) void notify_manager(const struct cli *cli, const char *fmt,
							  ...);

/* device.c */
/* The exit status for the library's failure with this errno, after fail(). */
int fail_device(const struct cli *cli, int err);
/* Each returns 0, or the exit status after fail(). */
int find_device(struct cli *cli, struct vfiomig_device **dev);
int open_found(struct cli *cli, struct vfiomig_device *dev);
/* Both, and it has to have migration support. */
int open_migratable(struct cli *cli, struct vfiomig_device **dev, uint64_t *flags);
/* Close a device before success is told of: its holder may have ended. That is
 * told where nothing else was, with @then at its end: false. */
bool give_back(const struct cli *cli, struct vfiomig_device *dev, int *status, const char *then);
/* A device whose owner goes on using it does not stay as it is now. */
void warn_of_owner(const struct cli *cli, struct vfiomig_device *dev);
/* The exit status of a transfer that failed, after having told of it and of
 * where the device is now. */
int fail_transfer(const struct cli *cli, int err, const char *why,
		  const struct vfiomig_result *result);

/* The exit status for what is wrong with an image, STATUS_FAILED for other
 * errors. */
enum status image_status(int err);

/* holder.c */
/* Serve until the device is released; the exit status, after fail(). */
int holder_serve(const struct cli *cli, struct vfiomig_device *dev, struct vfiomig_holder *holder);
/* Have a process in the background do that; 0, or the exit status, and what
 * failed is still to be told. */
int holder_leave(const struct cli *cli, struct vfiomig_device *dev, struct vfiomig_holder *holder,
		 int *pid);

/* transfer.c: the options of all commands that move state. */
struct transfer {
	struct cli *cli;
	struct vfiomig_options opt;
	const char *input, *output; /* NULL for standard input and output */
	bool json;		    /* a summary at the end */
	FILE *summary;		    /* where that goes; see keep_apart() */
	bool mute;		    /* standard error is for the image */
	enum progress_mode {
		PROGRESS_AUTO,
		PROGRESS_ALWAYS,
		PROGRESS_NEVER
	} progress;
};
/* Versions of clang-format differ about macros that are initializers. */
/* clang-format off */
#define TRANSFER_INIT(c) { .cli = (c), .opt = VFIOMIG_OPTIONS_INIT }
/* clang-format on */
/* With a struct transfer as input: the options of all, with those for making
 * frames, and those of save and restore, with the device. */
extern const struct argp argp_transfer, argp_frames, argp_session;
/* A number from @min to @max; negative after usage_error(). */
int parse_number(struct argp_state *state, const char *what, const char *arg, int min, int max);
/* -i or standard input; a terminal is refused. Negative after fail(), with the
 * exit status. */
int open_input(const struct cli *cli, const char *path, int *status);

/* progress.c: lines on stderr while a transfer goes on. */
void progress_start(struct transfer *t);
/* Takes the line away again. */
void progress_end(void);
/* "1.5 GiB"; returns @text. */
const char *format_bytes(uint64_t bytes, char text[32]);

/* place.c: where a path leads, with somebody else's traps on the way. */
struct place {
	int dir; /* the directory, and the name in it */
	char *name;
	int fd;		/* what has the name, for O_PATH; negative if nothing has */
	struct stat st; /* of that */
};
/* Returns 0 or a negative errno, and then there is nothing to close. */
int place_find(struct place *place, const char *path);
/* To write to what is there, as it is. A descriptor, or a negative errno. */
int place_open(const struct place *place);
void place_close(struct place *place);

/* output.c: where an image goes: standard output, or a file that appears under
 * its name only when it is whole. */
#define TEMPORARY_NAME sizeof(".vfiomig.XXXXXX")
struct output {
	int fd;
	/* What has to be renamed, if it has a name: from, and to, in dir. */
	char temporary[TEMPORARY_NAME];
	int dir;
	char *name;
	bool named; /* it was renamed, whatever has failed since */
};
/* @path: NULL or "-" for standard output. Returns 0 or the exit status. */
int output_open(const struct cli *cli, struct output *out, const char *path);
/* Returns 0 or a negative errno; the output is closed in both cases. */
int output_commit(struct output *out);
/* What that errno means for the image; @path as for output_open(). */
#define OUTPUT_WHY 4096
void output_why(const struct output *out, const char *path, int err, char why[OUTPUT_WHY]);
/* Tells of it. Returns the exit status. */
int fail_output(const struct cli *cli, const struct output *out, const char *path, int err);
void output_discard(struct output *out);
/* Whether what is written to @fd, standard output or error, would get into the
 * image. */
bool output_shares(const struct output *out, int fd);

/* transfer.c, too. What is said must not get into the image: choose where the
 * summary goes, and refuse what cannot be kept apart. @talks: success is told
 * of on stderr. Returns 0, or the exit status after fail() and
 * output_discard(). */
int keep_apart(struct transfer *t, struct output *out, bool talks);

/* signals.c */
/* What would end the program in the middle of a write is ignored. */
void signals_ignore(void);
/* As the program found them, for another one. */
void signals_restore(void);
/* What would end the program stops the transfers of @ctx from now on. */
void signals_catch(struct vfiomig_ctx *ctx);
/* In a process that stays: SIGTERM ends it. */
void signals_hold(void);
/* If one came: end by it, as nothing had caught it. */
void signals_raise(void);
/* Whether one came. */
bool signals_came(void);
/* Whether SIGUSR1 has come since the last time. */
bool signals_usr1(void);

/* json.c: pretty, and with nothing in it that a terminal would obey. */
struct json_object;
void print_json(struct json_object *object, FILE *to);

/* describe.c: devices and transfers as JSON. */
extern const char *const flag_names[3]; /* of VFIOMIG_STOP_COPY and so on */
/* NULL becomes null, and so does a negative state. */
void json_string(struct json_object *object, const char *key, const char *value);
void json_state(struct json_object *object, const char *key, int state);
void json_flags(struct json_object *object, uint64_t flags);
void json_seconds(struct json_object *object, const char *key, uint64_t ns);
struct json_object *describe_device(const struct vfiomig_device *dev);
struct json_object *describe_transfer(const struct cli *cli, const char *error,
				      const struct vfiomig_result *result);

/* names.c: what pci.ids says; NULL where it says nothing. */
const char *pci_vendor_name(const struct vfiomig_pci_id *id, char *name, int size);
const char *pci_device_name(const struct vfiomig_pci_id *id, char *name, int size);
const char *pci_class_name(const struct vfiomig_pci_id *id, char *name, int size);

/* user.c: who has a device open. */
struct user {
	int pid;
	char comm[16];
	bool is_holder;
	int state; /* that the device is in, negative if it is not known */
};
bool find_user(const struct vfiomig_device *dev, struct user *user);

/* table.c: columns that line up; on a terminal, lines that fit. */
#define TABLE_COLUMNS_MAX 8
struct table {
	size_t columns, cells, size;
	char **cell;
};
void table_init(struct table *t, size_t columns);
/* A row of as many strings as there are columns, NULL for an empty cell. */
void table_row(struct table *t, ...);
/* Frees it as well. */
void table_print(struct table *t, FILE *to);
void table_free(struct table *t);

#endif
