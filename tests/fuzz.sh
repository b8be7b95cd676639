#!/bin/sh
# Runs every fuzzer over its corpus and then for some seconds more; fails when one finds something.
#
#   tests/fuzz.sh [SECONDS [NAME ...]]       default: 20 seconds each, all of csrc/fuzz
#
# Knows: libFuzzer's options. Must not know: what the fuzzers do. What they find new stays in build/fuzz/work; what breaks them is in build/fuzz/found:
# run `build/fuzz/NAME FILE` on it, and once the defect is mended, put it into csrc/fuzz/corpus/NAME.
set -eu
cd "$(dirname "$0")/.."

seconds=${1:-20}
[ $# -gt 0 ] && shift
sh csrc/fuzz/build.sh
[ $# -gt 0 ] || set -- $(basename -s .c -a csrc/fuzz/*.c)
mkdir -p build/fuzz/found

run_one() {
    name=$1
    log=build/fuzz/$name.log
    mkdir -p "build/fuzz/work/$name" "csrc/fuzz/corpus/$name"
    # Zero would mean for ever; without runs only the corpus is executed.
    if [ "$seconds" -gt 0 ]; then limit="-max_total_time=$seconds"; else limit="-runs=0"; fi
    if ! "build/fuzz/$name" "$limit" -timeout=10 -max_len=8192 -rss_limit_mb=2048 -print_final_stats=1 -artifact_prefix="build/fuzz/found/$name-" \
        "build/fuzz/work/$name" "csrc/fuzz/corpus/$name" > "$log" 2>&1; then
        cat "$log" >&2
        echo "$name: FAILED" >&2
        return 1
    fi
    executed=$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")
    echo "$name: $executed inputs, $(grep -o 'cov: [0-9]*' "$log" | tail -1), nothing found"
}

# As many at a time as there are processors.
failed=0
running=""
for name in "$@"; do
    run_one "$name" &
    running="$running $!"
    # shellcheck disable=SC2086
    if [ "$(echo $running | wc -w)" -ge "$(nproc)" ]; then
        for job in $running; do wait "$job" || failed=1; done
        running=""
    fi
done
for job in $running; do wait "$job" || failed=1; done
exit "$failed"
