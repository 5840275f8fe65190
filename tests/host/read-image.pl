#!/usr/bin/perl
# SPDX-License-Identifier: GPL-2.0-or-later
#
# read-image.pl IMAGE: check an image and write its state to standard output. This was written from vfiomig-image(5) alone,
# and shares no code with vfiomig, to prove that the page is complete.

use strict;
use warnings;
use JSON::PP;
use File::Temp;

my ($path) = @ARGV;
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
	die "metadata: its length is wrong\n" if u32($frame, 4) != $n || $n < 26 || $n > 65536;
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

my $frame = frame(65544);
die "no header\n" if u32($frame, 0) != 0x184D2A5A;
my $header = meta($frame);
die "a newer format\n" if $header->{format} != 1;
my $size = $header->{chunk_size};
die "a header without sense\n" if !$header->{compression} || $size < 65536 || $size > 33554432;
my $max = $size + int($size / 256) + 25 + 4 * int(($size + 131071) / 131072);
$max += int((131072 - $size) / 2048) if $size < 131072;

my ($state, @frames) = ('');
while (u32($frame = frame($max), 0) == 0xFD2FB528) {
	push(@frames, $frame);
	$state .= chunk($frame, $size);
}
die "an unknown frame\n" if u32($frame, 0) != 0x184D2A5B;
my $trailer = meta($frame);
die "frames are missing\n" if $trailer->{frames} != @frames;
die "frames_digest is wrong\n"
	if $header->{compression} ne 'none' && $trailer->{frames_digest} ne 'xxh64:' . digest(1, @frames);
die "something follows\n" if length(take(1));
die "bytes is wrong\n" if $trailer->{bytes} != length($state);
die "digest is wrong\n" if $trailer->{digest} ne 'xxh128:' . digest(2, $state);
print $state;
