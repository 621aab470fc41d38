#!/bin/sh
# Installs missing Debian packages: `packages.sh build`, `packages.sh release` or `packages.sh test`.
#
# "build" has the packages for a Python environment and the compiled kernels. "release" adds the compiler for
# 64-bit ARM. "test" also adds the programs that tests start: a browser, servers, a second OpenCV, an emulator. The script never asks and starts no service. If it cannot
# install a package, it prints one line and does not fail: tests without their package are skipped, and
# `.ci/run` fails on skips that are not listed.
set -u

build="gcc libc6-dev libgl1"
release="gcc-aarch64-linux-gnu libc6-dev-arm64-cross"
test="
    caddy chromium faketime ffmpeg iproute2 mosquitto nginx openssh-client openssh-server openssl
    qemu-user-static strace systemd xvfb
    gir1.2-gst-rtsp-server-1.0 gstreamer1.0-plugins-base gstreamer1.0-plugins-good
    gstreamer1.0-plugins-bad gstreamer1.0-plugins-ugly python3-gi python3-opencv
"

# Installs the packages as root, and prints the reason if apt fails.
install_packages() {
    export DEBIAN_FRONTEND=noninteractive
    log=$(mktemp)
    trap 'rm -f "$log" ${policy:-}' EXIT
    trap 'exit 130' INT TERM
    # Debian starts a server when it installs one, and here only the tests start any.
    if [ ! -e /usr/sbin/policy-rc.d ]; then
        policy=/usr/sbin/policy-rc.d
        printf '#!/bin/sh\nexit 101\n' >"$policy" && chmod 755 "$policy"
    fi
    apt="apt-get -q -y -o DPkg::Lock::Timeout=600 -o Acquire::Retries=2 -o Acquire::http::Timeout=60"
    $apt update >"$log" 2>&1
    if ! $apt install --no-install-recommends "$@" >>"$log" 2>&1; then
        # An unknown package must not stop the installation of the others.
        for each in "$@"; do
            $apt install --no-install-recommends "$each" >>"$log" 2>&1
        done
    fi
    for each in caddy mosquitto nginx openssh-server; do
        case " $* " in
            *" $each "*) systemctl disable --now "$(echo "$each" | sed 's/^openssh-server$/ssh/')" >/dev/null 2>&1 ;;
        esac
    done
    sed -n 's/^E: //p' "$log" | sort -u | head -n 1
}

is_installed() {
    [ "$(dpkg-query -W -f='${db:Status-Status}' "$1" 2>/dev/null)" = installed ]
}

missing_packages() {
    # Another Python may bring its own venv, and newer Debians rename GLib's package.
    "${PYTHON:-python3}" -c 'import ensurepip, venv' 2>/dev/null || printf ' python3-venv'
    ldconfig -p 2>/dev/null | grep -q 'libgthread-2\.0\.so\.0' || printf ' libglib2.0-0'
    for each in "$@"; do
        is_installed "$each" || printf ' %s' "$each"
    done
}

case ${1:-} in
    install) shift && install_packages "$@" && exit ;;
    build) wanted=$build ;;
    release) wanted="$build $release" ;;
    test) wanted="$build $release $test" ;;
    *) echo "usage: $0 build|release|test" >&2 && exit 2 ;;
esac

PATH=$PATH:/usr/sbin:/sbin
if ! command -v dpkg-query >/dev/null || ! command -v apt-get >/dev/null; then
    echo "Not installed: $(echo $wanted), because there is no apt here. Tests that need them are skipped."
    exit 0
fi
missing=$(missing_packages $wanted)
[ -n "$missing" ] || exit 0
if [ "$(id -u)" = 0 ]; then
    as_root=""
elif sudo -n true 2>/dev/null; then
    as_root="sudo -n"
else
    echo "Not installed:$missing, because this is neither root nor sudo without a password." \
        "Tests that need them are skipped. Run: sudo apt-get install --no-install-recommends$missing"
    exit 0
fi
echo "Installing Debian packages:$missing"
reason=$($as_root sh "$0" install $missing)
missing=$(missing_packages $wanted)
if [ -n "$missing" ]; then
    echo "Not installed:$missing, because apt-get says: ${reason:-nothing}." \
        "Tests that need them are skipped."
fi
