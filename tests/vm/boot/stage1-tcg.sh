#!/bin/busybox sh
# First program of a qemu guest, in the initramfs: mounts the host's files over 9p under a throw-away overlay.
/bin/busybox mkdir -p /bin /proc /sys /dev /ro /rw /new
/bin/busybox --install -s /bin
mount -t proc proc /proc; mount -t devtmpfs dev /dev
CONTROL=; for word in $(cat /proc/cmdline); do case $word in control=*) CONTROL=${word#control=};; esac; done
for module in $(cat /order); do insmod /m/$module || echo "insmod $module failed"; done
O=trans=virtio,version=9p2000.L,msize=512000
mount -t 9p -o $O,cache=loose,ro hostroot /ro || exit 1
mount -t tmpfs -o size=80% tmpfs /rw; mkdir /rw/upper /rw/work
mount -t overlay -o lowerdir=/ro,upperdir=/rw/upper,workdir=/rw/work overlay /new || exit 1
mount -t 9p -o $O,cache=none control /new$CONTROL/io || exit 1
mount --move /dev /new/dev; umount /proc
exec switch_root /new /bin/sh $CONTROL/io/stage2
