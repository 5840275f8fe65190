// SPDX-License-Identifier: GPL-2.0-or-later
/* vfiomig restore: image -> device. */
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli.h"

struct options {
	struct cli *cli;
	const char *input;
	int leave;
	bool raw;
};

enum {
	OPT_LEAVE = 256,
	OPT_RAW
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct options *opt = state->input;

	switch (key) {
	case 'i':
		opt->input = arg;
		return 0;
	case OPT_LEAVE:
		opt->leave = parse_state(state, arg);
		return opt->leave < 0 ? EINVAL : 0;
	case OPT_RAW:
		opt->raw = true;
		return 0;
	case ARGP_KEY_END:
		if (!opt->raw)
			return usage_error(
				state,
				"this version reads only the kernel's bytes; say so with --raw");
		return ARGP_ERR_UNKNOWN;
	default:
		return parse_device(state, key, arg, opt->cli);
	}
}

static const struct argp_option options[] = {
	{ "input", 'i', "FILE", 0,
	  "Read the image from FILE (default: standard input)", 0 },
	{ "leave", OPT_LEAVE, "STATE", 0,
	  "The state to leave the device in (default: RUNNING)", 0 },
	{ "raw", OPT_RAW, NULL, 0, "The kernel's bytes, without a container",
	  0 },
	{ 0 }
};

static const struct argp argp = {
	.options = options,
	.parser = parse,
	.args_doc = "DEV",
	.doc = "Load a device's state from an image.\vWhen the command ends and nobody else has the device open, its session ends too, and most devices lose with it what was restored.",
};

static int open_input(const struct cli *cli, const char *path)
{
	struct stat st;
	int fd;

	if (!path || strcmp(path, "-") == 0) {
		path = "standard input";
		fd = fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 0);
	} else {
		fd = open(path, O_RDONLY | O_CLOEXEC);
	}
	if (fd < 0) {
		fail(cli, 0, "%s: %m", path);
		return -1;
	}
	if (fstat(fd, &st) == 0 && S_ISDIR(st.st_mode)) {
		fail(cli, 0, "%s: %s", path, strerror(EISDIR));
		close(fd);
		return -1;
	}
	return fd;
}

static int restore_from(struct cli *cli, struct vfiomig_device *dev,
			const struct options *opt, int fd)
{
	struct vfiomig_result result;
	int err = vfiomig_restore(dev, fd, opt->leave, &result);

	if (err == -ENODATA)
		return fail(cli, STATUS_IMAGE, "%s",
			    vfiomig_get_error(cli->ctx));
	if (err)
		return fail_transfer(cli, &result);
	notice(cli, "restored %llu bytes in %.3f s; the device is in %s",
	       (unsigned long long)result.bytes, result.ns / 1e9,
	       vfiomig_state_name(result.now.state));
	return STATUS_OK;
}

static int restore(struct cli *cli, int argc, char **argv)
{
	struct options opt = { .cli = cli, .leave = VFIOMIG_STATE_RUNNING };
	struct vfiomig_device *dev;
	uint64_t flags;
	int status = cli_parse(cli, &argp, argc, argv, &opt);
	int fd;

	if (status)
		return status;
	if ((!opt.input || strcmp(opt.input, "-") == 0) && isatty(STDIN_FILENO))
		return fail(
			cli, STATUS_USAGE,
			"an image does not come from a terminal; redirect standard input or use -i FILE");
	fd = open_input(cli, opt.input);
	if (fd < 0)
		return STATUS_FAILED;
	signals_catch(cli->ctx);
	status = open_migratable(cli, &dev, &flags);
	if (!status) {
		status = restore_from(cli, dev, &opt, fd);
		vfiomig_device_unref(dev);
	}
	close(fd);
	return status;
}

const struct command cmd_restore = {
	.name = "restore",
	.help = "Load a device's state from an image",
	.main = restore,
};
