#!/bin/sh
# Runs the tests of the codec with the C core built for AddressSanitizer and UndefinedBehaviorSanitizer, then looks for leaks.
#
#   tests/asan.sh [PYTEST ARGUMENT ...]      without arguments: what of tests/unit and tests/property meets the C core and is quick
#
# Knows: compiler options, and how Python is made to load an instrumented module. Must not know: what the tests test.
#
# PYTHON, CC: which ones (default: the virtual environment's or the PATH's; gcc). The in-tree build is not touched: everything goes to build/asan.
set -eu
cd "$(dirname "$0")/.."

root=$PWD
out=$root/build/asan
python=${PYTHON:-$([ -x .venv/bin/python ] && echo .venv/bin/python || command -v python3)}
compiler=${CC:-gcc}
sanitize="-fsanitize=address,undefined -fno-sanitize-recover=undefined"
flags="-O1 -g $sanitize -fno-omit-frame-pointer"

build_module() {
    rm -rf "$out/site" "$out/objects"
    mkdir -p "$out/site/ipvskit"
    # The compiled module apart, everything else is the tree's own.
    for entry in ipvskit/*; do
        case $entry in
        *.so | */__pycache__ | *.c) ;;
        *) ln -s "$root/$entry" "$out/site/$entry" ;;
        esac
    done
    CC=$compiler LDSHARED="$compiler -shared" IPVSKIT_CFLAGS=$flags IPVSKIT_LDFLAGS=$sanitize \
        "$python" setup.py -q build_ext --build-lib "$out/site" --build-temp "$out/objects"
}

# Python itself is not instrumented, so the libraries must be there before it; its own allocator would hide over-reads, and it leaks on purpose.
instrumented() {
    libraries="$("$compiler" -print-file-name=libasan.so) $("$compiler" -print-file-name=libubsan.so)"
    LD_PRELOAD=$libraries PYTHONMALLOC=malloc IPVSKIT_INSTRUMENTED=1 \
        ASAN_OPTIONS=detect_leaks=0:strict_string_checks=1:detect_stack_use_after_return=1:abort_on_error=1:log_path=$out/report \
        UBSAN_OPTIONS=print_stacktrace=1:halt_on_error=1:log_path=$out/report PYTHONSAFEPATH=1 PYTHONPATH="$out/site:$root" "$@"
}

check_module() {
    instrumented "$python" - "$out/site/ipvskit" << 'END'
import pathlib
import sys

import ipvskit._core
import ipvskit._native

loaded = pathlib.Path(ipvskit._core.__file__)
assert loaded.parent == pathlib.Path(sys.argv[1]), f"the module that was imported is {loaded}"
assert ipvskit._native._core is ipvskit._core
code = loaded.read_bytes()
assert b"__asan_report_load" in code and b"__ubsan_handle" in code, f"{loaded} is not instrumented"
END
}

# What Python cannot be asked for, because it leaks by itself: every object of the C core is freed.
check_leaks() {
    # shellcheck disable=SC2086
    "$compiler" -std=c11 -D_GNU_SOURCE $flags -pthread -Icsrc tests/leaks.c csrc/ik_*.c -o "$out/leaks"
    # LeakSanitizer cannot run under a debugger or strace, and says so by itself.
    if ASAN_OPTIONS=detect_leaks=1 "$out/leaks" leak 2> "$out/leaks.log"; then
        echo "LeakSanitizer did not see the leak that was made on purpose" >&2
        exit 1
    fi
    grep -q "LeakSanitizer: detected memory leaks" "$out/leaks.log" || { cat "$out/leaks.log" >&2; exit 1; }
    ASAN_OPTIONS=detect_leaks=1 "$out/leaks"
    echo "no leaks"
}

build_module
check_module
check_leaks
# Kubernetes objects, command lines, documents and the lab never meet the C core but through what the other tests try; state machines and failures
# of every call take longer than all the rest: at night they run, too.
if [ $# -eq 0 ]; then
    set -- tests/unit tests/property
    for name in kube cli ipvsadm docs lab '*machine' engine_fa; do
        set -- "$@" "--ignore-glob=*/test_$name*"
    done
fi
rm -f "$out"/report.*
# The reports go to files, because pytest holds back what a dying test writes.
instrumented "$python" -m pytest -q -p no:cacheprovider -m "not lab and not ipvs" "$@" || {
    status=$?
    cat "$out"/report.* >&2 2> /dev/null || true
    exit "$status"
}
