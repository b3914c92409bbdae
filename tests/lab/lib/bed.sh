# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=bash
# A bed: libvirtd in a mount namespace where libvirt's five directories are those of DIR.
# From outside it is reached through its socket in DIR.
#
# What belongs to a bed is told by the namespace, not by pid files: a process whose
# /run/libvirt is DIR/run. That holds for libvirtd, every QEMU (also one that
# outlived its libvirtd) and running hooks, whatever became of `lab up`. A zombie has no
# namespace any more and counts as gone: not every container's process 1 reaps.

# Debug messages of libvirt-domain.c: one line per domain API call, with name and arguments.
DEFAULT_LOG_FILTERS='1:libvirt.domain'

START_TIMEOUT_S=60    # a cold start probes QEMU: 7 s here, more on a loaded machine
DESTROY_TIMEOUT_S=15  # libvirt itself takes up to 15 s for one QEMU that resists
END_TIMEOUT_S=30      # from SIGTERM to SIGKILL
LOCK_TIMEOUT_S=20     # setting up the namespace takes milliseconds

UNIX_PATH_MAX=107     # sockaddr_un, less the terminating 0

bed_directory() {
    (($# >= 1)) || die "DIR is missing"
    [[ -d $1 ]] || die "$1: no such directory"
    readlink -f "$1"
}

bed_uri() {
    local dir
    dir=$(bed_directory "$@")
    echo "$LAB_DRIVER+unix:///system?socket=$dir/run/libvirt-sock"
}

bed_up() {
    (($# >= 1)) || die "up: DIR is missing"
    local dir=$1 cache=$DEFAULT_CACHE filters=$DEFAULT_LOG_FILTERS
    shift
    while (($#)); do
        need_value "$@"
        case $1 in
            --cache) cache=$2 ;;
            --log-filters) filters=$2 ;;
            *) die "up: unknown option $1" ;;
        esac
        shift 2
    done
    mkdir -p "$dir" "$cache"
    dir=$(readlink -f "$dir")
    cache=$(readlink -f "$cache")
    local socket=$dir/run/libvirt-sock
    [[ $socket =~ ^[A-Za-z0-9/._+-]+$ ]] || die "$dir: give a path of letters, digits and ._+- only"
    ((${#socket} <= UNIX_PATH_MAX)) || die "$dir: too long for a unix socket below it"

    bed_prepare "$dir" "$cache" "$filters"
    bed_start "$dir"
    bed_save_capabilities "$dir" "$cache"
    bed_uri "$dir"
}

bed_prepare() {
    local dir=$1 cache=$2 filters=$3
    mkdir -p "$dir"/{etc/hooks,run,lib,log,cache/qemu,disks,console}
    ln -sfn "$cache" "$dir/image"
    cat >"$dir/etc/libvirtd.conf" <<EOT
auth_unix_ro = "none"
auth_unix_rw = "none"
unix_sock_group = "root"
unix_sock_rw_perms = "0770"
log_level = 3
log_filters = "$filters"
log_outputs = "1:file:/var/log/libvirt/libvirtd.log"
EOT
    cat >"$dir/etc/qemu.conf" <<EOT
user = "root"
group = "root"
dynamic_ownership = 0
remember_owner = 0
security_driver = "none"
seccomp_sandbox = 0
cgroup_controllers = [ ]
namespaces = [ ]
stdio_handler = "file"
EOT
    # libvirt checks each entry against QEMU's and its own binary: copying is safe.
    if [[ -d $cache/capabilities && ! -d $dir/cache/qemu/capabilities ]]; then
        cp -a "$cache/capabilities" "$dir/cache/qemu/"
    fi
}

bed_start() {
    local dir=$1
    bed_launch "$dir"
    await "$START_TIMEOUT_S" bed_answers_or_died "$dir" || die "libvirtd does not answer, see $dir/log"
    bed_answers "$dir" || die "libvirtd has died: $(tail -n3 "$dir/log/libvirtd.out")"
}

# The lock passes to the child, which drops it when it execs libvirtd. Whoever gets it
# afterwards sees a process that is recognizably of this bed, even if we are killed now.
bed_launch() {
    local dir=$1
    exec 9>"$dir/lock"
    flock -w "$LOCK_TIMEOUT_S" 9 || die "$dir is being started or ended by another process"
    [[ -z $(bed_libvirtd "$dir") ]] || die "$dir: libvirtd is already running"
    # A clean environment: what a test sets for itself must not change libvirtd, QEMU or hooks.
    env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C.UTF-8 \
        setsid unshare --mount --propagation private "$SELF" run-libvirtd "$dir" \
        </dev/null >>"$dir/log/libvirtd.out" 2>&1 &
    exec 9>&-
    # Until it has closed the lock too, the child is not yet libvirtd.
    exec 9>"$dir/lock"
    flock -w "$LOCK_TIMEOUT_S" 9 || die "cannot set up the mount namespace of $dir"
    exec 9>&-
}

bed_run_libvirtd() {
    local dir=$1 pair
    for pair in run:/run etc:/etc lib:/var/lib log:/var/log cache:/var/cache; do
        mkdir -p "${pair#*:}/libvirt"
        mount --bind "$dir/${pair%%:*}" "${pair#*:}/libvirt"
    done
    cd /
    exec libvirtd --pid-file /run/libvirt/libvirtd.pid 9>&-
}

bed_answers() {
    timeout "$START_TIMEOUT_S" setsid -w virsh -q -c "$(bed_uri "$1")" capabilities >/dev/null 2>&1
}

bed_answers_or_died() {
    bed_answers "$1" || [[ -z $(bed_processes "$1") ]]
}

bed_save_capabilities() {
    local dir=$1 cache=$2 fresh
    [[ ! -d $cache/capabilities && -d $dir/cache/qemu/capabilities ]] || return 0
    fresh=$(mktemp -d "$cache/capabilities.XXXXXX")
    cp -a "$dir/cache/qemu/capabilities/." "$fresh"
    # Another bed may have been faster: then ours is superfluous.
    mv -T "$fresh" "$cache/capabilities" 2>/dev/null || rm -rf "$fresh"
}

# Process ids of everything that runs in the bed.
bed_processes() {
    local dir=$1 process
    for process in /proc/[0-9]*; do
        if [[ $process/root/run/libvirt -ef $dir/run ]]; then
            echo "${process#/proc/}"
        fi
    done
}

bed_has_process() {
    [[ -n $2 && /proc/$2/root/run/libvirt -ef $1/run ]]
}

bed_lacks_process() {
    ! bed_has_process "$@"
}

bed_is_empty() {
    [[ -z $(bed_processes "$1") ]]
}

bed_libvirtd() {
    local dir=$1 pid
    for pid in $(bed_processes "$dir"); do
        if [[ $(readlink "/proc/$pid/exe") == */libvirtd && $(<"$dir/run/libvirtd.pid") == "$pid" ]]; then
            echo "$pid"
        fi
    done 2>/dev/null # a process may end, and the pid file come, while we look
}

bed_pid() {
    local dir pid
    dir=$(bed_directory "$@")
    if (($# < 2)); then
        pid=$(bed_libvirtd "$dir")
    else
        pid=$(cat "$dir/run/qemu/$2.pid" 2>/dev/null) || true
    fi
    bed_has_process "$dir" "$pid" || die "${2:-libvirtd} is not running in $dir"
    echo "$pid"
}

bed_restart() {
    local dir pid
    dir=$(bed_directory "$@")
    pid=$(bed_pid "$dir")
    signal TERM "$pid"
    await "$END_TIMEOUT_S" bed_lacks_process "$dir" "$pid" || signal KILL "$pid"
    await "$END_TIMEOUT_S" bed_lacks_process "$dir" "$pid" || die "libvirtd $pid does not end"
    bed_start "$dir"
}

bed_down() {
    local dir started_ms
    dir=$(bed_directory "$@")
    [[ -d $dir/run ]] || die "$dir is not a bed"
    started_ms=$(now_ms)
    exec 9>"$dir/lock"
    flock -w "$LOCK_TIMEOUT_S" 9 || echo "lab: $dir: a start is under way; ending it" >&2

    local -a before killed=()
    mapfile -t before < <(bed_processes "$dir")
    if ((${#before[@]})); then
        signal CONT "${before[@]}" # a stopped process would sit out every timeout
        bed_destroy_domains "$dir"
        bed_end_processes "$dir"
    fi
    exec 9>&-
    echo "$dir: ${#before[@]} processes ended, ${#killed[@]} by SIGKILL, in $(($(now_ms) - started_ms)) ms"
}

# In an orderly way as far as libvirtd still answers: clients get their events, hooks run.
# All at once, as libvirt needs 1.5 s for each.
bed_destroy_domains() {
    local uri
    uri=$(bed_uri "$1")
    [[ -n $(bed_libvirtd "$1") ]] || return 0
    timeout "$DESTROY_TIMEOUT_S" bash -c '
        for uuid in $(setsid -w virsh -q -c "$1" list --uuid); do setsid -w virsh -q -c "$1" destroy "$uuid" & done; wait' \
        - "$uri" >/dev/null 2>&1 9>&- || echo "lab: libvirtd did not destroy all domains in time" >&2
}

# Fills the caller's array `killed`.
bed_end_processes() {
    local dir=$1 left
    mapfile -t left < <(bed_processes "$dir")
    signal TERM "${left[@]}"
    await "$END_TIMEOUT_S" bed_is_empty "$dir" && return
    mapfile -t killed < <(bed_processes "$dir")
    signal KILL "${killed[@]}"
    await "$END_TIMEOUT_S" bed_is_empty "$dir" ||
        die "$dir: still running: $(bed_processes "$dir" | tr '\n' ' ')"
}

# Sends to each process by its id; one that has just ended is no error.
signal() {
    local name=$1 pid
    shift
    for pid; do
        kill -s "$name" "$pid" 2>/dev/null || true
    done
}
