#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
# install-conf.sh FILE DIR: puts the file there, unless there is one: that is the operator's.
set -eu
to=${DESTDIR:-}$2/$(basename "$1")
mkdir -p "${to%/*}"
[ -e "$to" ] || install -m 644 "$1" "$to"
