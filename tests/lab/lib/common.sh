# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=bash
# What all parts of the lab use.

die() {
    echo "lab: $*" >&2
    exit 1
}

# await SECONDS COMMAND…: true as soon as COMMAND is, false when it was not within SECONDS.
await() {
    local deadline_ms=$(($(now_ms) + $1 * 1000))
    shift
    until "$@"; do
        (($(now_ms) < deadline_ms)) || return 1
        sleep 0.05
    done
}

now_ms() {
    echo $((${EPOCHREALTIME/[.,]/} / 1000))
}

# An option's value: need_value --name "$@" with "$@" still holding the option itself.
need_value() {
    (($# >= 2)) || die "$1 needs a value"
}

need_number() {
    [[ $2 =~ ^[0-9]+$ ]] || die "$1: '$2' is not a whole number"
}

need_one_of() {
    local option=$1 value=$2 choice
    shift 2
    for choice; do
        [[ $value != "$choice" ]] || return 0
    done
    die "$option: '$value' is not one of: $*"
}
