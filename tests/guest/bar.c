// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * bar ADDRESS read|write: the memory of a PCI function's BAR 2 to standard
 * output, or standard input into it, without VFIO: the device stays closed.
 */
#include <err.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	char path[128];
	struct stat st;
	char *memory;
	int fd;

	if (argc != 3)
		errx(2, "usage: bar ADDRESS read|write");
	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/resource2",
		 argv[1]);
	fd = open(path, O_RDWR | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st))
		err(1, "%s", path);
	memory = mmap(NULL, st.st_size, PROT_READ | PROT_WRITE, MAP_SHARED, fd,
		      0);
	if (memory == MAP_FAILED)
		err(1, "%s: mmap", path);

	if (strcmp(argv[2], "read") == 0) {
		if (fwrite(memory, 1, st.st_size, stdout) !=
			    (size_t)st.st_size ||
		    fflush(stdout))
			err(1, "standard output");
	} else if (fread(memory, 1, st.st_size, stdin) != (size_t)st.st_size) {
		errx(1, "standard input is shorter than the memory");
	}
	return 0;
}
