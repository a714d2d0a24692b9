#!/bin/sh
# The files of a Debian host with a kernel, ZFS, GRUB and SSH, in a directory.
#
#   rootfs.sh DIRECTORY MIRROR SUITE
#
# Runs as root in a mount namespace of its own (`unshare --mount`), so that what it mounts goes with it.
# The ZFS module is most of the time: it is compiled for the kernel that was installed, not for the one that runs.
set -eu
rootfs=$1 mirror=$2 suite=$3

# What an interrupted build left is no ground to build on.
rm -rf --one-file-system "$rootfs" "$rootfs.part"
rootfs=$rootfs.part
mkdir -p "$rootfs"

debootstrap --variant=minbase --components=main,contrib,non-free-firmware \
  --include=systemd-sysv,udev,dbus "$suite" "$rootfs" "$mirror"

mount --make-rprivate /
mount -t proc proc "$rootfs/proc"
mount -t sysfs sysfs "$rootfs/sys"
mount --rbind /dev "$rootfs/dev"

# Nothing is to be started in here.
printf '#!/bin/sh\nexit 101\n' >"$rootfs/usr/sbin/policy-rc.d"
chmod 755 "$rootfs/usr/sbin/policy-rc.d"

in_rootfs() {
  chroot "$rootfs" env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C.UTF-8 DEBIAN_FRONTEND=noninteractive HOME=/root "$@"
}
add() {
  in_rootfs apt-get install --quiet --yes --no-install-recommends "$@"
}

printf 'grub-pc grub-pc/install_devices_empty boolean true\n' | in_rootfs debconf-set-selections
in_rootfs apt-get update --quiet
add linux-image-amd64 linux-headers-amd64 initramfs-tools zstd \
  openssh-server ifupdown2 iproute2 iputils-ping nftables chrony \
  pciutils kmod procps smartmontools grub-pc
add dkms
echo 'parallel_jobs=2' >"$rootfs/etc/dkms/framework.conf.d/infra.conf"
add zfs-dkms zfsutils-linux

# Without the module the rest is worth nothing: say so here and not at the first boot.
for kernel in "$rootfs"/lib/modules/*; do
  find "$kernel/updates" -name 'zfs.ko*' 2>/dev/null | grep -q . || {
    echo "rootfs.sh: there is no zfs module for ${kernel##*/}" >&2
    exit 1
  }
done

in_rootfs apt-get clean
rm -f "$rootfs/usr/sbin/policy-rc.d" "$rootfs"/var/lib/apt/lists/*_* "$rootfs"/etc/ssh/ssh_host_*
umount --recursive --lazy "$rootfs/dev"
umount "$rootfs/sys" "$rootfs/proc"
mv "$rootfs" "$1"
