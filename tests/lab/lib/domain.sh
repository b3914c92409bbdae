# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=bash
# shellcheck disable=SC2034 # hypervisor.sh uses the options
# Domain XML for a guest of the lab.

domain_main() {
    (($# >= 2)) || die "domain: DIR and NAME are missing"
    local dir name=$2
    dir=$(bed_directory "$1")
    shift 2
    [[ $name =~ ^[A-Za-z0-9][A-Za-z0-9._-]*$ ]] || die "domain: '$name' is not a plain name"

    local current='' memory='' guarantee='' limit='' metadata='' autodeflate=on fpr=on stats=1
    local balloon=virtio driver=yes swap=512 iops='' data=0 vcpus=1 append='' channel=no on_reboot=restart
    local nbd='' extra_ports=()
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
        --nbd) nbd=$value ;;
        --port)
            [[ $value == [a-z]*=/* ]] || die "$option: '$value' is not NAME=SOCKET"
            extra_ports+=("$value")
            ;;
        *) die "domain: unknown option $option" ;;
    esac
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

xml_escape() {
    sed -e 's/&/\&amp;/g' -e 's/</\&lt;/g' -e 's/>/\&gt;/g'
}
