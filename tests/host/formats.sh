#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# The tables in lib/records/ are the drivers' own structures, as the newest kernel has them. A C program is made of both, in
# which the compiler compares each offset and each size. Headers that need the rest of the kernel are not included; their
# structures are cut out of them.
#
# What the kernel's source does not have: the types of virtio's device parts, which are in the virtio specification, and
# hisi_acc's structure before Linux 6.16.

cd "$(dirname "$0")/../.." || exit
# shellcheck source=tests/guest/lib/lib.sh
. tests/guest/lib/lib.sh
OUT=$(mktemp) ERR=$(mktemp)
work=$(mktemp -d)
trap 'rm -rf "$OUT" "$ERR" "$work"' EXIT

if ! source=$(tests/guest/kernel formats 2>"$ERR"); then
	echo "ok 1 # SKIP the kernel's source is not in the cache, and cannot be fetched: $(head -n 1 "$ERR")"
	echo "1..1"
	exit
fi
vfio=$source/drivers/vfio/pci
qat=$source/drivers/crypto/intel/qat/qat_common

# cut_out FILE STRUCTURE...: print these structures or enumerations of the file, with a #line each
cut_out() {
	from=$1
	shift
	for name; do
		awk -v name="$name" -v file="$from" '
			$0 == name " {" { printf "#line %d \"%s\"\n", FNR, file; inside = 1 }
			inside { print }
			inside && /^};/ { inside = 0; found = 1 }
			END { exit !found }' "$from" || echo "#error there is no $name in $from"
	done
}

# constants FILE PATTERN: print the #define lines whose name matches
constants() {
	grep -E "^#define[[:blank:]]+($2)[[:blank:]]" "$1" || echo "#error there is no $2 in $1"
}

# The kernel's own words for what the compiler has
mkdir -p "$work/linux"
for name in build_bug sizes; do
	: >"$work/linux/$name.h"
