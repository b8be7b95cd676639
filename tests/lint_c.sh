#!/bin/sh
# Compiles every C file with all the warnings that we care for as errors, with gcc and with clang (each where it is installed).
#
# Knows: compiler options. Must not know: what the C does, how the module is built.
set -eu
cd "$(dirname "$0")/.."

warnings="-Wall -Wextra -Wshadow -Wconversion -Wstrict-prototypes -Wmissing-prototypes -Wformat=2 -Wcast-qual -Wpointer-arith -Wundef \
    -Wvla -Werror"
# Optimised, because some warnings come from the flow analysis that optimising does.
options="-std=c11 -D_GNU_SOURCE -Icsrc -O2 -c -o /dev/null"
checked=no

for compiler in gcc clang; do
    command -v "$compiler" > /dev/null || continue
    checked=yes
    for file in csrc/*.c csrc/fuzz/*.c tests/*.c; do
        # shellcheck disable=SC2086
        "$compiler" $options $warnings "$file"
    done
    echo "$compiler: no warnings"
done

# A header from before tunnels and 64-bit counters, made from this one: what it does not have must not be asked of it, and what it has is still checked.
old=$(mktemp -d)
trap 'rm -rf "$old"' EXIT
mkdir "$old/linux"
header=$(echo '#include <linux/ip_vs.h>' | cc -E - | sed -n 's/^# 1 "\(.*ip_vs\.h\)".*/\1/p' | head -n 1)
sed -E '/^\tIPVS_(DEST_ATTR_(TUN_|ADDR_FAMILY)|(SVC|DEST)_ATTR_STATS64|DAEMON_ATTR_(SYNC_MAXLEN|MCAST_(GROUP|PORT|TTL)))/d' "$header" > "$old/linux/ip_vs.h"
printf '#define LINUX_VERSION_CODE 199168 /* 3.10 */\n#define KERNEL_VERSION(a, b, c) (((a) << 16) + ((b) << 8) + (c))\n' > "$old/linux/version.h"
# shellcheck disable=SC2086
cc -isystem "$old" $options $warnings csrc/ik_ipvs_uapi.c
sed -i 's/KERNEL_VERSION(a, b, c).*/KERNEL_VERSION(a, b, c) 0/' "$old/linux/version.h"
# shellcheck disable=SC2086
if cc -isystem "$old" $options $warnings csrc/ik_ipvs_uapi.c 2> /dev/null; then
    echo "the old header is not one: everything was found in it" >&2
    exit 1
fi
echo "an old header: compiles"

if [ "$checked" = no ]; then
    echo "neither gcc nor clang is installed" >&2
    exit 1
fi
