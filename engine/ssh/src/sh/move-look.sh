# look PATH: what is to be moved: `file LENGTH MODE UID:GID USER:GROUP TOKEN`. The token changes when the file does.
[ -e "$1" ] || refuse "there is no $1"
[ -d "$1" ] && refuse "$1 is a directory: one file is moved at a time"
[ -f "$1" ] || refuse "$1 is not a regular file"
[ -r "$1" ] || refuse "not permitted to read $1"
token=$(stat -L -c '%d.%i.%s.%Y.%Z.%y' "$1") || refuse "cannot look at $1"
token=$(printf %s "$token" | tr -c '0-9.\n' _)
say file $(stat -L -c '%s %a %u:%g %U:%G' "$1") "$token"
