# SPDX-License-Identifier: GPL-2.0-or-later
#
# Completion for vfiomig(1) in fish.
#
# Nothing here opens a device that nobody has open, because that would reset the device.

# ---- What has been typed ----------------------------------------------------

# Print the command and its operands, without options and their values.
function __vfiomig_words
    set -l tokens (commandline -opc)
    set -l skip
    set -l no_options
    for token in $tokens[2..]
        if test -n "$skip"
            set skip
        else if test -z "$no_options"; and test "$token" = --
            set no_options yes
        else if test -z "$no_options"; and string match -q -r -- '^(-[oiTdt]|--(device|data-fd|interval|precopy-info|until|driver|group|test|skip|seed|timeout|vf-token|via|progress|threads|chunk-size|downtime|leave|output|input))$' $token
            set skip yes
        else if test -z "$no_options"; and contains -- "$tokens[2] $token" 'check -g' 'watch -n'
            set skip yes
        else if test -n "$no_options"; or not string match -q -- '-*' $token
            echo $token
        end
    end
end

function __vfiomig_no_command
    test (count (__vfiomig_words)) -eq 0
end

# __vfiomig_is COMMAND...: the command is one of these
function __vfiomig_is
    set -l words (__vfiomig_words)
    set -q words[1]; and contains -- $words[1] $argv
    # The words after the device belong to another program.
    and not test $words[1] = exec -a (count $words) -gt 2
end

# __vfiomig_wants N COMMAND...: the same, and operand N is to be completed
function __vfiomig_wants
    set -l words (__vfiomig_words)
    test (count $words) -eq $argv[1]; and contains -- $words[1] $argv[2..]
end

# ---- Devices and states -----------------------------------------------------

# Print the devices with a description; with "held", those that have a holder. The columns of "vfiomig list" are found by
# their headings.
function __vfiomig_devices
    timeout 2 vfiomig list 2>/dev/null | LC_ALL=C awk -v held="$argv[1]" '
        function column(name, start, rest, width, value) {
            start = index(head, name)
            rest = substr(head, start + length(name))
            width = match(rest, /[^ ]/) ? length(name) + RSTART - 1 : 1000
            value = start ? substr($0, start, width) : "-"
            sub(/ +$/, "", value)
            return value
        }
        NR == 1 { head = $0 }
        NR > 1 {
            by = column("OPEN BY")
            holder = by ~ / \((silent )?holder\)$/
            if (held && !holder)
                next
            printf "%s\t%s, %s%s\n", $1, column("DRIVER"), column("NAME"), holder ? ", held" : by == "-" ? "" : ", open by " by
            if (by != "-" && !holder)
                printf "pid:%d/%s\tas %s has it\n", by, $1, by
        }'
    for socket in (__vfiomig_sockets)
        printf 'unix:%s\t%s, from its holder\n' $socket (string replace -r '.*/(.*)\.sock$' '$1' $socket)
    end
    if test -z "$argv[1]"; and set -q VFIOMIG_DEVICE_FD
        printf 'fd:%s\tinherited\n' $VFIOMIG_DEVICE_FD
    end
end

# Print the devices for the NAME= that has been typed, or each NAME= of the image.
function __vfiomig_renamed
    set -l name (string match -r '^.*=' -- (commandline -ct))
    if test -n "$name"
        printf '%s\n' $name(__vfiomig_devices)
    else
        for device in (__vfiomig_names (__vfiomig_input))
            printf '%s=\tdevice of the image\n' $device
        end
    end
end

# Print the image that a restore is to read.
function __vfiomig_input
    set -l next
    for token in (commandline -opc)[2..]
        if test -n "$next"
            set next
            echo $token
        else if contains -- $token -i --input
            set next yes
        else
            string replace -rf -- '^(--input=|-i)(?=.)' '' $token
        end
    end
end

# Print the names of the devices in these images.
function __vfiomig_names
    for file in (string replace -r '^~/' "$HOME/" -- $argv)
        test -f $file; and timeout 2 vfiomig inspect -q $file 2>/dev/null | string replace -rf '^device: *' ''
    end
