# sums PATH [N [AT COUNT]…]…: for each group of N stretches a line `sum SHA256`. Stretches are in blocks of 64 KiB; the last
# block of a file counts as filled with zeros.
path=$1
shift
# openssl uses what the processor has for SHA-256, which the sha256sum of many distributions does not: six times as fast.
if [ "$(openssl dgst -sha256 -r </dev/null 2>/dev/null | cut -c 1-8)" = e3b0c442 ]; then
  hash() { openssl dgst -sha256 -r; }
else
  hash() { sha256sum; }
fi
while [ $# -gt 0 ]; do
  n=$1
  shift
  say sum "$(
    {
      while [ "$n" -gt 0 ]; do
        dd if="$path" bs=65536 skip="$1" count="$2" conv=sync 2>/dev/null || exit
        shift 2
        n=$((n - 1))
      done
    } | hash | { read -r sum rest && printf %s "$sum"; }
  )"
  shift "$((2 * n))"
done
