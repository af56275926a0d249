echo "hostname=$(uname -n)"
echo "kernel=$(uname -sr)"
echo "machine=$(uname -m)"
if [ -r /etc/os-release ]; then
  echo "system=$(sed -n 's/^PRETTY_NAME=//p' /etc/os-release | tr -d '"')"
fi
if [ -r /proc/cpuinfo ]; then
  echo "processors=$(grep -c '^processor' /proc/cpuinfo)"
  echo "processor=$(sed -n 's/^model name[[:space:]]*: *//p' /proc/cpuinfo | sed -n 1p)"
fi
if [ -r /proc/meminfo ]; then
  echo "memory=$(awk '/^MemTotal:/ { printf "%d MiB", $2 / 1024 }' /proc/meminfo)"
  echo "available=$(awk '/^MemAvailable:/ { printf "%d MiB", $2 / 1024 }' /proc/meminfo)"
fi
if [ -r /proc/loadavg ]; then echo "load=$(cut -d' ' -f1-3 /proc/loadavg)"; fi
if [ -r /proc/uptime ]; then echo "uptime=$(cut -d. -f1 /proc/uptime) s"; fi
if [ -r /proc/sys/kernel/random/boot_id ]; then echo "boot=$(cat /proc/sys/kernel/random/boot_id)"; fi
if [ -c /dev/kvm ]; then echo "kvm=yes"; fi
exit 0
