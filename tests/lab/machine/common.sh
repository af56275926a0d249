# Shared by the machine's scripts; read with `.`, never run.
# shellcheck shell=bash
# shellcheck source=../common.sh
. "$(dirname "${BASH_SOURCE[0]}")/../common.sh"

# check_needs COMMAND:PACKAGE…: says everything that is missing at once.
check_needs() {
  PATH=$PATH:/usr/sbin:/sbin
  local missing=() need
  for need in "$@"; do
    command -v "${need%%:*}" >/dev/null || missing+=("${need##*:}")
  done
  [ ${#missing[@]} = 0 ] || die "missing packages: $(printf '%s\n' "${missing[@]}" | sort -u | tr '\n' ' ')"
}

# machine_alive NAME: is the qemu that we started still there? The start time keeps a reused pid apart; what has ended and
# waits to be reaped is not alive.
machine_alive() {
  local pid start
  read -r pid start 2>/dev/null <"$LAB/machines/$1/pid" || return 1
  [ "$(start_time "$pid")" = "$start" ] && ! grep -q '^State:[[:space:]]*Z' "/proc/$pid/status" 2>/dev/null
}

machine_names() {
  local dir
  for dir in "$LAB"/machines/*/; do
    if [ -e "$dir" ]; then basename "$dir"; fi
  done
}
