# What only Proxmox has, as on a host without guests. The suite's, and said so in its log.
set -e
mkdir -p /etc/pve/priv/lock /etc/pve/nodes/pve1/qemu-server /etc/pve/nodes/pve1/lxc
printf '{\n"version": 1,\n"ids": {}\n}\n' >/etc/pve/.vmlist
printf '#!/bin/sh\necho "      VMID NAME                 STATUS     MEM(MB)    BOOTDISK(GB) PID"\n' >/usr/local/sbin/qm
printf '#!/bin/sh\necho "VMID       Status     Lock         Name"\n' >/usr/local/sbin/pct
chmod 755 /usr/local/sbin/qm /usr/local/sbin/pct
