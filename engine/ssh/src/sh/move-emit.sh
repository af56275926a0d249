# emit PATH RATE STEP [AT COUNT]…: writes stretches of a file, in blocks of 64 KiB, the last one filled with zeros. At most
# RATE bytes in a second (0: as it goes), in steps of STEP blocks, each told with `told BLOCKS`.
emit() {
  path=$1 rate=$2 step=$3
  shift 3
  now() {
    read -r up rest </proc/uptime
    up=${up%.*}${up#*.}
  }
  sent=0
  now
  start=$up
  while [ $# -gt 1 ]; do
    at=$1 left=$2
    shift 2
    while [ "$left" -gt 0 ]; do
      take=$left
      [ "$take" -gt "$step" ] && take=$step
      dd if="$path" bs=65536 skip="$at" count="$take" conv=sync 2>/dev/null || return 1
      at=$((at + take)) left=$((left - take)) sent=$((sent + take))
      # A file that became shorter gives less than was said.
      [ "$(length "$path")" -gt "$(((at - 1) * 65536))" ] || return 1
      told "$take"
      if [ "$rate" -gt 0 ]; then
        now
        pause=$((start + sent * 65536 * 100 / rate - up))
        if [ "$pause" -gt 0 ]; then
          sleep "$((pause / 100)).$((pause / 10 % 10))$((pause % 10))" 2>/dev/null || sleep "$((pause / 100 + 1))"
        fi
      fi
    done
  done
}
