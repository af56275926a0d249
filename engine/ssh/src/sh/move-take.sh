# take PART [AT COUNT]…: writes what comes from the channel into stretches of the file, in blocks of 64 KiB.
part=$1
shift
say taking
while [ $# -gt 1 ]; do
  why=$(dd of="$part" bs=65536 seek="$1" count="$2" conv=notrunc iflag=fullblock 2>&1) || {
    rm -f "$part"
    refuse "cannot write $part: ${why%%"
"*}"
  }
  shift 2
done
say taken
