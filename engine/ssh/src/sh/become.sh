# Runs under sudo as the target user. Standard input: the environment up to the line "$1", then the script.
# root shares the run's directory "$3" with the user who logs in; anybody else has one of their own.
umask 077
env=
while IFS= read -r line; do
  [ "$line" = "$1" ] && break
  env="$env$line
"
done
if [ "$(id -u)" = 0 ]; then
  own=$3
else
  own=
  for place in /var/tmp /tmp /dev/shm; do
    place=$place/piton-$(id -u)
    [ -d "$place" ] || mkdir "$place" 2>/dev/null
    if [ -d "$place" ] && [ ! -h "$place" ] && [ -O "$place" ] && [ -w "$place" ]; then own=$place/$4; break; fi
  done
  [ -n "$own" ] && mkdir -p "$own/work" && cat >"$own/$5.script" || { echo "piton: no place for files of $(id -un)" >&2; exit 126; }
fi
PITON_WORK=$own/work PITON_OUTPUT=$own/$5.output
export PITON_WORK PITON_OUTPUT
cd "$PITON_WORK" || exit 126
# What the job is told may have any name, also one of ours: so from there on only the positions are used.
set -- "$2" "$own/$5.script"
umask 022
eval "$env"
exec "$1" "$2" </dev/null
