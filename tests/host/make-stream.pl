#!/usr/bin/perl
# SPDX-License-Identifier: GPL-2.0-or-later
#
# make-stream.pl FORMAT [SIZE [SETTING=VALUE...]]: write a stream as the driver of this format gives it. SIZE is the number of
# bytes of its large records, 10000 if it is not given. This was written from the drivers' sources, and shares no code with
# vfiomig. The settings are those of the streams' headers: device, revision, ports, svcmap.

use strict;
use warnings;
no warnings 'portable'; # numbers of 64 bits

my ($format, $bulk, @settings) = @ARGV;
$bulk = 10000 unless $bulk;
my %set = map { split /=/, $_, 2 } @settings;
binmode(STDOUT);

# The same bytes each time, which look like none of the formats
my $seed = 1;
sub noise {
	my ($size) = @_;
	my $text = '';
	while (length($text) < $size) {
		$seed = ($seed * 1103515245 + 12345) & 0x7fffffff;
		$text .= chr(0x80 | $seed >> 16 & 0x7f);
	}
	return $text;
}

# The records of mlx5 and virtio
sub record {
	my ($flags, $tag, $data) = @_;
	return pack('Q<L<L<', length($data), $flags, $tag) . $data;
}

sub mlx5 {
	return record(1, 1, pack('Q<', 8 << 20)) . record(0, 0, noise($bulk)) . record(0, 0, noise($bulk / 10));
}

sub part {
	my ($type, $selector, $value) = @_;
	return pack('S<CCa8L<', $type, 0, 0, $selector, length($value)) . $value;
}

sub virtio {
	my $parts = part(0x100, '', pack('Q<2', 0x130000000, 1)) . part(0x101, '', pack('Q<2', 0x100000000, 0)) .
		part(0x102, '', pack('L<4S<2C2S<5L<6', 0, 0, 0, 0, 0xffff, 2, 15, 0, 1, 256, 1, 1, 0, 1 .. 6)) .
		part(0x103, '', "\x0f") . part(0x104, pack('S<', 0), noise(32)) . part(0x104, pack('S<', 1), noise(32)) .
		part(0x105, pack('S<', 1), noise(8));
	return record(0, 0, $parts) . record(0, 0, $parts);
}

sub packet {
	my ($type, $offset, $data) = @_;
	return pack('CCCCL<Q<Q<', 1, $type, 0, 0, 0, $offset, length($data)) . $data;
}

sub xe {
	my $device = hex($set{device} // 'b080');
	my $revision = hex($set{revision} // '4');
	return packet(1, 0, pack('L<4', 0xf001 << 16 | 1, $device, 0xf002 << 16 | 1, $revision)) .
		packet(3, 0, noise(64)) . packet(4, 0, noise(32)) . packet(5, 0, noise(100)) .
		packet(6, 0, noise($bulk)) . packet(6, $bulk, noise($bulk)) . packet(2, 0, '');
}

sub section {
	my ($id, $data, $sections) = @_;
	# Stale bytes after the name
	return substr("$id\0########", 0, 8) . pack('L<L<', length($data), $sections // 0) . $data;
}

sub block {
	my ($sections, $data) = @_;
	return pack('L<L<S<S<L<', 0xadf5caea, 1, 16, $sections, length($data)) . $data;
}

sub qat {
	my $setup = section('CONFIG', section('gencap', pack('L<', 0x1f)) . section('svcmap', pack('S<', hex($set{svcmap} // '71c'))) .
		section('extdc', pack('L<', 3)), 3);
	my $generic = section('GENER', section('iovinit', "\1") . section('compver', "\3") .
		section('sla', pack('L<x4Q<L<L<', 1, 0xf, 100, 200)), 3);
	my $misc = section('MISCBAR', join('', map { section($_, pack('L<', 5)) } qw(visrc vimsk vispv vimpv pf2vm vm2pf)), 6);
	my $banks = section('ETRBAR', join('', map { section("bnk$_", section('mregs', noise(472)), 1) } 0 .. 3), 4);
	my $stream = block(1, $setup) . block(3, $generic . $misc . $banks);
	return $stream . "\0" x (4096 - length($stream));
}

sub hisi_acc {
	return pack('Q<L<5S<2L<2', 0xaaccfeeddecadede, 64, hex($set{device} // 'a251'), 0, 0, 0, 1, 0, 0, 0) . noise(136);
}

sub mtty {
	my $ports = $set{ports} // 2;
	return pack('Q<L<4', 0x7e9d09898c3e2c4e, 1, 0, $ports, 0) . noise(36 * $ports);
}

sub ivshmem {
	my $size = ($bulk + 4095) & ~4095;
	my $stream = pack('a8L<L<Q<L<L<', 'ivshmem', 2, 4096, $size, 1, hex($set{revision} // '1'));
	for (my $at = 0; $at < $size; $at += 4096) {
		$stream .= pack('L<L<Q<Q<', 1, 0, $at, 4096) . noise(4096);
	}
	$stream .= pack('L<L<Q<Q<L<L<', 2, 0, 0, 8, 1, 0);
	return $stream . pack('L<L<Q<Q<Q<Q<', 3, 0, 0, 16, length($stream) + 24, 0x1234);
}

my %formats = (
	hisi_acc => \&hisi_acc, ivshmem => \&ivshmem, mlx5 => \&mlx5, mtty => \&mtty, qat => \&qat, virtio => \&virtio, xe => \&xe,
);
die "no format '$format'\n" unless $formats{$format};
print $formats{$format}->();
