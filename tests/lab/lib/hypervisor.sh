# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=bash
# shellcheck disable=SC2034,SC2154 # for and from the other files
# What is QEMU's alone: the connection's URI, and a domain's XML from the variables of domain_main.
# tests/xen has Xen's in a file of this name.

LAB_DRIVER=qemu

domain_xml() {
    domain_head
    echo "  <devices>"
    echo "    <emulator>/usr/bin/qemu-system-x86_64</emulator>"
    domain_disk swap "$swap" vda "$iops"
    domain_disk data "$data" vdb ''
    echo "    <controller type='usb' model='none'/>"
    echo "    <controller type='virtio-serial' index='0'/>"
    echo "    <serial type='file'><source path='$dir/console/$name'/></serial>"
    domain_channels
    domain_balloon
    echo "  </devices>"
    echo "</domain>"
}

domain_head() {
    cat <<EOT
<domain type='qemu'>
  <name>$name</name>
  <uuid>$(domain_uuid "$name")</uuid>
  <metadata>
$(domain_metadata)
  </metadata>
  <memory unit='MiB'>$memory</memory>
  <currentMemory unit='MiB'>$current</currentMemory>
  <vcpu>$vcpus</vcpu>
  <os>
    <type arch='x86_64' machine='pc'>hvm</type>
    <kernel>$(readlink -f "$dir/image/vmlinuz")</kernel>
    <initrd>$(readlink -f "$dir/image/initramfs.cpio")</initrd>
    <cmdline>$(domain_kernel_arguments | xml_escape)</cmdline>
  </os>
  <features><acpi/></features>
  <cpu mode='custom' match='exact'><model fallback='allow'>qemu64</model></cpu>
  <on_poweroff>destroy</on_poweroff>
  <on_reboot>$on_reboot</on_reboot>
  <on_crash>destroy</on_crash>
EOT
}

# panic=-1: a guest that panics reboots at once, and does not sit there looking idle.
domain_kernel_arguments() {
    local words=(console=ttyS0 quiet panic=-1)
    [[ $driver == yes ]] || words+=(cagma.balloon=off)
    echo "${words[*]}${append:+ $append}"
}

# The serial tells the guest which disk is which: /dev/swap and /dev/data.
domain_disk() {
    local role=$1 mib=$2 target=$3 iops=$4 file=$dir/disks/$name.$1
    ((mib > 0)) || return 0
    truncate -s "${mib}M" "$file"
    if [[ -n $nbd ]]; then
        echo "    <disk type='network' device='disk'>"
        echo "      <driver name='qemu' type='raw' cache='unsafe'/>"
        echo "      <source protocol='nbd' name='$name.$role'><host transport='unix' socket='$nbd'/></source>"
    else
        echo "    <disk type='file' device='disk'>"
        echo "      <driver name='qemu' type='raw' cache='unsafe' discard='unmap'/>"
        echo "      <source file='$file'/>"
    fi
    echo "      <target dev='$target' bus='virtio'/>"
    [[ -z $iops ]] || echo "      <iotune><total_iops_sec>$iops</total_iops_sec></iotune>"
    echo "      <serial>$role</serial>"
    echo "    </disk>"
}

domain_channels() {
    local port ports=(org.qemu.guest_agent.0)
    [[ $channel == no ]] || ports+=(org.cagma.guest.0)
    for port in "${ports[@]}"; do
        echo "    <channel type='unix'><source mode='bind'/><target type='virtio' name='$port'/></channel>"
    done
    for port in "${extra_ports[@]}"; do
        echo "    <channel type='unix'><source mode='bind' path='${port#*=}'/><target type='virtio' name='${port%%=*}'/></channel>"
    done
}

domain_balloon() {
    if [[ $balloon == none ]]; then
        echo "    <memballoon model='none'/>"
        return
    fi
    echo "    <memballoon model='virtio' autodeflate='$autodeflate' freePageReporting='$fpr'>"
    [[ $stats == none ]] || echo "      <stats period='$stats'/>"
    echo "    </memballoon>"
}
