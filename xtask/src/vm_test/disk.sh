#!/bin/sh
# A disk with the files of `rootfs.sh`, configured as a host.
#
#   disk.sh ROOTFS DISK KEYS
#
# KEYS holds `client.pub` (who may log in as root) and `host`, `host.pub` (the host's own key). No loop device and no
# mount is needed: the file system is made inside the file. There is no boot loader yet; `machine.rs` starts the kernel
# itself once and lets the host install its own.
set -eu
rootfs=$1 disk=$2 keys=$3

# Of the disk, and where its second partition begins, in KiB.
size=8388608 start=2048

cd "$rootfs"
echo pve1 >etc/hostname
printf '127.0.0.1 localhost\n10.0.2.15 pve1.internal pve1\n' >etc/hosts
printf 'LABEL=root / ext4 errors=remount-ro 0 1\n' >etc/fstab

# One network card with the name that Proxmox VE 9 would pin, and its bridge.
mkdir -p etc/systemd/network
printf '[Match]\nMACAddress=52:54:00:12:34:56\nType=ether\n[Link]\nName=nic0\n' >etc/systemd/network/10-nic0.link
cat >etc/network/interfaces <<'END'
auto lo
iface lo inet loopback

iface nic0 inet manual

auto vmbr0
iface vmbr0 inet static
	address 10.0.2.15/24
	gateway 10.0.2.2
	bridge-ports nic0
	bridge-stp off
	bridge-fd 0
END

# As Proxmox VE's installer leaves them.
echo root:100000:65536 >etc/subuid
echo root:100000:65536 >etc/subgid

mkdir -p root/.ssh
cp "$keys/client.pub" root/.ssh/authorized_keys
chmod 700 root/.ssh
chmod 600 root/.ssh/authorized_keys
cp "$keys/host" etc/ssh/ssh_host_ed25519_key
cp "$keys/host.pub" etc/ssh/ssh_host_ed25519_key.pub
chmod 600 etc/ssh/ssh_host_ed25519_key
printf 'HostKey /etc/ssh/ssh_host_ed25519_key\nPermitRootLogin prohibit-password\nPasswordAuthentication no\nUseDNS no\n' \
  >etc/ssh/sshd_config.d/infra.conf

# The IOMMU is off because somebody once said so, and what says so is in the usual place.
cat >etc/default/grub <<'END'
# If you change this file, run 'update-grub' afterwards to update
# /boot/grub/grub.cfg.
GRUB_DEFAULT=0
GRUB_TIMEOUT=1
GRUB_DISTRIBUTOR=`( . /etc/os-release && echo ${NAME} )`
GRUB_CMDLINE_LINUX_DEFAULT="quiet intel_iommu=off"
GRUB_CMDLINE_LINUX="console=tty0 console=ttyS0,115200"
END
# Services that would only compete for two emulated processors.
for unit in apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer e2scrub_all.timer fstrim.timer man-db.timer; do
  ln -sf /dev/null "etc/systemd/system/$unit"
done
rm -f etc/machine-id
: >etc/machine-id

rm -f "$disk"
truncate -s "${size}K" "$disk"
printf 'label: gpt\nstart=1MiB, size=1MiB, type=21686148-6449-6E6F-744E-656564454649\nstart=%sKiB, type=L\n' "$start" |
  sfdisk --quiet "$disk"
mkfs.ext4 -q -F -L root -E "offset=$((start * 1024))" -d "$rootfs" "$disk" "$((size - start - 1024))k"
