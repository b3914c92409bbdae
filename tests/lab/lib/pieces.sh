# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=bash
# What root file systems are put together from: Debian packages, programs, kernel modules.

# package_archives PACKAGE…: the archives' file names, which contain the versions; needs no network.
package_archives() {
    apt-get -qq --print-uris download "$@" | cut -d' ' -f2
}

# unpack_packages DEBS SYSROOT PACKAGE…: downloads to DEBS what isn't there yet; nothing is installed.
unpack_packages() {
    local debs=$1 sysroot=$2 archive archives missing=()
    shift 2
    archives=$(package_archives "$@")
    mkdir -p "$debs" "$sysroot"
    for archive in $archives; do
        [[ -s $debs/$archive ]] || missing+=("${archive%%_*}")
    done
    if ((${#missing[@]})); then
        (cd "$debs" && apt-get -qq -o APT::Sandbox::User=root download "${missing[@]}")
    fi
    for archive in $archives; do
        dpkg-deb -x "$debs/$archive" "$sysroot"
    done
}

# add_file SYSROOT FILE ROOT PATH: copies a file, and the shared libraries if it is a program linked to any. The
# packages unpacked for it come first, so that there is one version of each.
add_file() {
    local sysroot=$1 file=$2 root=$3 target=$3$4 library
    install -D -m "$(stat -c %a "$file")" "$file" "$target"
    for library in $(needed_libraries "$sysroot" "$file"); do
        case $library in
            /lib64/*) cp -L "$library" "${root:?}/lib64/" ;;
            *) cp -L "$library" "${root:?}/lib/x86_64-linux-gnu/" ;;
        esac
    done
}

needed_libraries() {
    local path=$1/usr/lib/x86_64-linux-gnu:$1/lib/x86_64-linux-gnu listing
    listing=$(LD_LIBRARY_PATH=$path ldd "$2" 2>/dev/null) || return 0 # static, or no program
    ! grep 'not found' <<<"$listing" >&2 || die "$2: libraries are missing"
    awk '$2 == "=>" { print $3 } $1 ~ /^\/lib64/ { print $1 }' <<<"$listing"
}

# populate_modules ROOT TOP VERSION MODULE…: from TOP/lib/modules, with the order in which init has to insert them.
populate_modules() {
    local root=$1 top=$2 version=$3 module
    shift 3
    mkdir -p "$root/lib/modules"
    for module; do
        modprobe -d "$top" -S "$version" --show-depends "$module"
    done | awk '$1 == "insmod" && !seen[$2]++ { print $2 }' |
        while read -r module; do
            cp "$module" "$root/lib/modules/"
            echo "/lib/modules/${module##*/}"
        done >"$root/lib/modules/order"
    [[ $(wc -l <"$root/lib/modules/order") -ge $# ]] ||
        die "kernel modules for $version are missing: $*"
}

# pack_initramfs ROOT FILE
pack_initramfs() {
    (cd "$1" && find . | LC_ALL=C sort | cpio -o -H newc --quiet -R 0:0) >"$2"
}
