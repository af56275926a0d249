# Runs a job as another user: started by the wrapper through sudo, as that user, with the environment and the script on
# stdin, each ended by a line that is only the random word. Nothing of it is ever in a file that others can read.
# $1 random word, $2 interpreter, $3 run/job, $4 directory of the run that this user keeps, $5 file for outputs
umask 077
d=$(mktemp -d /tmp/piton-XXXXXXXX) || exit 125
trap 'rm -rf "$d"' EXIT
put() { while IFS= read -r l && [ "$l" != "$1" ]; do printf '%s\n' "$l"; done }
put "$1" > "$d/env" && put "$1" > "$d/script" || exit 125
[ -d "$4" ] || mkdir -p "$4" || exit 125
[ -O "$4" ] || { echo "piton: $4 belongs to somebody else" >&2; exit 125; }
: > "$5" || exit 125
chmod 644 "$5"
export PITON_JOB="$3" PITON_WORK="$4" PITON_OUTPUT="$5"
cd "$4" || exit 125
( set -- "$2" "$d/script" "$d/env"; . "$3"; exec "$1" "$2" </dev/null )
