#!/bin/sh
# The guest's init: makes the host's file tree fit to run one command in, runs it, says how it ended.
#
# Knows: the run's exchange folder (LAB_DIR on the kernel's command line), which holds
#   fstab    what to mount            devices/  links to copy into /dev
#   job      the command itself       settings  LAB_MODPROBE, LAB_MERGED
# and into which it writes release (booted), status (the command ended), done (all output is out),
# trouble (one line: the lab's own failure), stdout and stderr.
# Must not know: what the command is, which kernel this is, where the cache or the checkout lies.
#
# Every program start costs tens of milliseconds here, so builtins and one mount(8) do the work.

# The exchange folder stays reachable by relative names whatever is mounted over its path.
cd "$LAB_DIR" || exit 1
PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
export PATH

finish() {
    echo > done
    # The host kills the guest as soon as it sees 'done'; this is for a host that does not.
    echo o > /proc/sysrq-trigger
    while :; do sleep 60; done
}

trouble() {
    echo "$*" > trouble
    finish
}

# The job's stdout is 1 and its stderr 3; 2 stays the console, for what a shell has to say itself
# when the job is killed.
run_job() {
    # A subshell: the job's cd and exec must not become init's.
    (. ./job) < /dev/null 2>&3 3>&-
    status=$?
    # What was written through a shared mapping lies only in the guest's page cache until now.
    sync
    echo "$status" > status
}

mount -a -T ./fstab 2> mount.log || trouble "mount failed in the guest: $(cat mount.log)"
read -r release < /proc/sys/kernel/osrelease
echo "$release" > release
cp -P devices/* /dev/ || trouble "cannot make the links in /dev"
echo ipvskit-lab > /proc/sys/kernel/hostname
ip link set lo up || trouble "cannot bring up lo: is the Debian package iproute2 installed?"

. ./settings
for module in $LAB_MODPROBE; do
    modprobe "$module" 2> modprobe.log || trouble "modprobe $module failed: $(cat modprobe.log)"
done

# The command writes into pipes, not into the files: with a file a command that opens /dev/stdout
# again would cut off what is already there.
if [ "$LAB_MERGED" = yes ]; then
    run_job 3>&1 | cat >> stdout
else
    { run_job 3>&1 1>&4 4>&- | cat >> stderr 4>&-; } 4>&1 | cat >> stdout
fi
finish
