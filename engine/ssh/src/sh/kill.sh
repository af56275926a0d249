# Ends every process of a job. 1 the mark RUN/JOB, 2 seconds between TERM and KILL, 3 and 4 process id and start time
# of the session's leader (empty if unknown). Prints `dead`, or what lives on.
#
# A process belongs to the job if it is in its session, or was started with the job's mark in its environment (then it
# made a session of its own). Zombies are dead.
mark=$1 grace=$2 leader=$3 began=$4 me=$$ close=') '
# /proc/*/environ separates by NUL, which only some greps can read.
if printf 'a\0' | grep -qzxF a 2>/dev/null; then
  marked() { grep -lzxF "PITON_JOB=$mark" /proc/[0-9]*/environ 2>/dev/null; }
else
  marked() {
    for proc in /proc/[0-9]*; do
      tr '\0' '\n' <"$proc/environ" 2>/dev/null | grep -qxF "PITON_JOB=$mark" && echo "$proc/environ"
    done
  }
fi
# The number of a dead leader may have been given to another process since: then its session is not ours.
ours=$leader
if [ -n "$leader" ] && { read -r stat <"/proc/$leader/stat"; } 2>/dev/null; then
  set -- ${stat##*"$close"}
  [ "${20}" = "$began" ] || ours=
fi
living() {
  found=
  for proc in $(marked) /proc/[0-9]*; do
    own=${proc%/environ}
    [ "$own" = "$proc" ] && own= && [ -z "$ours" ] && continue
    pid=${proc#/proc/}
    pid=${pid%/environ}
    [ "$pid" = "$me" ] && continue
    stat=
    { read -r stat <"/proc/$pid/stat"; } 2>/dev/null
    [ -n "$stat" ] || continue
    set -- ${stat##*"$close"}
    case $1 in Z | X) continue ;; esac
    # The leader counts before it has made its session.
    if [ -n "$own" ] || [ "$4" = "$ours" ] || [ "$pid" = "$ours" ]; then
      case " $found " in *" $pid "*) ;; *) found="$found $pid" ;; esac
    fi
  done
  [ -n "$found" ]
}
signal=TERM
now() { read -r seconds rest </proc/uptime; seconds=${seconds%%.*}; }
now
until=$((seconds + grace))
last=$((seconds + grace + 10))
[ "$grace" = 0 ] && signal=KILL
sent=
while living; do
  now
  if [ "$signal" = TERM ] && [ "$seconds" -ge "$until" ]; then signal=KILL; fi
  if [ "$seconds" -ge "$last" ]; then break; fi
  for pid in $found; do
    # TERM once each, KILL until it helps. A stopped process must go on to see TERM.
    case " $sent " in
      *" $pid "*) [ "$signal" = KILL ] && kill -KILL "$pid" 2>/dev/null ;;
      *) kill "-$signal" "$pid" 2>/dev/null; kill -CONT "$pid" 2>/dev/null; sent="$sent $pid" ;;
    esac
  done
  sleep 0.05 2>/dev/null || sleep 1
done
# A process that was just being forked can be missed by one look.
if living || living; then
  for pid in $found; do
    name=
    { read -r name <"/proc/$pid/comm"; } 2>/dev/null
    echo "process $pid ($name)"
  done
else
  echo dead
fi
