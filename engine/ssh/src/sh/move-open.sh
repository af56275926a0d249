# open PART LENGTH: makes the file that is written, unless it is there from an earlier try: `open old|new DEVICE:INODE`.
part=$1 size=$2 how=old
if [ -h "$part" ] || [ ! -f "$part" ] || [ ! -O "$part" ]; then
  how=new
  why=$(rm -f "$part" 2>&1 && set -C && true 2>&1 >"$part") || refuse "cannot write beside the target: $why"
fi
[ -s "$part" ] || how=new
# What is behind the end goes; up to the end there is a hole, which takes no room.
why=$(dd if=/dev/null of="$part" bs=1 seek="$size" count=0 2>&1) || {
  rm -f "$part"
  refuse "cannot make a file of $size bytes: ${why%%"
"*}"
}
say open "$how" "$(stat -c %d:%i "$part")"
