# send PATH FROM LENGTH: sends bytes of a file.
[ -r "$1" ] || refuse "not permitted to read $1"
say sending
tail -c "+$(($2 + 1))" "$1" | head -c "$3"
