# look PATH LARGE: what is there: `file LENGTH MODE SHA256` (`-` for a file of LARGE bytes or more), or `tree LINES` and so many lines: `d`, `f` or `l` and a path below it.
# In these lines a newline in a name is shown as the character 1.
if [ -d "$1" ]; then
  cd "$1" 2>/dev/null || refuse "cannot enter $1"
  list=$(
    find . -type d -print0 | tr '\n\0' '\1\n' | sed 's/^/d /'
    find . -type f -print0 | tr '\n\0' '\1\n' | sed 's/^/f /'
    find . -type l -print0 | tr '\n\0' '\1\n' | sed 's/^/l /'
  ) 2>/dev/null
  say "tree $(printf '%s\n' "$list" | wc -l)"
  printf '%s\n' "$list"
elif [ -f "$1" ]; then
  [ -r "$1" ] || refuse "not permitted to read $1"
  size=$(length "$1") sum=-
  [ "$size" -ge "$2" ] || sum=$(digest "$1")
  say "file $size $(stat -L -c %a "$1") $sum"
elif [ -e "$1" ]; then
  refuse "$1 is neither a file nor a directory on the host"
else
  refuse "there is no $1 on the host"
fi
