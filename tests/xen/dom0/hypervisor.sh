# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=bash
# shellcheck disable=SC2034,SC2154 # for and from the other files
# What is Xen's alone: the connection's URI, and a domain's XML from the variables of domain_main.

LAB_DRIVER=xen

# Swap is zram, in the guest: a disk would need a block backend and its scripts in dom0.
domain_xml() {
    cat <<EOX
<domain type='xen'>
  <name>$name</name>
  <uuid>$(domain_uuid "$name")</uuid>
  <metadata>
$(domain_metadata)
  </metadata>
  <memory unit='MiB'>$memory</memory>
  <currentMemory unit='MiB'>$current</currentMemory>
  <vcpu>$vcpus</vcpu>
  <os>
    <type arch='x86_64' machine='xenpv'>linux</type>
    <kernel>$(readlink -f "$dir/image/vmlinuz")</kernel>
    <initrd>$(readlink -f "$dir/image/initramfs.cpio")</initrd>
    <cmdline>$(echo "console=hvc0 quiet mitigations=off panic=-1 $append" | xml_escape)</cmdline>
  </os>
  <on_poweroff>destroy</on_poweroff>
  <on_reboot>$on_reboot</on_reboot>
  <on_crash>destroy</on_crash>
  <devices><console type='pty'><target type='xen' port='0'/></console></devices>
</domain>
EOX
}

# It goes with its host, which has nothing else to do.
bed_down() { :; }
