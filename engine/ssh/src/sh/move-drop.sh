# drop PART: removes what cannot be gone on with.
rm -f "$1"
say dropped
