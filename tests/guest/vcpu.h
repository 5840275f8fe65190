/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A virtual CPU of KVM that writes to memory, as a virtual machine does that the memory is given
 * to. It is in real mode, and the memory follows the first 64 KiB of its machine.
 */
#ifndef VCPU_H
#define VCPU_H

#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

#define VCPU_MEMORY 0x10000
#define VCPU_ROOM   0x80000 /* how much of the memory it writes to */

/*
 * For each page: read it, and write to it what differs from that, with an ordinary instruction and
 * with one that KVM's emulator of instructions does not know.
 */
static const unsigned char vcpu_code[] = {
	0xb8, 0x00, 0x10,	      /* start: mov ax, 0x1000 */
	0x8e, 0xd8,		      /* page:  mov ds, ax */
	0x8b, 0x1e, 0x00, 0x00,	      /*        mov bx, [0] */
	0x43,			      /*        inc bx */
	0x89, 0x1e, 0x00, 0x00,	      /*        mov [0], bx */
	0x89, 0x1e, 0x10, 0x00,	      /*        mov [0x10], bx */
	0x0f, 0x10, 0x06, 0x10, 0x00, /*        movups xmm0, [0x10] */
	0x0f, 0x58, 0xc0,	      /*        addps xmm0, xmm0 */
	0x0f, 0x13, 0x06, 0x20, 0x00, /*        movlps [0x20], xmm0 */
	0x05, 0x00, 0x01,	      /*        add ax, 0x100 */
	0x3d, 0x00, 0x90,	      /*        cmp ax, 0x9000 */
	0x72, 0xdc,		      /*        jb page */
	0xe6, 0x10,		      /*        out 0x10, al */
	0xeb, 0xd5,		      /*        jmp start */
};

struct vcpu {
	int fd;
	struct kvm_run *run;
};

/* Add memory to the machine. */
static inline void vcpu_slot(int vm, unsigned int slot, unsigned long at, void *memory, size_t size)
{
	struct kvm_userspace_memory_region region = {
		.slot = slot,
		.guest_phys_addr = at,
		.memory_size = size,
		.userspace_addr = (unsigned long)memory,
	};

	if (ioctl(vm, KVM_SET_USER_MEMORY_REGION, &region))
		err(1, "KVM_SET_USER_MEMORY_REGION");
}

/* Make a machine with one processor and this memory. It lives as long as the program. */
static inline struct vcpu vcpu_make(void *memory)
{
	int kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC), vm, size;
	struct kvm_regs regs = { .rip = 0x1000, .rflags = 2 };
	struct kvm_sregs sregs;
	struct vcpu vcpu;
	void *low;

	if (kvm < 0)
		err(1, "/dev/kvm");
	vm = ioctl(kvm, KVM_CREATE_VM, 0);
	if (vm < 0)
		err(1, "KVM_CREATE_VM");
	low = mmap(NULL, VCPU_MEMORY, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (low == MAP_FAILED)
		err(1, "mmap");
	memcpy((char *)low + regs.rip, vcpu_code, sizeof(vcpu_code));
	vcpu_slot(vm, 0, 0, low, VCPU_MEMORY);
	vcpu_slot(vm, 1, VCPU_MEMORY, memory, VCPU_ROOM);

	vcpu.fd = ioctl(vm, KVM_CREATE_VCPU, 0);
	size = ioctl(kvm, KVM_GET_VCPU_MMAP_SIZE, 0);
	if (vcpu.fd < 0 || size < 0)
		err(1, "KVM_CREATE_VCPU");
	vcpu.run = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, vcpu.fd, 0);
	if (vcpu.run == MAP_FAILED)
		err(1, "mmap");
	if (ioctl(vcpu.fd, KVM_GET_SREGS, &sregs))
		err(1, "KVM_GET_SREGS");
	sregs.cs.base = 0;
	sregs.cs.selector = 0;
	sregs.cr4 |= 0x600; /* SSE */
	if (ioctl(vcpu.fd, KVM_SET_SREGS, &sregs) || ioctl(vcpu.fd, KVM_SET_REGS, &regs))
		err(1, "KVM_SET_REGS");
	return vcpu;
}

/* Let the processor write to each page once. */
static inline void vcpu_run(const struct vcpu *vcpu)
{
	while (ioctl(vcpu->fd, KVM_RUN, 0))
		if (errno != EINTR)
			err(1, "KVM_RUN");
	if (vcpu->run->exit_reason != KVM_EXIT_IO)
		errx(1, "the virtual CPU has stopped: %u, %u", vcpu->run->exit_reason,
		     vcpu->run->internal.suberror);
}

#endif
