# Shared by the machine's scripts; read with `.`, never run.
# shellcheck shell=bash

die() {
  echo "lab: $*" >&2
  exit 1
}

# check_needs COMMAND:PACKAGE…: says everything that is missing at once.
check_needs() {
  PATH=$PATH:/usr/sbin:/sbin
  local missing=() need
  for need in "$@"; do
    command -v "${need%%:*}" >/dev/null || missing+=("${need##*:}")
  done
  [ ${#missing[@]} = 0 ] || die "missing packages: $(printf '%s\n' "${missing[@]}" | sort -u | tr '\n' ' ')"
}

# Field 22 of /proc/PID/stat (proc(5)): when the process began, in ticks since boot; empty if there is none.
start_time() {
  sed -e 's/^.*) //' "/proc/$1/stat" 2>/dev/null | cut -d' ' -f20
}

# machine_alive NAME: is the qemu that we started still there? The start time keeps a reused pid apart.
machine_alive() {
  local pid start
  read -r pid start 2>/dev/null <"$LAB/machines/$1/pid" || return 1
  [ "$(start_time "$pid")" = "$start" ]
}

machine_names() {
  local dir
  for dir in "$LAB"/machines/*/; do
    [ -e "$dir" ] && basename "$dir"
  done
  return 0
}
