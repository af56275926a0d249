# put PATH LENGTH SHA256 MODE OWNER FRESH: takes LENGTH bytes and makes them the file at PATH, all or nothing.
# MODE and OWNER may be `-`: as the file has it that is there; a new one gets FRESH.
to=$1 size=$2 sum=$3 mode=$4 owner=$5 fresh=$6
[ -d "$to" ] && refuse "$to is a directory on the host: name the file"
# A link stays what it is; what it points to is replaced.
[ -h "$to" ] && to=$(readlink -f "$to")
dir=${to%/*}
[ -d "$dir/" ] || refuse "there is no directory $dir/ on the host: make it in a step before"
if [ -e "$to" ]; then
  [ -f "$to" ] || refuse "$to is not a regular file on the host"
  was=$(stat -c '%a %u:%g' "$to") || refuse "cannot look at $to"
  if [ "$mode" = - ]; then mode=${was% *}; fi
  if [ "$owner" = - ] && [ "$(id -u)" = 0 ]; then owner=${was#* }; fi
  if [ "$(length "$to")" = "$size" ] && [ -r "$to" ] && [ "$(digest "$to")" = "$sum" ]; then
    if [ "$owner" != - ]; then why=$(chown "$owner" "$to" 2>&1) || refuse "$why"; fi
    if [ "${was% *}" != "$mode" ]; then why=$(chmod "$mode" "$to" 2>&1) || refuse "$why"; fi
    say same
    exit 0
  fi
fi
[ "$mode" = - ] && mode=$fresh
# The name tells the content: what is left of an earlier try is gone on with only if it is of the same.
part=$to.$(printf '%.12s' "$sum").piton-part
if [ -h "$part" ] || [ ! -f "$part" ] || [ ! -O "$part" ] || [ "$(length "$part")" -gt "$size" ]; then
  why=$(rm -f "$part" 2>&1 && set -C && true 2>&1 >"$part") || refuse "cannot write in $dir/: $why"
fi
have=$(length "$part")
say "from $have"
why=$(head -c "$((size - have))" 2>&1 >>"$part") || refuse "cannot write $part: $why"
[ "$(length "$part")" = "$size" ] || exit 3
if [ "$(digest "$part")" != "$sum" ]; then
  rm -f "$part"
  refuse "what arrived at $to is not what was sent (SHA-256 differs); did the file change meanwhile?"
fi
if [ "$owner" != - ]; then why=$(chown "$owner" "$part" 2>&1) || { rm -f "$part"; refuse "$why"; }; fi
why=$(chmod "$mode" "$part" 2>&1) || { rm -f "$part"; refuse "$why"; }
sync "$part" 2>/dev/null
why=$(mv -f "$part" "$to" 2>&1) || refuse "$why"
say done
