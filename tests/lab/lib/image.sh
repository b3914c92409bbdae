# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=bash
# The guest: the installed Debian kernel and an initramfs with busybox, the stock
# qemu-guest-agent and our workload. Nothing but Debian packages and guest/ goes in.

# Packages unpacked for the guest: the programs, and what qemu-ga is linked to.
GUEST_PACKAGES=(busybox-static qemu-guest-agent libglib2.0-0 libpcre2-8-0 libnuma1 libudev1 liburing2)

# The swap and data disks (also when they are nbd disks on the host's side), the balloon, the channels.
GUEST_MODULES=(virtio_pci virtio_blk virtio_balloon virtio_console)

image_main() {
    (($# >= 1)) || die "image: CACHEDIR is missing"
    local cache=$1 additions=()
    shift
    while (($#)); do
        case $1 in
            --add)
                need_value "$@"
                [[ $2 == *:/* && -f ${2%%:/*} ]] || die "--add $2: not FILE:/GUEST/PATH, or no such file"
                additions+=("$2")
                shift 2
                ;;
            *) die "image: unknown option $1" ;;
        esac
    done
    mkdir -p "$cache"
    cache=$(readlink -f "$cache")

    local lock
    exec {lock}>"$cache/lock"
    flock "$lock"
    local stamp
    stamp=$(image_stamp "${additions[@]}")
    if ! image_is_current "$cache" "$stamp"; then
        image_build "$cache" "$stamp" "${additions[@]}" {lock}>&-
    fi
    exec {lock}>&-
}

image_is_current() {
    [[ -s $1/vmlinuz && -s $1/initramfs.cpio && -e $1/stamp && $(<"$1/stamp") == "$2" ]]
}

# A hash of everything that goes into the image.
image_stamp() {
    local addition
    {
        cat "$HERE"/guest/* "$HERE"/lib/{image,pieces}.sh
        kernel_version
        package_archives "${GUEST_PACKAGES[@]}"
        for addition; do
            echo "${addition#*:/}"
            cat "${addition%%:/*}"
        done
    } | sha256sum | cut -d' ' -f1
}

kernel_version() {
    local newest
    newest=$(find /boot -name 'vmlinuz-*-cloud-amd64' -printf '%f\n' | sort -V | tail -n1)
    [[ -n $newest ]] || die "no kernel found: install linux-image-cloud-amd64"
    echo "${newest#vmlinuz-}"
}

# Builds aside and moves into place, so that a failure leaves what was there.
image_build() (
    local cache=$1 stamp=$2
    shift 2
    rm -rf "$cache"/build.* # left by a killed run; we hold the lock
    local build
    build=$(mktemp -d "$cache/build.XXXXXX")
    # shellcheck disable=SC2064 # expand now
    trap "rm -rf '$build'" EXIT
    local root=$build/root sysroot=$build/sysroot

    unpack_packages "$cache/debs" "$sysroot" "${GUEST_PACKAGES[@]}"
    populate_base "$sysroot" "$root"
    populate_modules "$root" / "$(kernel_version)" "${GUEST_MODULES[@]}"
    local addition
    for addition; do
        add_file "$sysroot" "${addition%%:/*}" "$root" "/${addition#*:/}"
    done
    pack_initramfs "$root" "$build/initramfs.cpio"
    cp "/boot/vmlinuz-$(kernel_version)" "$build/vmlinuz"

    rm -f "$cache/stamp"
    mv "$build/vmlinuz" "$build/initramfs.cpio" "$cache/"
    echo "$stamp" >"$cache/stamp"
)

populate_base() {
    local sysroot=$1 root=$2 applet program
    mkdir -p "$root"/{bin,dev,etc,lib64,lib/modules,lib/x86_64-linux-gnu,proc,run,sbin,sys,tmp,usr/bin,usr/sbin,var}
    ln -s ../run "$root/var/run"
    echo 'root:x:0:0::/:/bin/sh' >"$root/etc/passwd"
    echo 'root:x:0:' >"$root/etc/group"

    cp "$sysroot/bin/busybox" "$root/bin/busybox"
    for applet in $("$root/bin/busybox" --list); do
        ln -s busybox "$root/bin/$applet" 2>/dev/null || true # busybox itself is there
    done
    install -m 755 "$HERE/guest/init" "$root/init"
    install -m 755 "$HERE"/guest/{shutdown,name-ports} "$root/sbin/"
    for program in work flood; do
        gcc -std=c11 -O2 -Wall -Wextra -Wpedantic -static -s -o "$root/bin/$program" "$HERE/guest/$program.c"
    done
    add_file "$sysroot" "$sysroot/usr/sbin/qemu-ga" "$root" /usr/sbin/qemu-ga
}
