#!/bin/sh
# Builds every fuzzer csrc/fuzz/*.c into build/fuzz.
#
# Knows: clang's options, and that a fuzzer which includes one of csrc/ik_*.c must not be linked with it. Must not know: what the fuzzers do.
# CLANG: which compiler (default: clang).
set -eu
cd "$(dirname "$0")/../.."

clang=${CLANG:-clang}
out=build/fuzz
options="-std=c11 -D_GNU_SOURCE -O1 -g -fno-omit-frame-pointer -Icsrc -Icsrc/fuzz"
sanitize="address,undefined"
mkdir -p "$out/objects"

for file in csrc/ik_*.c; do
    # shellcheck disable=SC2086
    "$clang" $options -fsanitize="fuzzer-no-link,$sanitize" -fno-sanitize-recover=all \
        -c "$file" -o "$out/objects/$(basename "$file" .c).o"
done

for file in csrc/fuzz/*.c; do
    set --
    for object in "$out"/objects/*.o; do
        grep -q "#include \"../$(basename "$object" .o).c\"" "$file" || set -- "$@" "$object"
    done
    # shellcheck disable=SC2086
    "$clang" $options -fsanitize="fuzzer,$sanitize" -fno-sanitize-recover=all -pthread "$file" "$@" \
        -o "$out/$(basename "$file" .c)"
done
