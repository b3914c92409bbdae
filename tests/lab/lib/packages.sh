# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=bash
# What of Debian 12 each part needs. Sourced by plugin/demo and tests/run.

# shellcheck disable=SC2034 # used by those who source this
PACKAGES_BUILD="meson ninja-build pkg-config gcc libc6-dev libglib2.0-dev libglib2.0-dev-bin libvirt-dev libxml2-dev zlib1g-dev
    libjson-glib-dev"
# shellcheck disable=SC2034
PACKAGES_LAB="libvirt-daemon-system libvirt-daemon libvirt-daemon-driver-qemu libvirt-clients qemu-system-x86 qemu-utils
    linux-image-cloud-amd64 busybox-static cpio kmod gcc libc6-dev iproute2 procps psmisc util-linux"
# shellcheck disable=SC2034
PACKAGES_XEN="libxen-dev libvirt-daemon-driver-xen e2fsprogs"
# shellcheck disable=SC2034
PACKAGES_TESTS="libxml2-utils python3 clang libclang-rt-14-dev clang-format clang-tidy cppcheck valgrind xsltproc
    python3-docutils python3-jsonschema shellcheck qemu-guest-agent"

missing_packages() {
    local package
    for package; do
        [[ $(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null) == installed ]] || echo "$package"
    done
}

# install_packages LOG PACKAGE…: what isn't there yet, quietly; LOG tells more.
install_packages() {
    local log=$1 missing
    shift
    missing=$(missing_packages "$@" | sort -u | tr '\n' ' ')
    [[ -n $missing ]] || return 0
    echo "installing: $missing"
    # shellcheck disable=SC2086 # a list
    # What an interrupted run left half done keeps apt from doing anything.
    if ! { DEBIAN_FRONTEND=noninteractive dpkg --configure -a && apt-get -q update && DEBIAN_FRONTEND=noninteractive apt-get -q -y install --no-install-recommends $missing; } \
        >"$log" 2>&1 </dev/null; then
        tail -n 20 "$log" >&2
        echo "the packages above could not be installed; $log has it all" >&2
        return 1
    fi
}
