# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=bash
# Xen, dom0's kernel and root, the guests' initramfs: all from Debian packages, this machine's own libvirt and the
# programs under test. Xen's packages are only downloaded and unpacked: installed, they would change what this
# machine boots.

XEN_VERSION=4.17
XEN_BIN=/usr/lib/xen-$XEN_VERSION/bin

DOM0_MODULES=(virtio_pci virtio_blk crc32c_generic ext4 xen-evtchn xen-gntdev xen-gntalloc xen-privcmd xenfs)
GUEST_MODULES=(zram)

# What dom0's libvirt, its scripts and the tests call, of this machine. busybox's timeout and env would run applets of
# its own, which don't know all the options.
DOM0_PROGRAMS=(/bin/bash /usr/sbin/libvirtd /usr/bin/virsh /usr/bin/{unshare,setsid,flock,timeout,env}
    /usr/lib/x86_64-linux-gnu/libvirt/connection-driver/libvirt_driver_libxl.so)
XEN_PROGRAMS=("$XEN_BIN"/{xenstored,xenconsoled,xen-init-dom0,libxl-save-helper} /usr/bin/xenstore)

kernel_package() {
    apt-cache depends linux-image-amd64 | sed -n 's/.*Depends: //p' | head -n1
}

xen_packages() {
    echo "xen-hypervisor-$XEN_VERSION-amd64" "xen-utils-$XEN_VERSION" xenstore-utils busybox-static
    kernel_package # the cloud kernel has no dom0 support
}

# image_main CACHEDIR [FILE:/PATH…]: the programs under test; those below /guest go into the guests.
image_main() {
    local cache=$1 stamp lock
    shift
    mkdir -p "$cache"
    exec {lock}>"$cache/lock"
    flock "$lock"
    stamp=$(image_stamp "$@")
    if [[ ! -e $cache/stamp || $(<"$cache/stamp") != "$stamp" ]]; then
        image_build "$cache" "$stamp" "$@" {lock}>&-
    fi
    exec {lock}>&-
}

# A hash of everything that goes in.
image_stamp() {
    local addition
    {
        find "$XEN_HERE"/{lib,dom0,guest} "$LAB_HERE"/{lib,lab,guest/work.c} -type f -exec cat {} +
        # shellcheck disable=SC2046 # a list
        package_archives $(xen_packages)
        stat -c '%n %Y' "${DOM0_PROGRAMS[@]}"
        for addition; do
            echo "${addition#*:/}"
            cat "${addition%%:/*}"
        done
    } | sha256sum | cut -d' ' -f1
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
    local sysroot=$build/sysroot root=$build/root kernel

    # shellcheck disable=SC2046 # a list
    unpack_packages "$cache/debs" "$sysroot" $(xen_packages)
    kernel=$(ls "$sysroot/lib/modules")
    depmod -b "$sysroot" "$kernel"
    gunzip -c "$sysroot/boot/xen-$XEN_VERSION-amd64.gz" >"$build/xen"
    "$XEN_HERE/lib/unpack-kernel" "$sysroot/boot/vmlinuz-$kernel" "$build/vmlinux"
    build_boot "$sysroot" "$kernel" "$build/boot" "$build/boot.cpio"
    build_guest "$sysroot" "$kernel" "$build/guest" "$@"
    build_dom0 "$sysroot" "$root" "$@"
    mkdir "$root/boot"
    cp "$build/vmlinux" "$root/boot/vmlinuz" # the lab's name for it
    pack_initramfs "$build/guest" "$root/boot/initramfs.cpio"
    truncate -s "$(($(du -sm "$root" | cut -f1) + 96))M" "$build/root.ext4"
    mkfs.ext4 -q -F -O ^has_journal -E lazy_itable_init=1 -d "$root" "$build/root.ext4"

    rm -f "$cache/stamp"
    mv "$build"/{xen,vmlinux,boot.cpio,root.ext4} "$cache/"
    echo "$stamp" >"$cache/stamp"
)