end

# Print all PCI functions, because a function needs no VFIO driver to be bound to one; or all PCI drivers.
function __vfiomig_pci
    for path in /sys/bus/pci/$argv[1]/*
        path basename $path
    end
end

function __vfiomig_sockets
    for socket in /run/vfiomig/*.sock $XDG_RUNTIME_DIR/vfiomig/*.sock
        test -S $socket; and echo $socket
    end
end

# Print the states that the device supports, if it has a holder that can be asked; otherwise all states.
function __vfiomig_states
    set -l name (__vfiomig_words)[2]
    set -l holder
    if string match -q 'unix:*' -- $name
        set holder $name
    else if string match -q -r '^..:..\..$' -- $name # since fish 4 a ? is no wildcard
        set name 0000:$name
    end
    for socket in /run/vfiomig/$name.sock $XDG_RUNTIME_DIR/vfiomig/$name.sock
        test -n "$name" -a -S "$socket"; and set holder unix:$socket
    end
    set -l states
    if test -n "$holder"
        set states (timeout 2 vfiomig info -q $holder 2>/dev/null |
            string replace -f -r '^states: *' '' | string split ' ')
    end
    if test -z "$states"
        set states RUNNING RUNNING_P2P STOP STOP_COPY RESUMING PRE_COPY PRE_COPY_P2P
    end
    printf '%s\n' $states
end

# Images can have any name. Offer the usual ones first.
function __vfiomig_rules
    vfiomig check --list 2>/dev/null | string replace -rf '^  [A-Z][0-9]* *(\S+) .*' '$1'
end

function __vfiomig_images
    __fish_complete_suffix .zst
    __fish_complete_suffix .vfiomig
end

# Complete the command line that exec runs.
function __vfiomig_command_line
    set -l tokens (commandline -opc)
    set -l words (__vfiomig_words)
    set -l rest $words[3..]
    # With its options, which __vfiomig_words leaves out
    if set -q rest[1]
        set rest $tokens[(contains -i -- $rest[1] $tokens)..]
    end
    complete -C (string join ' ' -- (string escape -- $rest) (commandline -ct))
end

# ---- Commands ---------------------------------------------------------------

complete -c vfiomig -f
complete -c vfiomig -n __vfiomig_no_command -a list -d 'List VFIO devices'
complete -c vfiomig -n __vfiomig_no_command -a info -d 'Tell what a device is and can do'
complete -c vfiomig -n __vfiomig_no_command -a state -d 'Print the migration state of a device, or drive it'
complete -c vfiomig -n __vfiomig_no_command -a watch -d 'Follow a migration that another process drives'
complete -c vfiomig -n __vfiomig_no_command -a save -d 'Save the state of a device to an image'
complete -c vfiomig -n __vfiomig_no_command -a restore -d 'Load the state of a device from an image'
complete -c vfiomig -n __vfiomig_no_command -a inspect -d 'Tell what an image is, and check it'
complete -c vfiomig -n __vfiomig_no_command -a diff -d 'Tell where two states differ'
complete -c vfiomig -n __vfiomig_no_command -a pack -d 'Make an image of raw state'
complete -c vfiomig -n __vfiomig_no_command -a unpack -d 'Write the raw state of an image'
complete -c vfiomig -n __vfiomig_no_command -a check -d 'Test whether a device keeps the rules of the protocol'
complete -c vfiomig -n __vfiomig_no_command -a doctor -d 'Tell what migration lacks here'
complete -c vfiomig -n __vfiomig_no_command -a hold -d 'Keep a device open in the background'
complete -c vfiomig -n __vfiomig_no_command -a release -d 'Close a device that is held'
complete -c vfiomig -n __vfiomig_no_command -a exec -d 'Run a command that inherits an open device'
complete -c vfiomig -n __vfiomig_no_command -a bind -d 'Give a device to its VFIO driver'
complete -c vfiomig -n __vfiomig_no_command -a unbind -d 'Give a device back to the driver that it had'

# ---- Operands ---------------------------------------------------------------

complete -c vfiomig -n '__vfiomig_wants 1 info state watch check doctor hold exec; or __vfiomig_is save restore' -a '(__vfiomig_devices)'
complete -c vfiomig -n '__vfiomig_wants 1 info state watch check doctor hold exec; or __vfiomig_is save restore; and not string match -q "*:*" -- (commandline -ct)' \
    -a 'pid: fd: unix:' -d 'By who has it open'
complete -c vfiomig -n '__vfiomig_is restore' -a '(__vfiomig_renamed)'
complete -c vfiomig -n '__vfiomig_wants 1 bind' -a '(__vfiomig_pci devices)' -d 'PCI function'
complete -c vfiomig -n '__vfiomig_wants 1 unbind' -a '(__vfiomig_devices)'
complete -c vfiomig -n '__vfiomig_wants 1 release' -a '(__vfiomig_devices held)'
complete -c vfiomig -n '__vfiomig_wants 2 state' -a '(__vfiomig_states)' -d 'Migration state'
complete -c vfiomig -n '__vfiomig_wants 1 inspect diff unpack' -k -a '(__vfiomig_images)'
complete -c vfiomig -n '__vfiomig_wants 2 diff' -k -a '(__vfiomig_images)'
complete -c vfiomig -n '__vfiomig_wants 1 pack' -F
complete -c vfiomig -n '__vfiomig_wants 2 exec; or not __vfiomig_is exec; and contains exec (__vfiomig_words)[1]' \
    -a '(__vfiomig_command_line)'

# ---- Options ----------------------------------------------------------------

set -l all list info state watch save restore inspect diff pack unpack check doctor hold release exec bind unbind
set -l open info state save restore check doctor hold exec
set -l transfer save restore inspect pack unpack

complete -c vfiomig -n "__vfiomig_no_command; or __vfiomig_is $all" -s '?' -l help -d 'Print this help'
complete -c vfiomig -n "__vfiomig_no_command; or __vfiomig_is $all" -l usage -d 'Print a short usage message'
complete -c vfiomig -n "__vfiomig_no_command; or __vfiomig_is $all" -s V -l version -d 'Print the version'
complete -c vfiomig -n "__vfiomig_is $all" -s q -l quiet -d 'Print nothing but errors'
complete -c vfiomig -n "__vfiomig_is $all" -s v -l verbose -d 'Report each arc, with its time'

complete -c vfiomig -n "__vfiomig_is $open" -l vf-token -x -d 'The VF token of a function of SR-IOV'
complete -c vfiomig -n "__vfiomig_is $open" -l via -x -a 'auto cdev group' -d 'How to open the device'
complete -c vfiomig -n "__vfiomig_is $open release bind unbind" -l wait -d 'Wait for a command that is working on the device'

complete -c vfiomig -n "__vfiomig_is $transfer diff" -l progress -x -a 'auto always never' -d 'Show a progress line on stderr'
complete -c vfiomig -n "__vfiomig_is $transfer" -s T -l threads -x -d 'Threads that work on chunks'
complete -c vfiomig -n '__vfiomig_is save pack' -l chunk-size -x -a '64K 256K 1M 4M 16M 32M' -d 'State in each frame'
complete -c vfiomig -n '__vfiomig_is save pack' -s z -l compress -a '(seq 19)' -d 'Compress, with a level'
complete -c vfiomig -n '__vfiomig_is save pack unpack' -s o -l output -r -F -d 'Write to this file'

complete -c vfiomig -n '__vfiomig_is save restore' -l leave -x -a '(__vfiomig_states)' -d 'State to leave the device in'
complete -c vfiomig -n '__vfiomig_is save restore' -l no-p2p -d 'The devices do not talk to each other'
complete -c vfiomig -n '__vfiomig_is save restore' -l raw -d 'The bytes of the kernel, without a container'
complete -c vfiomig -n '__vfiomig_is save' -l downtime -x -d 'Milliseconds that the device may be stopped'
complete -c vfiomig -n '__vfiomig_is save' -l precopy -a 'auto never' -d 'Read a running device before it is stopped'
complete -c vfiomig -n '__vfiomig_is restore' -s i -l input -r -k -a '(__vfiomig_images)' -d 'Read the image from this file'
complete -c vfiomig -n '__vfiomig_is restore' -l force -d 'Restore an image that is of another device'
complete -c vfiomig -n '__vfiomig_is pack' -l force -d 'Take state that begins like an image'
complete -c vfiomig -n '__vfiomig_is restore' -l no-hold -d 'Close the device at the end'
complete -c vfiomig -n '__vfiomig_is restore' -l no-verify -d 'Do not check all of an image file first'

complete -c vfiomig -n '__vfiomig_is list info state save restore inspect diff check doctor hold release bind unbind' -l json -d 'Print one JSON object instead of text'
complete -c vfiomig -n '__vfiomig_is watch' -l json -d 'Print a JSON object on each line instead of text'
complete -c vfiomig -n '__vfiomig_is list' -l probe -d 'Open the devices, which resets them'
complete -c vfiomig -n '__vfiomig_is doctor' -l probe -d 'Open the device, which resets it'
complete -c vfiomig -n '__vfiomig_is state' -s R -l reset -d 'Reset the device first; its state is lost'
complete -c vfiomig -n '__vfiomig_is inspect diff' -l driver -x -a 'hisi_acc ivshmem mlx5 mtty qat virtio xe' -d 'The driver whose state it is'
complete -c vfiomig -n '__vfiomig_is watch' -l data-fd -x -d 'The number of the data_fd in its process'
complete -c vfiomig -n '__vfiomig_is watch' -s n -l interval -x -a '0.01 0.1 1' -d 'Seconds between two looks'
complete -c vfiomig -n '__vfiomig_is watch' -l precopy-info -x -a 'auto always' -d 'Ask how much is left in PRE_COPY'
complete -c vfiomig -n '__vfiomig_is watch' -l until -x -a '(__vfiomig_states) ERROR' -d 'End when the device is in this state'
complete -c vfiomig -n '__vfiomig_is inspect diff unpack' -l device -x -a '(__vfiomig_names (__vfiomig_words)[2..])' -d 'The device of an image of several'
complete -c vfiomig -n '__vfiomig_is inspect' -l records -d 'Tell what the state consists of'
complete -c vfiomig -n '__vfiomig_is inspect' -l verify -d 'Decode and check all of the image'
set -l groups feature state stop session precopy resume reset size dma slow
complete -c vfiomig -n '__vfiomig_is check' -l dangerous -d 'Test also what can make a faulty kernel hang'
complete -c vfiomig -n '__vfiomig_is check' -s g -l group -x -a "$groups" -d 'Test the rules of this group'
complete -c vfiomig -n '__vfiomig_is check' -l list -d 'List the rules'
complete -c vfiomig -n '__vfiomig_is check' -l seed -x -d 'The seed of random tests'
complete -c vfiomig -n '__vfiomig_is check' -l skip -x -a '(__vfiomig_rules)' -d 'Leave this rule out'
complete -c vfiomig -n '__vfiomig_is check' -l strict -d 'Exit with 1 after a WARN, too'
complete -c vfiomig -n '__vfiomig_is check' -l tap -d 'Print KTAP'
complete -c vfiomig -n '__vfiomig_is check' -s t -l test -x -a '(__vfiomig_rules)' -d 'Test this rule'
complete -c vfiomig -n '__vfiomig_is check' -l timeout -x -d 'Seconds that a test may take'

complete -c vfiomig -n '__vfiomig_is hold' -s f -l foreground -d 'Do not go into the background'

complete -c vfiomig -n '__vfiomig_is bind' -s d -l driver -x -a '(__vfiomig_pci drivers)' -d 'Bind to this driver, not to the one that fits best'
complete -c vfiomig -n '__vfiomig_is bind' -l force -d 'Bind even a device that is in use'
complete -c vfiomig -n '__vfiomig_is bind unbind' -s g -l group -d 'Change all functions of the IOMMU group'
complete -c vfiomig -n '__vfiomig_is bind unbind' -s n -l dry-run -d 'Print what would be done, and do nothing'
