# In the overlay, either kernel: the rest of a system, then the command, then power off.
PATH=/usr/sbin:/usr/bin:/sbin:/bin; export PATH
IO=@CONTROL@/io
mount -t proc proc /proc; mount -t sysfs sys /sys
mkdir -p /dev/pts /dev/shm
mount -t devpts -o gid=5,mode=620,ptmxmode=666 devpts /dev/pts; mount -t tmpfs shm /dev/shm
ln -sfn /proc/self/fd /dev/fd
for n in 0:stdin 1:stdout 2:stderr; do ln -sfn "/proc/self/fd/${n%:*}" "/dev/${n#*:}"; done
[ -e /dev/ptmx ] || ln -s pts/ptmx /dev/ptmx
mount -t tmpfs -o mode=755 run /run; mkdir -p /run/lock /run/netns
[ -d /sys/fs/cgroup ] && mount -t cgroup2 cgroup2 /sys/fs/cgroup 2>/dev/null
mkdir -p /lib/modules; ln -sfn @MODULES@ "/lib/modules/$(uname -r)"
[ -e /dev/net/tun ] || { mkdir -p /dev/net; mknod /dev/net/tun c 10 200; }
ip link set lo up
sysctl -qw net.ipv4.ping_group_range="0 2147483647" kernel.printk="3 4 1 3"
trap '' HUP INT TERM
# A guest whose host side died does not live for ever.
(sleep @LIFETIME_S@; echo o > /proc/sysrq-trigger) > /dev/null 2>&1 < /dev/null &
OUT=@OUTPUT@
stty -F $OUT raw -echo 2>/dev/null
mkfifo -m 666 /run/.out
cat /run/.out > $OUT & CAT=$!
: > $IO/up
# The fifo's only write ends belong to the command: cat ends when it and its children are gone.
setsid -w /bin/bash $IO/command < /dev/null > /run/.out 2>&1
STATUS=$?
# Children left behind may still hold the fifo: give them a moment only.
for i in 1 2 3 4 5 6 7 8 9 10; do kill -0 $CAT 2>/dev/null || break; sleep 0.05; done
sync
echo $STATUS > $IO/status.new; mv $IO/status.new $IO/status; sync
echo o > /proc/sysrq-trigger
sleep 60
