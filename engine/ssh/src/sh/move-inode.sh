# inode PART: which file it is.
say open old "$(stat -c %d:%i "$1" 2>/dev/null || echo none)"
