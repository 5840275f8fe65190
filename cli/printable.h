/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Text from outside: the names of processes, files and devices, images, the command line. It must
 * not reach a terminal with anything in it that is not to be seen. */
#ifndef PRINTABLE_H
#define PRINTABLE_H

/* Replace by '?' what could control a terminal or make a line read differently: control characters,
 * the invisible ones that change the direction of text, and bytes that are no character in this
 * locale. The text does not get longer. */
void make_printable(char *text);

#endif
