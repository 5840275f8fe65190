#!/usr/bin/perl
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Run a command whose standard output, standard error or file is a pipe that is full, or that nobody
# reads.
#
#   pipes.pl DELAY SIGNAL FLAGS COMMAND...
#
# DELAY     seconds until the pipe is read, or "never"
# SIGNAL    sent to the command when it sleeps, after 0.3 seconds at least, or 0. If the environment has BEGUN, the
#           signal waits until there is a file of that name, too
# FLAGS     words, joined by commas: "1" or "2", the descriptor that is the pipe; "nonblock" for a pipe in
#           non-blocking mode; "full" if the pipe is full at the beginning
#
# What the command wrote is printed, without what the pipe was filled with. The exit status is the
# command's, 128 + N if signal N ended it, or 99 if it did not end within 30 seconds after the signal, or
# after its start. (It ends within one, but machines can be busy.) After SIGUSR1, which ends no command, two
# seconds are enough.
use strict;
use warnings;
use Fcntl;
use POSIX ();
use Time::HiRes qw(sleep time);

my ($delay, $signal, $flags, @command) = @ARGV;
my %flag = map { $_ => 1 } split /,/, $flags;
pipe my $reader, my $writer or die;
my $old = fcntl $writer, F_GETFL, 0;
my $filled = 0;
if ($flag{full}) {
	fcntl $writer, F_SETFL, $old | O_NONBLOCK or die;
	while (my $n = syswrite $writer, "x" x 4096) {
		$filled += $n;
	}
	fcntl $writer, F_SETFL, $old or die;
}
fcntl $writer, F_SETFL, $old | O_NONBLOCK or die if $flag{nonblock};

my $pid = fork // die;
if (!$pid) {
	# A shell's background processes ignore SIGINT.
	$SIG{$_} = 'DEFAULT' for qw(HUP INT TERM USR1);
	close $reader if $delay ne 'never';
	for my $fd (grep { $flag{$_} } 1, 2) {
		POSIX::dup2(fileno $writer, $fd) or die;
	}
	exec @command or die;
}
close $writer;

# Whether the command is vfiomig by now, not a shell that begins it, and sleeps, or has ended.
sub sleeps {
	open my $stat, '<', "/proc/$pid/stat" or return 1;
	my ($name, $state) = <$stat> =~ /\((.*)\) (\S)/;
	return $state eq 'Z' || $name eq 'vfiomig' && $state eq 'S';
}

my $start = time;
if ($signal) {
	sleep 0.3;
	my $last = time + 30;
	sleep 0.01 while $ENV{BEGUN} && !-e $ENV{BEGUN} && time < $last;
	sleep 0.01 while !sleeps && time < $last;
	kill $signal, $pid;
	$start = time;
}
my $end = $start + ($delay eq 'never' && $signal == 10 ? 2 : 30);

my ($text, $status, $open) = ('', undef, 1);
while (!defined $status || $open) {
	if ($delay ne 'never' && time - $start >= $delay) {
		vec(my $set = '', fileno $reader, 1) = 1;
		while ($open && select my $ready = $set, undef, undef, 0) {
			$open = sysread $reader, $text, 65536, length $text;
		}
	} elsif (defined $status) {
		last if $delay eq 'never';
	}
	if (!defined $status && waitpid $pid, POSIX::WNOHANG()) {
		$status = $? & 127 ? 128 + ($? & 127) : $? >> 8;
	}
	if (!defined $status && time > $end) {
		kill 9, $pid;
		waitpid $pid, 0;
		$status = 99;
	}
	sleep 0.01;
}
print substr $text, $filled if length $text > $filled;
exit $status;
