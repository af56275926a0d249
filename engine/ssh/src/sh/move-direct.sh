# direct REMOTE N WORD… PATH RATE STEP [AT COUNT]…: sends stretches of the file into the command of N words and REMOTE.
# Tells `moved BLOCKS` now and then, and at the end `taken` or `broken WHY`.
remote=$1 n=$2
shift 2
words=
while [ "$n" -gt 0 ]; do
  words="$words '$(printf %s "$1" | sed "s/'/'\\\\''/g")'"
  shift
  n=$((n - 1))
done
exec 3>&1
told() { say moved "$1" >&3; }
if why=$(emit "$@" | eval "$words \"\$remote\"" 2>&1); then say taken; else say broken $(printf %s "$why" | tail -n 1 | cut -c 1-200); fi
