#!/usr/bin/env bash
# Tests the device side on emulated arm64: `make arm`, as root, on Debian with a network. Not part of `make test`.
#
# Creates a Debian root for arm64 under WORK (six minutes the first time), installs EdgeKit there with the line of
# the README, runs the tests of the compiled kernels against numpy, runs a rendered clip through each bundle on
# arm64 and on this machine, and compares the events.
# Times under emulation mean nothing.
set -euo pipefail
repo=$(cd "$(dirname "$0")/../.." && pwd)
python=$repo/.venv/bin/python
work=${WORK:-/var/tmp/edgekit-arm}
root=$work/root
release=bookworm
frames=${FRAMES:-12}

[ "$(id -u)" = 0 ] || { echo "mmdebstrap and chroot need root. Run: sudo make arm" >&2; exit 2; }
command -v mmdebstrap >/dev/null || {
    echo "Expected the command mmdebstrap; it is not installed. Run: apt-get install mmdebstrap" >&2
    exit 4
}
[ -x "$python" ] || { echo "Expected $python. Run: make install" >&2; exit 4; }
"$repo/tests/arm/emulate.sh"
mkdir -p "$work"

if [ ! -e "$root/ready" ]; then
    rm -rf "$root"
    mmdebstrap -q --arch=arm64 --variant=minbase --include=python3,python3-venv,libgl1,libglib2.0-0 \
        "$release" "$root"
    touch "$root/ready"
fi

# Wheels are fetched here: the root needs no network. Their folder stands for the package index.
rm -rf "$work/wheels" "$work/dist" "$root/edgekit" && mkdir -p "$work/wheels" "$root/edgekit"
cd "$repo"
"$python" -m release.wheels aarch64 any -o "$work/dist" >/dev/null
tags=(--platform any --platform linux_aarch64 --platform manylinux2014_aarch64)
for glibc in 17 24 26 27 28 31 34 35 36; do tags+=(--platform "manylinux_2_${glibc}_aarch64"); done
"$python" -m pip download -q -d "$work/wheels" --only-binary=:all: --python-version 3.11 --implementation cp \
    --abi cp311 --abi abi3 --abi none "${tags[@]}" -c constraints.txt --find-links "$work/dist" \
    "edgekit-vision[tflite]" pytest hypothesis
rm "$work"/wheels/edgekit_vision-*
cp -r "$work/wheels" "$work/dist" tests pyproject.toml "$root/edgekit"

line=$(sed -n 's/^pip \(install --find-links dist edgekit-vision\)\b.*/\1/p' README.md)
[ -n "$line" ] || { echo "Expected 'pip install --find-links dist edgekit-vision' in README.md." >&2; exit 3; }
chroot "$root" sh -ec "cd /edgekit && python3 -m venv venv && export PIP_NO_INDEX=1 PIP_FIND_LINKS=/edgekit/wheels
    venv/bin/pip $line && venv/bin/pip install -q ai-edge-litert pytest hypothesis
    venv/bin/edgekit doctor
    venv/bin/python -m pytest -q -p no:cacheprovider -k 'not the_build_makes and not of_use_numpy' \
        tests/runtime/test_native.py tests/runtime/test_decode.py tests/runtime/test_selection.py \
        tests/linking/tracks/test_compiled.py"

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
