# map PATH: where the file has data: `map N` and N lines `OFFSET LENGTH` in bytes, or `whole`.
path=$1
whole() {
  say whole
  exit 0
}
size=$(length "$path")
set -- $(stat -L -c '%b %B' "$path")
[ ! -b "$path" ] && [ "$(($1 * $2))" -ge "$size" ] && whole
# What was written a moment ago has its place now.
sync "$path" 2>/dev/null
# GNU tar asks the file system where the holes are (lseek(2), SEEK_HOLE), and its header has the list: POSIX format, sparse
# version 1.0, (tar)Sparse Formats. Only the beginning is read; the data never is.
block() { dd bs=512 count="$1" iflag=fullblock 2>/dev/null; }
map=$(
  [ ! -b "$path" ] && cd "${path%/*}/" && tar -c -h -S --hole-detection=seek --sparse-version=1.0 --format=pax -f - -- "./${path##*/}" 2>/dev/null | {
    head=$(block 1 | tr '\0' .)
    size=$(printf %s "$head" | cut -c 125-135)
    case $size in *[!0-7]* | '') exit ;; esac
    # Counting, grep reads all that dd writes.
    [ "$(block "$(((0$size + 511) / 512))" | tr '\0\n' '..' | tr -s . '\n' | grep -c '^major=1')" = 0 ] && exit
    block 1 >/dev/null
    IFS= read -r count || exit
    case $count in *[!0-9]* | '') exit ;; esac
    while [ "$count" -gt 0 ]; do
      { IFS= read -r at && IFS= read -r len; } || exit
      echo "$at $len"
      count=$((count - 1))
    done
    echo end
  }
)
# No such tar here: blocks that are all zero are looked for, in ever smaller steps.
scan() {
  scan_at=$1 scan_end=$2 scan_step=$3
  while [ "$scan_at" -lt "$scan_end" ]; do
    if [ -n "$(dd if="$path" bs=65536 skip="$scan_at" count="$scan_step" 2>/dev/null | tr -d '\0' | head -c 1 | od -An -tx1)" ]; then
      if [ "$scan_step" -le 16 ]; then
        echo "$((scan_at * 65536)) $((scan_step * 65536))"
      else
        (scan "$scan_at" "$((scan_at + scan_step))" "$((scan_step / 8))")
      fi
    fi
    scan_at=$((scan_at + scan_step))
  done
}
case $map in
  *end) map=${map%end} ;;
  *) map=$(scan 0 "$(((size + 65535) / 65536))" 1024) ;;
esac
[ -z "$map" ] || map=$(printf '%s\n' "$map" | grep .)
if [ -z "$map" ]; then say map 0; else
  say map $(printf '%s\n' "$map" | wc -l)
  printf '%s\n' "$map"
fi
