#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
# install-hooks.sh HOOKDIR HOOK: puts copies of the installed hook where libvirt runs
# hooks from, for QEMU and for Xen.
set -eu
root=${DESTDIR:-}
for driver in qemu libxl; do
  mkdir -p "$root$1/$driver.d"
  install -m 755 "$root$2" "$root$1/$driver.d/cagma"
done
