#!/usr/bin/env bash
# Builds and runs the container image: `make container`, as root, on Debian with a network. Not part of `make test`.
#
# ARCH is x86_64 or aarch64; for the processor that is not this machine's, everything runs in an emulator.
# It needs podman, runc and mmdebstrap, and for the other processor qemu-user-static. The base image is made
# from Debian's packages, and the wheels are fetched here, so that no registry of images is needed.
set -euo pipefail
repo=$(cd "$(dirname "$0")/../.." && pwd)
python=$repo/.venv/bin/python
arch=${ARCH:-$(uname -m)}  # an empty ARCH is none
work=${WORK:-/var/tmp/edgekit-container}/$arch
release=bookworm
declare -A debian=([x86_64]=amd64 [aarch64]=arm64)
platform=linux/${debian[$arch]}
image=localhost/edgekit:$arch base=localhost/debian:$release-$arch
# Hosts that limit the number of open files let no container raise it.
limits=(--ulimit "nofile=1024:1024" --ulimit "nproc=1024:1024")
podman=(podman --runtime runc)

for each in podman runc mmdebstrap; do
    command -v "$each" >/dev/null && continue
    echo "Expected the command $each; it is not installed. Run: apt-get install --no-install-recommends podman buildah runc mmdebstrap" >&2
    exit 4
done
[ "$(id -u)" = 0 ] || { echo "podman needs root here. Run: sudo make container" >&2; exit 2; }
[ "$arch" = "$(uname -m)" ] || "$repo/tests/arm/emulate.sh"
rm -rf "$work" && mkdir -p "$work/context/dist" "$work/wheels"
trap '"${podman[@]}" rm -f -v -t 0 edgekit-test >/dev/null 2>&1 || true' EXIT

echo "== Base image"
# Without manuals and translations, like debian:bookworm-slim.
slim=(--dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-exclude=/usr/share/locale/*'
    --dpkgopt='path-exclude=/usr/share/man/*')
"${podman[@]}" image exists "$base" || mmdebstrap -q --variant=minbase "${slim[@]}" --arch="${debian[$arch]}" "$release" - |
    "${podman[@]}" import -q --os linux --arch "${debian[$arch]}" - "$base" >/dev/null

echo "== Image"
cd "$repo"
"$python" -m release.wheels "$arch" -o "$work/context/dist"
cp Dockerfile .dockerignore constraints.txt "$work/context"
tags=(--platform any --platform "linux_$arch")
for glibc in 17 24 26 27 28 31 34 35 36; do tags+=(--platform "manylinux_2_${glibc}_$arch"); done
"$python" -m pip download -q -d "$work/wheels" --only-binary=:all: --python-version 3.11 --implementation cp \
    --abi cp311 --abi abi3 --abi none "${tags[@]}" --platform "manylinux2014_$arch" -c constraints.txt \
    --find-links "$work/context/dist" "edgekit-vision[video,mqtt,serve,metrics,sign]" opencv-python-headless
# Only the format of Docker has a health check.
"${podman[@]}" build -q --format docker "${limits[@]}" --platform "$platform" --build-arg "BASE=$base" \
    --build-arg PIP_FIND_LINKS=/offline --build-arg PIP_NO_INDEX=1 -v "$work/wheels:/offline:ro" \
    -t "$image" "$work/context"

echo "== Rights"
run=("${podman[@]}" run "${limits[@]}" --platform "$platform" --read-only --cap-drop all
    --security-opt no-new-privileges --network none)
# /sys has the processor of this machine, and for another kind it crashes ONNX Runtime on some machines.
[ "$arch" = "$(uname -m)" ] || run+=(--security-opt mask=/sys/devices/system/cpu)
inside() { "${run[@]}" --rm --no-healthcheck --entrypoint "$1" "$image" "${@:2}"; }
expect() { [ "$2" = "$3" ] || { echo "Expected $1 to be '$2'; found '$3'." >&2; exit 5; }; }
# No machine has the same cameras, so that a device that is open to the group of cameras stands for one.
rm -f "$work/camera" && mknod -m 660 "$work/camera" c 1 3 && chgrp 44 "$work/camera"
"${run[@]}" -i --rm --no-healthcheck --device "$work/camera:/dev/video0" --entrypoint python "$image" - \
    <tests/rights_probe.py | "$python" tests/container/rights.py
expect "programs with the rights of others" "" "$(inside find / -xdev -type f -perm /6000)"
expect "OpenCV" "headless" "$(inside python -c 'import importlib.metadata as m, cv2; m.version("opencv-python-headless"); print("headless")')"
"${run[@]}" --rm --no-healthcheck "$image" doctor

echo "== Run"
"$python" -m edgekit.synthetic "$work/clip" --clips 1 --seed 161 --frames "${FRAMES:-1500}" >/dev/null
cat >"$work/edgekit.toml" <<'TOML'
source = "/clip/puppets-161.avi"
realtime = true
serve = "8080"
events = "events.jsonl"
TOML
chmod -R a+rX "$work/clip" "$work/edgekit.toml"
"${run[@]}" -d --name edgekit-test -v "$work/clip:/clip:ro" -v "$work/edgekit.toml:/etc/edgekit/edgekit.toml:ro" \
    "$image" >/dev/null
for _ in $(seq 120); do
    "${podman[@]}" healthcheck run edgekit-test >/dev/null 2>&1 && break
    sleep 1
done
"${podman[@]}" healthcheck run edgekit-test || { "${podman[@]}" logs edgekit-test >&2; exit 5; }
"${podman[@]}" stop -t 60 edgekit-test >/dev/null
expect "the status after SIGTERM" "130" "$("${podman[@]}" inspect -f '{{.State.ExitCode}}' edgekit-test)"
volume=$("${podman[@]}" inspect -f '{{range .Mounts}}{{if eq .Type "volume"}}{{.Source}}{{end}}{{end}}' edgekit-test)
expect "the last event" '"end"' "$(tail -n 1 "$volume/events.jsonl" | grep -o '"end"')"

size=$("${podman[@]}" image inspect -f '{{.Size}}' "$image")
echo "The image for $arch works. It takes $((size >> 20)) MiB."
