#!/usr/bin/perl
# SPDX-License-Identifier: GPL-2.0-or-later
#
# read-image.pl IMAGE [NAME]: check an image and write its state to standard output, of a set that of the device with this
# name. This was written from vfiomig-image(5) alone, and shares no code with vfiomig, to prove that the page is complete.

use strict;
use warnings;
use JSON::PP;
use File::Temp;

my ($path, $wanted) = @ARGV;
open(my $in, '<:raw', $path) or die "$path: $!\n";
binmode(STDOUT);

# One of xxhsum's hashes (0: 32 bits, 1: 64, 2: 128) of the concatenated strings, in hexadecimal
sub digest {
	my ($kind, @data) = @_;
	my $file = File::Temp->new;
	binmode($file);
	print $file @data;
	close($file);
	my ($hex) = `xxhsum -H$kind "$file"` =~ /^([0-9a-f]+)/;
	return $hex;
}

# Read exactly this many bytes, or nothing at the end of the file
sub take {
	my ($length) = @_;
	my $data = '';
	read($in, $data, $length);
	return $data;
}

sub u32 {
	my ($data, $at) = @_;
	return unpack('V', substr($data, $at, 4));
}

# The frame after its size frame
sub frame {
	my ($max) = @_;
	my $head = take(12);
	die "truncated\n" if length($head) < 12;
	die "no size frame\n" if u32($head, 0) != 0x184D2A50 || u32($head, 4) != 4;
	my $length = u32($head, 8);
	die "a length is out of bounds\n" if $length < 8 || $length > $max;
	my $frame = take($length);
	die "truncated\n" if length($frame) < $length;
	return $frame;
}

sub meta {
	my ($frame) = @_;
	my $n = length($frame) - 8;
	die "metadata: its length is wrong\n" if u32($frame, 4) != $n || $n < 26;
	my $json = substr($frame, 8, $n - 24);
	die "metadata: its checksum is wrong\n"
		if substr($frame, 8 + $n - 24) ne "\nxxh64:" . digest(1, $json) . "\n";
	my $object = decode_json($json);
	die "metadata: no object\n" if ref($object) ne 'HASH';
	return $object;
}

# The state in the blocks; undef if one is compressed
sub unstore {
	my ($blocks) = @_;
	my $state = '';
	my $last = 0;
	while (!$last) {
		die "a block is missing\n" if length($blocks) < 3;
		my $header = unpack('V', substr($blocks, 0, 3) . "\0");
		my ($type, $size) = ($header >> 1 & 3, $header >> 3);
		$last = $header & 1;
		die "a block is too large\n" if $size > 131072;
		return undef if $type > 1;
		$state .= $type ? substr($blocks, 3, 1) x $size : substr($blocks, 3, $size);
		$blocks = substr($blocks, 3 + ($type ? 1 : $size));
	}
	die "something follows the last block\n" if length($blocks);
	return $state;
}

# Decode with zstd, which must find exactly one frame
sub unzstd {
	my ($frame) = @_;
	my $file = File::Temp->new;
	binmode($file);
	print $file $frame;
	close($file);
	my $state = `zstd -dcq < "$file"`;
	die "zstd does not decode it\n" if $?;
	return $state;
}

sub chunk {
	my ($frame, $chunk_size) = @_;
	die "a chunk is too short\n" if length($frame) < 9;
	my $descriptor = ord(substr($frame, 4, 1));
	die "a chunk's descriptor is wrong\n" if ($descriptor & 0x1f) != 4;
	my $single = $descriptor >> 5 & 1;
	my $bytes = 1 << ($descriptor >> 6);
	die "no content size\n" if $bytes == 1 && !$single;
	my $at = $single ? 5 : 6;
	my $size = unpack('Q<', substr($frame, $at, $bytes) . "\0" x 8);
	$size += 256 if $bytes == 2;
	die "a chunk's size is out of bounds\n" if $size < 1 || $size > $chunk_size;
	my $state = unstore(substr($frame, $at + $bytes, length($frame) - $at - $bytes - 4));
	$state = unzstd($frame) if !defined($state);
	die "a chunk has not its size\n" if length($state) != $size;
	die "a chunk's checksum is wrong\n"
		if sprintf('%08x', u32($frame, length($frame) - 4)) ne substr(digest(1, $state), 8);
	return $state;
}

# What was read of one device
sub device {
	my ($name) = @_;
	return { name => $name, state => '', frames => [], trailer => undef };
}

