#!/usr/bin/env bash
# Tests the device side on emulated arm64: `make arm`, as root, on Debian with a network. Not part of `make test`.
#
# Creates a Debian root for arm64 under WORK (six minutes the first time), installs EdgeKit's wheel and its
# aarch64 dependencies there, runs a rendered clip through each bundle on arm64 and on this machine, and
# compares the events.
# Times under emulation mean nothing.
set -euo pipefail
repo=$(cd "$(dirname "$0")/../.." && pwd)
python=$repo/.venv/bin/python
work=${WORK:-/var/tmp/edgekit-arm}
root=$work/root
release=bookworm
frames=${FRAMES:-12}

need() {
    command -v "$1" >/dev/null && return
    echo "Expected the command $1; it is not installed. Run: apt-get install debootstrap qemu-user-static" >&2
    exit 4
}
[ "$(id -u)" = 0 ] || { echo "debootstrap and chroot need root. Run: sudo make arm" >&2; exit 2; }
need debootstrap
need qemu-aarch64-static
[ -x "$python" ] || { echo "Expected $python. Run: make install" >&2; exit 4; }
mkdir -p "$work"

# The flag F keeps the interpreter open, so that it need not lie in the root.
[ -d /proc/sys/fs/binfmt_misc ] && [ -e /proc/sys/fs/binfmt_misc/register ] ||
    mount -t binfmt_misc binfmt_misc /proc/sys/fs/binfmt_misc
if [ ! -e /proc/sys/fs/binfmt_misc/qemu-aarch64 ]; then
    magic='\x7fELF\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\xb7\x00'
    mask='\xff\xff\xff\xff\xff\xff\xff\x00\xff\xff\xff\xff\xff\xff\xff\xff\xfe\xff\xff\xff'
    printf '%s' ":qemu-aarch64:M::$magic:$mask:$(command -v qemu-aarch64-static):F" \
        >/proc/sys/fs/binfmt_misc/register
fi

if [ ! -e "$root/ready" ]; then
    rm -rf "$root"
    debootstrap --arch=arm64 --foreign --variant=minbase \
        --include=python3,python3-venv,ca-certificates "$release" "$root"
    chroot "$root" /debootstrap/debootstrap --second-stage
    touch "$root/ready"
fi

# Wheels are fetched here: the root needs no network.
rm -rf "$work/wheels" && mkdir "$work/wheels"
# With the compiled kernels where a cross-compiler is, else without one.
build=(EDGEKIT_NO_KERNEL=1)
if command -v aarch64-linux-gnu-gcc >/dev/null; then
    build=(_PYTHON_HOST_PLATFORM=linux-aarch64 CC=aarch64-linux-gnu-gcc "LDSHARED=aarch64-linux-gnu-gcc -shared")
fi
env "${build[@]}" "$python" -m pip wheel -q --no-deps -w "$work/wheels" "$repo"
"$python" -m pip download -q -d "$work/wheels" --only-binary=:all: --python-version 3.11 --abi cp311 --abi abi3 \
    --abi none --implementation cp --platform manylinux_2_28_aarch64 --platform manylinux_2_27_aarch64 \
    --platform manylinux_2_17_aarch64 --platform manylinux2014_aarch64 --platform any \
    -c "$repo/constraints.txt" opencv-python-headless==5.0.0.93 numpy onnxruntime ai-edge-litert msgspec click rich

rm -rf "$root/edgekit" && mkdir -p "$root/edgekit"
cp -r "$work/wheels" "$root/edgekit/wheels"
chroot "$root" sh -c 'python3 -m venv /edgekit/venv && /edgekit/venv/bin/pip install -q --no-index \
    --find-links /edgekit/wheels numpy opencv-python-headless onnxruntime ai-edge-litert msgspec click rich &&
    /edgekit/venv/bin/pip install -q --no-index --no-deps /edgekit/wheels/edgekit_vision-*.whl'

"$python" -m edgekit.synthetic "$root/edgekit/clip" --clips 1 --seed 161 --frames "$frames"
for target in onnx tflite; do
    bundle=/edgekit/$target
    "$repo/.venv/bin/edgekit" export --target "$target" -o "$root$bundle" >/dev/null
    arguments=(--source /edgekit/clip/puppets-161.avi --bundle "$bundle" --score 0.05)
    chroot "$root" /edgekit/venv/bin/edgekit run "${arguments[@]}" --events "/edgekit/$target.jsonl" >/dev/null
    "$repo/.venv/bin/edgekit" run --source "$root/edgekit/clip/puppets-161.avi" --bundle "$root$bundle" \
        --score 0.05 --events "$work/$target.jsonl" >/dev/null
    "$python" "$repo/tests/arm/compare.py" "$work/$target.jsonl" "$root/edgekit/$target.jsonl" --name "$target"
done
