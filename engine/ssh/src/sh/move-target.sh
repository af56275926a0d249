# target PATH: where the file is to go: `target FREE LENGTH MODE UID:GID PLACE`. FREE is in KiB; LENGTH, MODE and owner are
# `-` where nothing is; PLACE is PATH, or what it links to.
to=$1
[ -d "$to" ] && refuse "$to is a directory: name the file"
if [ -h "$to" ]; then
  to=$(readlink -f "$to") || refuse "$1 is a link that leads nowhere"
fi
dir=${to%/*}
[ -d "$dir/" ] || refuse "there is no directory $dir/: make it in a step before"
[ -w "$dir/" ] || refuse "cannot write in $dir/: permission denied"
is='- - -'
if [ -e "$to" ]; then
  [ -f "$to" ] || refuse "$to is not a regular file"
  is=$(stat -c '%s %a %u:%g' "$to") || refuse "cannot look at $to"
fi
set -- $(df -Pk "$dir/" 2>/dev/null | { read -r heading && read -r line && echo "$line"; })
free=$4
case $free in *[!0-9]* | '') free=- ;; esac
say target "$free" $is "$to"
