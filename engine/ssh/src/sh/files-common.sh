mark=$1
shift
say() { printf '%s %s\n' "$mark" "$*"; }
# Says why not, on one line, and ends: with an error, so that nothing more is read from the channel.
refuse() {
  say refused $(printf '%s' "$*")
  exit 3
}
digest() { sha256sum <"$1" | { read -r sum rest && printf '%s' "$sum"; }; }
length() { stat -L -c %s "$1"; }
command -v sha256sum >/dev/null || refuse "there is no sha256sum on the host"
set -f
umask 077
