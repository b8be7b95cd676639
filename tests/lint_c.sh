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

if [ "$checked" = no ]; then
    echo "neither gcc nor clang is installed" >&2
    exit 1
fi
