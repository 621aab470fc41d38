#!/usr/bin/env bash
# Lets this machine's kernel start programs for 64-bit ARM, also in other roots and in containers. As root.
set -euo pipefail
qemu=$(command -v qemu-aarch64-static) || {
    echo "Expected the command qemu-aarch64-static; it is not installed. Run: apt-get install qemu-user-static" >&2
    exit 4
}
folder=/proc/sys/fs/binfmt_misc
[ -e $folder/register ] || mount -t binfmt_misc binfmt_misc $folder
[ ! -e $folder/qemu-aarch64 ] || exit 0
magic='\x7fELF\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\xb7\x00'
mask='\xff\xff\xff\xff\xff\xff\xff\x00\xff\xff\xff\xff\xff\xff\xff\xff\xfe\xff\xff\xff'
# The flag F keeps the interpreter open, so that it need not lie in the other root.
printf '%s' ":qemu-aarch64:M::$magic:$mask:$qemu:F" >$folder/register
