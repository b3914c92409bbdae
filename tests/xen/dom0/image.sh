# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=bash

image_main() {
    : # the guests' kernel and initramfs came with dom0
}