populate_busybox() {
    local sysroot=$1 root=$2 applet
    mkdir -p "$root"/{bin,dev,etc,lib64,lib/x86_64-linux-gnu,proc,root,run,sbin,sys,tmp,usr/bin,usr/sbin,var}
    cp "$sysroot/bin/busybox" "$root/bin/busybox"
    for applet in $("$root/bin/busybox" --list); do
        ln -s busybox "$root/bin/$applet" 2>/dev/null || true # busybox itself is there
    done
}

# Finds the disk dom0's root is on.
build_boot() {
    local sysroot=$1 kernel=$2 boot=$3
    populate_busybox "$sysroot" "$boot"
    populate_modules "$boot" "$sysroot" "$kernel" "${DOM0_MODULES[@]}"
    install -m 755 "$XEN_HERE/dom0/boot-init" "$boot/init"
    pack_initramfs "$boot" "$4"
}

build_guest() {
    local sysroot=$1 kernel=$2 guest=$3 addition
    shift 3
    populate_busybox "$sysroot" "$guest"
    populate_modules "$guest" "$sysroot" "$kernel" "${GUEST_MODULES[@]}"
    install -m 755 "$XEN_HERE/guest/init" "$guest/init"
    install -m 755 "$XEN_HERE/guest/end" "$guest/sbin/poweroff"
    install -m 755 "$XEN_HERE/guest/end" "$guest/sbin/reboot"
    compile_static "$LAB_HERE/guest/work.c" "$guest/bin/work" -DRANDOM_BYTES=512
    compile_static "$XEN_HERE/guest/errand.c" "$guest/bin/errand"
    for addition; do
        [[ $addition != *:/guest/* ]] || add_file "$sysroot" "${addition%%:/*}" "$guest" "/${addition#*:/guest/}"
    done
}

# compile_static SOURCE PROGRAM [OPTION…]
compile_static() {
    gcc -std=c11 -O2 -Wall -Wextra -Wpedantic -static -s "${@:3}" -o "$2" "$1"
}

build_dom0() {
    local sysroot=$1 root=$2 program addition
    shift 2
    populate_busybox "$sysroot" "$root"
    mkdir -p "$root"/{lab/lib,usr/share/libvirt,var/log/xen,var/lib/xen,etc/libvirt,var/lib/libvirt,var/cache/libvirt,var/log/libvirt}
    ln -s /run "$root/var/run"
    for program in "${DOM0_PROGRAMS[@]}"; do
        [[ -e $program ]] || die "$program is missing"
        rm -f "$root$program" # busybox has one of this name
        add_file "$sysroot" "$program" "$root" "$program"
    done
    for program in "${XEN_PROGRAMS[@]}"; do
        add_file "$sysroot" "$sysroot$program" "$root" "$program"
    done
    for program in "$sysroot"/usr/bin/xenstore-*; do
        ln -s xenstore "$root/usr/bin/${program##*/}"
    done
    for addition; do
        [[ $addition == *:/guest/* ]] || add_file "$sysroot" "${addition%%:/*}" "$root" "/${addition#*:/}"
    done
    cp -r /usr/share/libvirt/cpu_map "$root/usr/share/libvirt/"
    mkdir -p "$root/usr/lib/locale"
    cp -r /usr/lib/locale/C.utf8 "$root/usr/lib/locale/"
    populate_lab "$root"
    install -m 755 "$XEN_HERE/dom0/init" "$root/sbin/init"
    populate_etc "$root/etc"
}

# The same lab as for QEMU, with Xen's part in place of QEMU's.
populate_lab() {
    install -m 755 "$LAB_HERE/lab" "$XEN_HERE/dom0/guestctl" "$1/lab/"
    cp "$LAB_HERE"/lib/{common,pieces,bed,domain}.sh "$XEN_HERE"/dom0/{image,hypervisor}.sh "$1/lab/lib/"
}

populate_etc() {
    echo 'root:x:0:0::/root:/bin/sh' >"$1/passwd"
    printf 'root:x:0:\nlibvirt:x:100:\n' >"$1/group"
    printf 'passwd: files\ngroup: files\nhosts: files\n' >"$1/nsswitch.conf"
    echo '127.0.0.1 localhost dom0' >"$1/hosts"
    # libvirt finds none in this machine's firmware.
    echo 'host_uuid = "5e0c7a1e-1111-4222-8333-0123456789ab"' >"$1/libvirt/libvirtd.conf"
}
