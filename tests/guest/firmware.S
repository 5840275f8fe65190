/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The firmware, and the whole software, of the virtual machine in client.sh. It writes to the memory of an ivshmem device
 * (slot 5) all the time, one page after another in no order, and keeps in its RAM what it has written. Before it writes to
 * a page it looks whether the page has what it wrote there last. So device and RAM must be of one and the same instant,
 * however often the machine is migrated.
 *
 * At 0x1000: a word that is 1 when all pages were written once, how many were written since, and how many were wrong.
 */
	.set	PAGES, 1024
	.set	BAR0, 0xf0000000
	.set	BAR2, 0xe0000000
	.set	RUNS, 0x1000
	.set	WRITES, 0x1004
	.set	WRONG, 0x1008
	.set	WRITTEN, 0x10000	/* what was written last to each page */

	.text
	.code32
/* config REGISTER VALUE: write to the device's configuration space */
	.macro	config register, value
	mov	$(0x80000000 | 5 << 11 | \register), %eax
	mov	$0xcf8, %dx
	out	%eax, %dx
	mov	$\value, %eax
	mov	$0xcfc, %dx
	out	%eax, %dx
	.endm

start:
	mov	$16, %ax
	mov	%ax, %ds
	mov	%ax, %es
	config	0x10, BAR0
	config	0x18, BAR2
	config	0x1c, 0
	config	0x04, 6			/* memory, bus mastering */

	xor	%edi, %edi
	mov	%edi, RUNS
	mov	%edi, WRITES
	mov	%edi, WRONG
first:	mov	%edi, %ebx
	shl	$12, %ebx
	mov	%edi, BAR2(%ebx)
	mov	%edi, WRITTEN(, %edi, 4)
	inc	%edi
	cmp	$PAGES, %edi
	jb	first
	movl	$1, RUNS

	mov	$1, %esi
write:	imul	$1664525, %esi
	add	$1013904223, %esi
	mov	%esi, %edi
	shr	$16, %edi
	and	$(PAGES - 1), %edi
	mov	%edi, %ebx
	shl	$12, %ebx
	mov	BAR2(%ebx), %eax
	cmp	WRITTEN(, %edi, 4), %eax
	je	right
	incl	WRONG
right:	mov	%esi, BAR2(%ebx)
	mov	%esi, WRITTEN(, %edi, 4)
	incl	WRITES
	mov	$500, %ecx
wait:	loop	wait
	jmp	write

	.balign	8
gdt:	.quad	0
	.quad	0x00cf9b000000ffff	/* 8: code */
	.quad	0x00cf93000000ffff	/* 16: data */
gdt_end:
gdtr:	.word	gdt_end - gdt - 1
	.long	gdt

/* The processor begins here, in real mode, with this segment as its code segment. */
	.code16
	.org	0xff00
real:	cli
	lgdtl	%cs:(gdtr - start)
	mov	%cr0, %eax
	or	$1, %al
	mov	%eax, %cr0
	ljmpl	$8, $start

	.org	0xfff0
	jmp	real
	.org	0x10000
