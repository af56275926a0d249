# finish PART TO LENGTH MODE OWNER LIKE IDS: makes PART the file at TO, with permission bits and owner. OWNER is `-` where nobody
# gave one: then it is LIKE, by name, or where that is not known here IDS, if we may give files away at all. PART is `-` where
# the file at TO is what it should be.
part=$1 to=$2 size=$3 mode=$4 owner=$5 like=$6 ids=$7
file=$part
[ "$part" = - ] && file=$to
fail() {
  [ "$part" = - ] || rm -f "$part"
  refuse "$1"
}
# The last block was written as a whole.
if [ "$part" != - ]; then
  why=$(dd if=/dev/null of="$part" bs=1 seek="$size" count=0 2>&1) || fail "cannot write $part: $why"
fi
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