done
{
	cat <<'END'
#include <linux/types.h>
#include <linux/const.h>
#include <stdbool.h>
#include <stddef.h>
typedef __u8 u8;
typedef __u16 u16;
typedef __u32 u32;
typedef __u64 u64;
#define static_assert _Static_assert
#define SZ_4K 4096
#define SZ_1M 0x100000
#define __packed __attribute__((packed))
#define offsetofend(type, member) (offsetof(type, member) + sizeof(((type *)0)->member))
#define OFFSET(type, member, offset) \
	_Static_assert(offsetof(struct type, member) == (offset), #type "." #member ": its offset")
#define SIZE(type, member, size) \
	_Static_assert(sizeof(((struct type *)0)->member) == (size), #type "." #member ": its size")
#define VALUE(name, value) _Static_assert((name) == (value), #name ": its value")
END
	echo "#include \"$source/include/uapi/linux/virtio_pci.h\""
	cut_out "$vfio/mlx5/cmd.h" "struct mlx5_vf_migration_tag_stop_copy_data" "enum mlx5_vf_migf_header_flags" \
		"enum mlx5_vf_migf_header_tag" "struct mlx5_vf_migration_header"
	cut_out "$vfio/virtio/common.h" "enum virtiovf_migf_header_flags" "enum virtiovf_migf_header_tag" \
		"struct virtiovf_migration_header"
	constants "$vfio/hisilicon/hisi_acc_vfio_pci.h" 'ACC_DEV_MAGIC_V[12]|ACC_DRV_MAJOR_VER'
	cut_out "$vfio/hisilicon/hisi_acc_vfio_pci.h" "struct acc_vf_data"
	cut_out "$source/include/linux/hisi_acc_qm.h" "enum qm_vf_state"
	echo "#include \"$source/drivers/gpu/drm/xe/xe_sriov_packet_types.h\""
	constants "$source/drivers/gpu/drm/xe/abi/xe_driver_klvs_abi.h" 'MIGRATION_KLV_DEVICE_.*'
	grep -h -E '^#define[[:blank:]]+ADF_ETR_MAX_RINGS_PER_BANK[[:blank:]]' "$qat"/adf_*.h
	echo "#include \"$qat/adf_bank_state.h\""
	echo "#include \"$qat/adf_mstate_mgr.h\""
	constants "$qat/adf_mstate_mgr.c" 'ADF_MSTATE_MAGIC|ADF_MSTATE_VERSION'
	cut_out "$qat/adf_mstate_mgr.c" "struct adf_mstate_sect_h"
	constants "$qat/adf_gen4_vf_mig.c" 'ADF_GEN4_VF_MSTATE_SIZE'
	cut_out "$qat/adf_cfg_services.h" "enum adf_base_services"
	cut_out "$qat/adf_cfg_common.h" "enum adf_cfg_service_type"
	constants "$qat/adf_cfg_common.h" 'ADF_CFG_SERV_RING_PAIR_[0-3]_SHIFT'
	cut_out "$qat/adf_gen4_vf_mig.c" "struct mig_user_sla"
	constants "$source/samples/vfio-mdev/mtty.c" 'MAX_FIFO_SIZE|MTTY_MAGIC|MTTY_MAJOR_VER|MTTY_MINOR_VER'
	cut_out "$source/samples/vfio-mdev/mtty.c" "struct rxtx" "struct serial_port" "struct mtty_data"
	echo "#include \"$PWD/driver/format.h\""
} >"$work/theirs.h"

build/tests/unit/records print >"$work/tables"
check "there are tables" test "$(grep -c '^field ' "$work/tables")" -gt 100

# A field of an array, "rings[].base", is that of an element, and the next element follows after the stride.
awk '
	$1 == "structure" {
		# A header before data that it announces, or a part of a structure
		if ($2 == "mtty_data")
			print "_Static_assert(offsetof(struct mtty_data, ports) == " $4 ", \"mtty_data: its size\");"
		else if ($2 == "acc_vf_data" && $3 == 0)
			print "_Static_assert(offsetofend(struct acc_vf_data, qm_rsv_state) == " $4 ", \"acc_vf_data: its match part\");"
		else if ($2 == "mig_user_sla")
			print "_Static_assert(sizeof(struct mig_user_sla) * 4 == " $4 ", \"mig_user_sla: its size\");"
		else
			print "_Static_assert(sizeof(struct " $2 ") == " $3 + $4 ", \"" $2 ": its size\");"
	}
	$1 == "field" && $2 == "mig_user_sla" {
		sub(/^.*\]\./, "", $3)
		print "_Static_assert(sizeof(struct mig_user_sla) == " $7 ", \"mig_user_sla: an element\");"
		print "OFFSET(" $2 ", " $3 ", " $4 ");\nSIZE(" $2 ", " $3 ", " $5 ");"
		next
	}
	$1 == "field" && $6 {
		array = $3
		sub(/\[.*/, "", array)
		gsub(/\[\]/, "[0]", $3)
		print "SIZE(" $2 ", " array ", " $6 * $7 ");\nSIZE(" $2 ", " array "[0], " $7 ");"
	}
	$1 == "field" { print "OFFSET(" $2 ", " $3 ", " $4 ");\nSIZE(" $2 ", " $3 ", " $5 ");" }
	$1 == "type" && $2 == "mlx5_vf_migration_header" { print "VALUE(MLX5_MIGF_HEADER_TAG_" $3 ", " $4 ");" }
	$1 == "type" && $2 == "virtiovf_migration_header" { print "VALUE(VIRTIOVF_MIGF_HEADER_TAG_" $3 ", " $4 ");" }
	$1 == "type" && $2 == "xe_sriov_packet_hdr" { print "VALUE(XE_SRIOV_PACKET_TYPE_" $3 ", " $4 ");" }
	$1 == "type" && $3 ~ /^DEVICE_...ID$/ { print "VALUE(MIGRATION_KLV_" $3 "_KEY, " $4 ");" }
	$1 == "type" && $2 == "ivshmem_vfio_record" { print "VALUE(IVSHMEM_VFIO_RECORD_" $3 ", " $4 ");" }
' "$work/tables" >"$work/assertions"
cat >>"$work/assertions" <<'END'
VALUE(MLX5_MIGF_HEADER_FLAGS_TAG_OPTIONAL, 1);
VALUE(VIRTIOVF_MIGF_HEADER_FLAGS_TAG_OPTIONAL, 1);
VALUE(ACC_DEV_MAGIC_V1, 0xcdcdcdcdfeedaacc);
VALUE(ACC_DEV_MAGIC_V2, 0xaaccfeeddecadede);
VALUE(QM_READY, 0);
VALUE(ADF_MSTATE_MAGIC, 0xadf5caea);
VALUE(ADF_MSTATE_VERSION, 1);
VALUE(ADF_MSTATE_ID_LEN, 8);
VALUE(ADF_GEN4_VF_MSTATE_SIZE, 4096);
VALUE(COMP, 2);
VALUE(SYM, 3);
VALUE(ASYM, 4);
VALUE(ADF_CFG_SERV_RING_PAIR_0_SHIFT, 0);
VALUE(ADF_CFG_SERV_RING_PAIR_1_SHIFT, 3);
VALUE(ADF_CFG_SERV_RING_PAIR_2_SHIFT, 6);
VALUE(ADF_CFG_SERV_RING_PAIR_3_SHIFT, 9);
VALUE(MTTY_MAGIC, 0x7e9d09898c3e2c4e);
VALUE(MTTY_MAJOR_VER, 1);
VALUE(MIGRATION_KLV_DEVICE_DEVID_LEN, 1);
VALUE(MIGRATION_KLV_DEVICE_REVID_LEN, 1);
VALUE(IVSHMEM_VFIO_VERSION, 2);
VALUE(IVSHMEM_VFIO_MAGIC, 0x006d656d68737669);
END
check "there is something to compare" test "$(wc -l <"$work/assertions")" -gt 250

cat "$work/theirs.h" >"$work/structures.c"
check "the drivers' structures compile" sh -c "gcc -std=gnu17 -fsyntax-only -I'$work' -x c '$work/structures.c'"
cat "$work/theirs.h" "$work/assertions" >"$work/all.c"
gcc -std=gnu17 -fsyntax-only -I"$work" -x c "$work/all.c" 2>"$work/errors"
grep -E 'error:' "$work/errors" >"$work/bad"
check "each offset, size and value in the tables is the drivers' own" sh -c "! grep . '$work/bad'"

# An error would be found.
{
	cat "$work/theirs.h"
	sed '0,/^OFFSET(adf_bank_state, rings\[0\].tail, \([0-9]*\))/s//OFFSET(adf_bank_state, rings[0].tail, 1\1)/' "$work/assertions"
} >"$work/all.c"
check "a wrong offset is an error" sh -c "! gcc -std=gnu17 -fsyntax-only -I'$work' -x c '$work/all.c'"

# ---- By reading the lines ---------------------------------------------------

# line FILE TEXT: the file has this line, whatever the spaces
line() {
	number=$(tr -s '[:blank:]' ' ' <"$1" | sed 's/^ //' | grep -n -x -F -e "$2" | head -n 1 | cut -d: -f1)
	check "${1#"$source"/}${number:+:$number}: $2" test -n "$number"
}
# The sections of qat's setup, and two of its state
line "$qat/adf_accel_devices.h" 'u32 accel_capabilities_mask;'
line "$qat/adf_accel_devices.h" 'u32 extended_dc_capabilities;'
line "$qat/adf_accel_devices.h" 'u16 ring_to_svc_map;'
line "$qat/adf_accel_devices.h" 'bool init;'
line "$qat/adf_accel_devices.h" 'u8 vf_compat_ver;'
line "$qat/adf_gen4_vf_mig.c" '{&hw_data->accel_capabilities_mask, sizeof(hw_data->accel_capabilities_mask)}},'
line "$qat/adf_gen4_vf_mig.c" 'u32 regv;'
line "$qat/adf_gen4_vf_mig.c" 'return sizeof(struct adf_bank_state);'
# The names of qat's sections
sed -n 's/^type adf_mstate_sect_h \([^ ]*\) .*/\1/p' "$work/tables" | sort -u >"$work/sections"
check "qat has sections" test "$(wc -l <"$work/sections")" -gt 15
while read -r id; do
	check "qat has a section $id" grep -q "^#define ADF_MSTATE_.*_IDS[[:blank:]]*\"$id\"\$" "$qat/adf_mstate_mgr.h"
done <"$work/sections"

finish
