# look PATH: what is to be moved: `file LENGTH MODE UID:GID USER:GROUP TOKEN`. The token changes when the file does.
[ -e "$1" ] || refuse "there is no $1"
[ -d "$1" ] && refuse "$1 is a directory: one file is moved at a time"
[ -f "$1" ] || [ -b "$1" ] || refuse "$1 is neither a regular file nor a block device"
[ -r "$1" ] || refuse "not permitted to read $1"
if [ -b "$1" ]; then
  # The sectors that were written, by anybody, through it or one of its partitions: the 7th number.
  counts=$(cat "$(device "$1")/stat" 2>/dev/null) || refuse "the kernel tells nothing of $1"
  set -- "$1" $counts
  say file "$(length "$1")" 600 0:0 root:root "$(stat -L -c %t.%T "$1").$(length "$1").$8"
  exit 0
fi
token=$(stat -L -c '%d.%i.%s.%Y.%Z.%y' "$1") || refuse "cannot look at $1"
token=$(printf %s "$token" | tr -c '0-9.\n' _)
say file $(stat -L -c '%s %a %u:%g %U:%G' "$1") "$token"
