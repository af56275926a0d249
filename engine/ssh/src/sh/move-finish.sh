# finish PART TO MODE OWNER LIKE IDS: makes PART the file at TO, with permission bits and owner. OWNER is `-` where nobody
# gave one: then it is LIKE, by name, or where that is not known here IDS, if we may give files away at all. PART is `-` where
# the file at TO is what it should be.
part=$1 to=$2 mode=$3 owner=$4 like=$5 ids=$6
file=$part
[ "$part" = - ] && file=$to
fail() {
  [ "$part" = - ] || rm -f "$part"
  refuse "$1"
}
if [ "$owner" != - ]; then
  why=$(chown "$owner" "$file" 2>&1) || fail "$why"
elif [ "$like" != - ] && [ "$(id -u)" = 0 ]; then
  chown "$like" "$file" 2>/dev/null || chown "$ids" "$file" 2>/dev/null || fail "cannot give $file to $like"
fi
why=$(chmod "$mode" "$file" 2>&1) || fail "$why"
if [ "$part" != - ]; then
  why=$(sync "$part" 2>&1) || case $why in *space*|*rror*) fail "cannot write $part: $why" ;; esac
  why=$(mv -f "$part" "$to" 2>&1) || fail "$why"
fi
say done
