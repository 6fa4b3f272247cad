#!/bin/sh
# First program of a user-mode Linux guest: puts a throw-away overlay over the host's files and goes on there.
PATH=/usr/sbin:/usr/bin:/sbin:/bin
NEW=@CONTROL@/new TMPFS=@CONTROL@/tmpfs
mount -t tmpfs -o size=@TMPFS_MIB@m tmpfs $TMPFS && mkdir $TMPFS/upper $TMPFS/work || exit 1
for module in @OVERLAY@; do insmod "$module" || exit 1; done
mount -t overlay -o lowerdir=/,upperdir=$TMPFS/upper,workdir=$TMPFS/work overlay $NEW || exit 1
mount -t hostfs -o @CONTROL@/io hostfs $NEW@CONTROL@/io || exit 1
mount -t devtmpfs dev $NEW/dev
cd $NEW && mkdir -p .lower && pivot_root . .lower && umount -l /.lower
exec chroot . /bin/sh @CONTROL@/io/stage2
