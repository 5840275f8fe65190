#!/usr/bin/perl
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Print the messages in lib/ and cli/ of which no test has the words: "FILE:LINE: TEXT".
use strict;
use warnings;

my $call = qr/\b(?:ctx_fail|ctx_notice|fail|fail_usage|fail_why|notice|usage_error|finding_(?:pass|warn|fail|unknown|advise))\(/;
my $string = qr/"(?:[^"\\]|\\.)*"/s;
my $arguments = qr/((?:[^()"]|$string|\((?1)\))*)/s;
my $format = qr/%[-.*0-9]*[hlz]*[a-zA-Z%]/;
my $enough = 16; # so many characters tell one message from the others

sub read_file
{
	my ($path) = @_;
	local $/;

	open my $file, '<', $path or die "$path: $!\n";
	return <$file>;
}

# Join the parts of a literal.
sub join_strings
{
	my ($text) = @_;

	$text =~ s/"\s*\n\s*"//g;
	$text =~ s/" PRI\w+\s+"/d/g;
	return $text;
}

sub list_files
{
	my @files = `git ls-files @_`;

	chomp @files;
	return grep { -T } @files;
}

# The script that calls this one has the messages that no test can bring about.
my $tests = join "\n", map { join_strings read_file $_ } grep { $_ ne 'tests/host/messages.sh' } list_files 'tests';
$tests =~ s/\\"/"/g;
$tests =~ s/\s+/ /g;

# Whether a test has this part of a message, or enough of it from the beginning of a word
sub is_quoted
{
	my ($part) = @_;

	return index($tests, $part) >= 0 if length $part <= $enough;
	while ($part =~ /(?:^|(?<= ))/g) {
		my $words = substr $part, pos $part, $enough;

		return 1 if length $words == $enough && index($tests, $words) >= 0;
	}
	return 0;
}

for my $file (list_files "'lib/*.c'", "'cli/*.c'") {
	my $source = read_file $file;

	while ($source =~ /$call$arguments/g) {
		my ($start, $text) = ($-[0], join_strings $1);

		next if $text !~ /($string)/;
		$text = substr $1, 1, -1;
		$text =~ s/\\"/"/g;
		my @parts = grep { length >= 8 } map { s/^ +| +$//gr } split $format, $text;
		next if !@parts || grep { is_quoted $_ } @parts;
		my $line = 1 + (substr($source, 0, $start) =~ tr/\n//);
		print "$file:$line: $text\n";
	}
}
