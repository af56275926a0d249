mark=$1
shift
say() { printf '%s %s\n' "$mark" "$*"; }
# Says why not, on one line, and ends: with an error, so that nothing more is read from the channel.
refuse() {
  say refused $(printf '%s' "$*")
  exit 3
}
digest() { sha256sum <"$1" | { read -r sum rest && printf '%s' "$sum"; }; }
length() { if [ -b "$1" ]; then echo "$(($(cat "$(device "$1")/size") * 512))"; else stat -L -c %s "$1"; fi; }
# What the kernel tells of a block device; sizes are in sectors of 512 bytes (Documentation/block/stat.rst).
device() { echo "/sys/dev/block/$(stat -L -c '%t %T' "$1" | { read -r major minor && echo "$((0x$major)):$((0x$minor))"; })"; }
command -v sha256sum >/dev/null || refuse "there is no sha256sum on the host"
set -f
umask 077
