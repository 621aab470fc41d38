#!/usr/bin/env bash
# The compiled kernels under the address and undefined-behaviour sanitizers: `make sanitize`.
#
# Where a cross-compiler and qemu are, those of arm64 go through the same, without the sanitizers:
#     apt-get install gcc-aarch64-linux-gnu qemu-user-static
# COUNT pairs of pictures (400), heatmaps and streams of detections, from SEED (0); CC is the compiler.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
native=$(cd "$here/../../edgekit/runtime/native" && pwd)
count=${COUNT:-400} seed=${SEED:-0}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

programs=(fuzz fuzz_decoding fuzz_linking)
flags=(-std=c11 -D_GNU_SOURCE -ffp-contract=off -Wall -Wextra -Werror -Wno-psabi -I "$native")

# compile COMPILER OUT FLAG...: the programs, each as OUT-PROGRAM
compile() {
    local compiler=$1 out=$2 file special program objects=()
    shift 2
    for file in "$native"/*.c; do
        special=()
        if [[ $("$compiler" -dumpmachine) = x86_64* ]]; then
            case $(basename "$file") in
                *avx2.c) special=(-mavx2) ;;
                avx512.c) special=(-mavx512f -mavx512bw -mavx512dq -mavx512vl) ;;
            esac
        fi
        objects+=("$out-$(basename "$file").o")
        "$compiler" "${flags[@]}" "$@" "${special[@]}" -c "$file" -o "${objects[-1]}"
    done
    for program in "${programs[@]}"; do
        "$compiler" "${flags[@]}" "$@" "$here/$program.c" "${objects[@]}" -lm -o "$out-$program"
    done
}

# run OUT COMMAND...
run() {
    local out=$1 program
    shift
    for program in "${programs[@]}"; do
        "$@" "$out-$program" "$count" "$seed"
    done
}

compile "${CC:-cc}" "$work/sanitized" -O1 -g -fsanitize=address,undefined \
    -fno-sanitize-recover=all -fno-omit-frame-pointer
echo "With the sanitizers:"
run "$work/sanitized"
compile "${CC:-cc}" "$work/plain" -O3
echo "As it is built:"
run "$work/plain"

if command -v aarch64-linux-gnu-gcc >/dev/null && command -v qemu-aarch64-static >/dev/null; then
    compile aarch64-linux-gnu-gcc "$work/arm" -O3 -static
    echo "On emulated arm64:"
    run "$work/arm" qemu-aarch64-static
else
    echo "On emulated arm64: not run; aarch64-linux-gnu-gcc and qemu-aarch64-static are not both here"
fi