sub add_chunk {
	my ($device, $frame, $size) = @_;
	push(@{ $device->{frames} }, $frame);
	$device->{state} .= chunk($frame, $size);
}

sub check_trailer {
	my ($device, $trailer, $compression) = @_;
	die "a second trailer\n" if $device->{trailer};
	$device->{trailer} = $trailer;
	die "frames are missing\n" if $trailer->{frames} != @{ $device->{frames} } || !$trailer->{frames};
	die "frames_digest is wrong\n"
		if $compression ne 'none' && $trailer->{frames_digest} ne 'xxh64:' . digest(1, @{ $device->{frames} });
	die "bytes is wrong\n" if $trailer->{bytes} != length($device->{state});
	die "digest is wrong\n" if $trailer->{digest} ne 'xxh128:' . digest(2, $device->{state});
}

# The devices that the header of a set lists
sub devices {
	my ($header) = @_;
	my $list = $header->{devices};
	die "no devices\n" if ref($list) ne 'ARRAY' || @$list < 2 || @$list > 64;
	die "chunks are too large\n" if @$list * $header->{chunk_size} > 33554432;
	my %seen;
	for (map { $_->{name} } @$list) {
		die "a name is wrong\n" if !defined($_) || !length($_) || $seen{$_}++;
	}
	return map { device($_->{name}) } @$list;
}

# Whose the chunk after this label is
sub label {
	my ($frame, @devices) = @_;
	die "a label is too short\n" if length($frame) != 24 || u32($frame, 4) != 16;
	die "a label's checksum is wrong\n"
		if sprintf('%08x', u32($frame, 20)) ne substr(digest(1, substr($frame, 0, 20)), 8);
	my $device = $devices[u32($frame, 8)] or die "a label is of no device\n";
	die "a chunk follows the trailer\n" if $device->{trailer};
	die "a chunk is out of order\n" if unpack('Q<', substr($frame, 12, 8)) != @{ $device->{frames} };
	return $device;
}

# The JSON text of the header or a trailer
sub text {
	my ($frame) = @_;
	return substr($frame, 8, length($frame) - 32);
}

my $frame = frame(1048584);
die "no header\n" if u32($frame, 0) != 0x184D2A5A;
my $header = meta($frame);
die "a newer format\n" if $header->{format} != 1 && $header->{format} != 2;
die "no header\n" if $header->{format} == 1 && length($frame) > 65544;
my ($size, $set) = ($header->{chunk_size}, $header->{format} == 2);
die "a header without sense\n" if !$header->{compression} || $size < 65536 || $size > 33554432;
my $max = $size + int($size / 256) + 25 + 4 * int(($size + 131071) / 131072);
$max += int((131072 - $size) / 2048) if $size < 131072;

my @devices = $set ? devices($header) : device('');
my @texts = text($frame);
my $trailer;
while (!$trailer) {
	my $device = $devices[0];
	$frame = frame($max);
	if ($set && u32($frame, 0) == 0x184D2A5C) {
		$device = label($frame, @devices);
		$frame = frame($max);
		die "no chunk follows a label\n" if u32($frame, 0) != 0xFD2FB528;
	} elsif ($set && u32($frame, 0) == 0xFD2FB528) {
		die "a chunk without a label\n";
	}
	if (u32($frame, 0) == 0xFD2FB528) {
		add_chunk($device, $frame, $size);
		next;
	}
	die "an unknown frame\n" if u32($frame, 0) != 0x184D2A5B || length($frame) > 65544;
	my $object = meta($frame);
	if ($set && exists($object->{device})) {
		$device = $devices[$object->{device}] or die "a trailer of no device\n";
		check_trailer($device, $object, $header->{compression});
		push(@texts, text($frame));
	} else {
		$trailer = $object;
	}
}
if ($set) {
	my ($bytes, $frames) = (0, 0);
	for (@devices) {
		die "a trailer is missing\n" if !$_->{trailer};
		$bytes += length($_->{state});
		$frames += @{ $_->{frames} };
	}
	die "the set's trailer is wrong\n"
		if $trailer->{devices} != @devices || $trailer->{bytes} != $bytes || $trailer->{frames} != $frames ||
		$trailer->{metadata_digest} ne 'xxh64:' . digest(1, @texts);
} else {
	check_trailer($devices[0], $trailer, $header->{compression});
}
die "something follows\n" if length(take(1));
my ($device) = $set ? grep { $_->{name} eq $wanted } @devices : @devices;
print $device->{state};
