/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A driver's format as tables. All numbers in the streams are little endian: the drivers whose
 * format is the processor's byte order exist for such processors only, or their magic number tells
 * the byte order.
 *
 * A stream is a sequence of records. A record is a header, and the data that the header announces.
 * The data is a structure, or a sequence of records, or opaque.
 */
#ifndef VFIOMIG_FORMAT_H
#define VFIOMIG_FORMAT_H

#include "internal.h"

#define RECORDS_STRUCTURE_MAX 512 /* bytes of a header or a structure */
#define RECORDS_DEPTH_MAX     4	  /* sequences inside of each other */
#define RECORDS_PEEK	      28  /* bytes that tell whose stream it is */

struct field {
	const char *name; /* of an element of an array "rings[].base"; the brackets get its index */
	uint16_t offset;  /* in the structure */
	uint8_t size;	  /* 1, 2, 4 or 8 are a number, others are bytes */
	uint8_t how;	  /* FIELD_* */
	uint8_t count;	  /* of elements, 0 if this is no array */
	uint8_t stride;	  /* bytes from one element to the next */
};

#define FIELD_HEX   1 /* an address, a mask or an identifier */
#define FIELD_BYTES 2 /* bytes, whatever their size */
/* The record's own type and size, which are told with the record. */
#define FIELD_TOLD  4
/* Tells records of one type apart: a place, or a number. */
#define FIELD_KEY   8

struct structure {
	const char *name; /* as the driver calls it, or NULL */
	size_t base;	  /* where in the driver's structure this part of it begins */
	size_t size;
	const struct field *fields; /* ended by one without a name */
};

/* What a record of some type has in it. */
struct record_type {
	uint64_t id;
	const char *name;
	const struct structure *data;	  /* fields of the data */
	const struct record_kind *inside; /* or records */
	const struct record_kind *next;	  /* the kind of the record after it; NULL: the same */
	uint8_t flags;			  /* TYPE_* */
};

#define TYPE_ENDS 1 /* the stream may end after this record */
#define TYPE_LAST 2 /* no record follows in the same sequence */

/* Where a header has a number. No size: nowhere. */
struct number {
	uint8_t offset, size;
	uint8_t unit; /* what the number counts, in bytes */
};

/* Records with the same header. */
struct record_kind {
	struct structure header;
	struct number length; /* of the data after the header */
	struct number type;
	const struct record_type *types; /* ended by one without a name */
	struct record_type other;	 /* of no type in the list */
	/*
	 * Choose one of these types by more than a number; may be NULL. @name, which has room for
	 * 32 bytes, may receive the record's own name. Returns NULL if this cannot be a header.
	 * Then the rest of the sequence is opaque.
	 */
	const struct record_type *(*choose)(const uint8_t *header, char *name);
};

enum likeness {
	UNLIKE,
	POSSIBLE, /* it may be such a stream, if somebody says so */
	LIKELY,	  /* it is one, unless it is something else */
	ALIKE,	  /* it is one */
};

/* What a stream and a device must have in common, see guard.c. */
enum fact {
	FACT_PCI_DEVICE,   /* the PCI function's device ID */
	FACT_PCI_REVISION, /* its revision */
	FACT_PF_DEVICE,	   /* the same of its physical function */
	FACT_PF_REVISION,
	FACT_MDEV_NUMBER,  /* the number in the type of a mediated device, "mtty-2" */
	FACT_BAR2_SIZE,	   /* bytes of BAR 2 */
	FACT_QAT_SERVICES, /* a set, see qat.c */
};

struct requirement {
	const char *record, *field; /* where the stream says it */
	enum fact fact;
	bool zero_is_any;
};

/*
 * The services of a qat device, "sym;asym", as a set of bits: of a stream's svcmap, or as the
 * physical function's cfg_services in sysfs has them. 0 if they are none that is known.
 */
uint64_t qat_services_of_map(uint64_t svcmap);
uint64_t qat_services_of_text(const char *text);
/* Write them as cfg_services does. */
void qat_name_services(uint64_t services, char text[32]);

struct format {
	const char *name;   /* "mlx5" */
	const char *driver; /* "mlx5_vfio_pci" */
	const struct record_kind *first;
	uint64_t total;	   /* each stream has so many bytes, whatever is used of them; or 0 */
	const char *final; /* without which a stream is not whole, "TRAILER" */
	/* Does a stream begin like this? Beyond its end @p is zero. */
	enum likeness (*like)(const uint8_t *p);
	const struct requirement *requirements; /* ended by one without a record; may be NULL */
};

extern const struct format format_qat, format_ivshmem, format_hisi_acc, format_hisi_acc_v1,
	format_mtty, format_xe, format_virtio, format_mlx5;

/* In the order in which a stream is compared with them. Returns NULL at the end. */
const struct format *format_get(size_t i);
#define FIELD_NAME 48 /* bytes of a name that has an index in it */

/* "u32", or "bytes" */
const char *format_type_name(const struct field *f);
/* The name of the field, with the index between its brackets if it is an array's. */
void format_name_element(const struct field *f, unsigned int index, char name[FIELD_NAME]);

/* The format of a stream that begins with @bytes, of which the first @have are its own, and the
 * others zero. @driver: whose it is, or NULL. Returns NULL if it is not known. */
const struct format *format_find(const char *driver, const uint8_t bytes[RECORDS_PEEK],
				 size_t have);
/* Whether @driver, "mlx5_vfio_pci", "mlx5-vfio-pci" or "mlx5", has this format. */
bool format_is_of(const struct format *f, const char *driver);

/* The little endian number of @size bytes, at most 8. */
static inline uint64_t format_number(const uint8_t *p, size_t size)
{
	uint64_t value = 0;

	while (size--)
		value = value << 8 | p[size];
	return value;
}

#endif
