# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=bash
# Domain XML for a guest of the lab.

domain_main() {
    (($# >= 2)) || die "domain: DIR and NAME are missing"
    local dir name=$2
    dir=$(bed_directory "$1")
    shift 2
    [[ $name =~ ^[A-Za-z0-9][A-Za-z0-9._-]*$ ]] || die "domain: '$name' is not a plain name"

    local current='' memory='' guarantee='' limit='' metadata='' autodeflate=on fpr=on stats=1
    local balloon=virtio driver=yes swap=512 iops='' data=0 vcpus=1 append='' channel=no on_reboot=restart
    domain_options "$@"
    [[ -n $current && -n $memory ]] || die "domain: --current and --memory are needed"
    [[ -s $dir/image/vmlinuz && -s $dir/image/initramfs.cpio ]] ||
        die "no image: run 'lab image $(readlink -m "$dir/image")'"
    domain_xml
}

# Sets the variables of domain_main.
domain_options() {
    while (($#)); do
        case $1 in
            --no-balloon) balloon=none ;;
            --no-driver) driver=no ;;
            --channel) channel=yes ;;
            *)
                need_value "$@"
                domain_valued_option "$1" "$2"
                shift
                ;;
        esac
        shift
    done
}

domain_valued_option() {
    local option=$1 value=$2
    case $option in
        --current | --memory | --guarantee | --limit | --swap | --iops | --data | --vcpus)
            need_number "$option" "$value"
            printf -v "${option#--}" %s "$value"
            ;;
        --autodeflate | --fpr)
            need_one_of "$option" "$value" on off
            printf -v "${option#--}" %s "$value"
            ;;
        --on-reboot)
            need_one_of "$option" "$value" restart destroy
            on_reboot=$value
            ;;
        --stats)
            [[ $value == none ]] || need_number "$option" "$value"
            stats=$value
            ;;
        --metadata) metadata=$value ;;
        --append) append=$value ;;
        *) die "domain: unknown option $option" ;;
    esac
}

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

# The same for a name at every time, so that a domain can be defined anew.
domain_uuid() {
    printf 'cagma-lab-%s' "$1" | md5sum | sed -E 's/^(.{8})(.{4})(.{4})(.{4})(.{12}).*/\1-\2-\3-\4-\5/'
}

domain_metadata() {
    if [[ -n $guarantee$limit ]]; then
        echo "    <cagma:memory xmlns:cagma='urn:cagma:memory:1' mode='enforce'>"
        [[ -z $guarantee ]] || echo "      <cagma:guarantee unit='MiB'>$guarantee</cagma:guarantee>"
        [[ -z $limit ]] || echo "      <cagma:limit unit='MiB'>$limit</cagma:limit>"
        echo "    </cagma:memory>"
    fi
    [[ -z $metadata ]] || echo "    $metadata"
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
    echo "    <disk type='file' device='disk'>"
    echo "      <driver name='qemu' type='raw' cache='unsafe' discard='unmap'/>"
    echo "      <source file='$file'/>"
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

xml_escape() {
    sed -e 's/&/\&amp;/g' -e 's/</\&lt;/g' -e 's/>/\&gt;/g'
}
