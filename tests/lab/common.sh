# Shared by the lab's scripts; read with `.`, never run.
# shellcheck shell=bash

lab_needs=(sshd:openssh-server libvirtd:libvirt-daemon virtlogd:libvirt-daemon virsh:libvirt-clients
  qemu-system-x86_64:qemu-system-x86 ip:iproute2 unshare:util-linux nsenter:util-linux busybox:busybox-static
  cpio:cpio ssh-keygen:openssh-client pgrep:procps)

die() {
  echo "lab: $*" >&2
  exit 1
}

# The machine must be able to carry the lab; says everything that is missing at once.
check_machine() {
  PATH=$PATH:/usr/sbin:/sbin
  [ "$(id -u)" = 0 ] || die "needs root, to make namespaces and a bridge"
  local missing=() need
  for need in "${lab_needs[@]}"; do
    command -v "${need%%:*}" >/dev/null || missing+=("${need##*:}")
  done
  [ -e /usr/lib/x86_64-linux-gnu/libvirt/connection-driver/libvirt_driver_qemu.so ] || missing+=(libvirt-daemon-driver-qemu)
  [ ${#missing[@]} = 0 ] || die "missing packages: $(printf '%s\n' "${missing[@]}" | sort -u | tr '\n' ' ')"
}

# A host is alive when the process that we started as its pid 1 is; the start time keeps a reused pid apart.
host_alive() {
  local pid start
  read -r pid start 2>/dev/null <"$LAB/hosts/$1/pid" || return 1
  [ "$(start_time "$pid")" = "$start" ]
}

# Field 22 of /proc/PID/stat (proc(5)): when the process began, in ticks since boot; empty if there is none.
start_time() {
  sed -e 's/^.*) //' "/proc/$1/stat" 2>/dev/null | cut -d' ' -f20
}

lab_ssh() {
  ssh -F "$LAB/ssh_config" "$@"
}
