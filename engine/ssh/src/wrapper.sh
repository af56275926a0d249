# The half of Piton that runs on a host: POSIX sh, started once per channel, serving one request after another.
#
# How it gets there: Rust strips the comments and joins the lines with spaces, and the result is one single-quoted word
# of a remote command. So that every login shell (also csh and fish) passes it on unharmed, there is no single quote,
# no exclamation mark and no backslash in it, and each line ends where a space may stand.
#
# The first line that we are sent holds: a random word (every answer begins with it, and a line that is only this word
# ends a text), an exclamation mark, and the file that tells the boot id.

read -r n bang boot_file;
dollar=$; last=$dollar$bang;
nl=$(echo; echo x); nl=${nl%x};
mask=$(umask);
IFS= read -r boot < "$boot_file" || boot=unknown;
setsid=$(command -v setsid);
case ${KSH_VERSION:-} in
*MIRBSD*) put() { print -rn -- "$1"; };;
*) put() { printf %s "$1"; };;
esac;
say() { put "$n $*$nl"; };

# Where jobs live: in the home if it can be written, else where every user may. Never in somebody else s directory.
home=${XDG_STATE_HOME:-${HOME:-/nonexistent}/.local/state}/piton/jobs;
usable() {
  [ -d "$1" ] || ( umask 077; mkdir -p "$1" ) 2>/dev/null;
  [ -d "$1" ] && [ -w "$1" ] && [ -O "$1" ] && { [ -h "$1" ] && return 1; return 0; };
};
pick() {
  [ -n "$base" ] && return 0;
  usable "$home" && { base=$home; return 0; };
  u=$(id -u);
  for base in "/var/tmp/piton-$u" "/tmp/piton-$u" "/dev/shm/piton-$u"; do usable "$base" && return 0; done;
  base=; return 1;
};
# Sets d to the directory of run $1 in whatever place it was begun, if job $2 was claimed there.
locate() {
  for x in "$home" /var/tmp/piton-* /tmp/piton-* /dev/shm/piton-*; do
    [ -e "$x/$1/$2.claim" ] && [ -O "$x" ] && { d=$x/$1; j=$d/$2; return 0; };
  done;
  return 1;
};
ended() {
  for x in "$home" /var/tmp/piton-* /tmp/piton-* /dev/shm/piton-*; do
    [ -e "$x/$1.ended" ] && [ -O "$x" ] && return 0;
  done;
  return 1;
};

# Reads lines up to the random word into p; false if the connection ends before it.
take() {
  p=; q=; k=0;
  while IFS= read -r l; do
    [ "$l" = "$n" ] && { p=$p$q; return 0; };
    q=$q$l$nl; k=$((k + 1));
    [ $k -eq 64 ] && { p=$p$q; q=; k=0; };
  done;
  return 1;
};

# Sets state, ppid, session and starttime of process $1 (proc(5), /proc/pid/stat: the name may hold anything but ends at the last parenthesis).
stat_of() {
  state=; session=; starttime=;
  { IFS= read -r st < "/proc/$1/stat"; } 2>/dev/null || return 1;
  st=${st##*")"}; set -- $st;
  state=$1; session=$4; shift 19; starttime=$1;
};
alive() { stat_of "$1" && [ "$starttime" = "$2" ] && [ "$state" = Z ] && return 1; [ "$starttime" = "$2" ]; };
# The processes of the job: those of its session, and those that carry its name in their environment.
members() {
  m=;
  for x in /proc/[0-9]*; do
    x=${x#/proc/};
    stat_of "$x" || continue;
    case $state in Z|X) continue;; esac;
    [ "$x" = $$ ] && continue;
    [ -n "$1" ] && [ "$session" = "$1" ] && { m="$m $x"; continue; };
  done;
  for x in $(grep -lzxF "PITON_JOB=$run/$job" /proc/[0-9]*/environ 2>/dev/null); do
    x=${x#/proc/}; x=${x%/environ};
    stat_of "$x" || continue;
    case $state in Z|X) continue;; esac;
    case " $m " in *" $x "*) ;; *) m="$m $x";; esac;
  done;
};
nap() { sleep 0.1 2>/dev/null || sleep 1; };

# claim: creating the file is what only one can do (O_EXCL). What it holds is the shell that will start the job.
claim() {
  set -C; { put "$1$nl" > "$j.claim"; } 2>/dev/null; r=$?; set +C;
  [ $r -eq 0 ];
};
room() {
  pick || { why="no directory to keep jobs in can be written"; return 1; };
  d=$base/$run; j=$d/$job;
  [ -d "$d/work" ] && return 0;
  w=$( { umask 077; mkdir -p "$d/work"; } 2>&1 ) || { why=$w; return 1; };
};
undo_claim() { rm -f "$j.claim" "$j.env" "$j.script" "$j.status" "$j.out" "$j.err" "$j.output"; };

launch() {
  run=$1; job=$2; shell=$3; user=$4;
  take || exit 0; env=$p;
  take || exit 0; script=$p;
  [ -n "$setsid" ] || { say refused "setsid is not installed (package util-linux or busybox)"; return; };
  locate "$run" "$job" && { say exists; return; };
  ended "$run" && { say refused "the run is over on this host"; return; };
  room || { say refused "$why"; return; };
  stat_of $$;
  umask 077;
  claim "$$ $starttime $boot" || {
    umask "$mask"; [ -e "$j.claim" ] && { say exists; return; };
    say refused "cannot write in $d: no space left, or not permitted"; return; };
  # The status has its room on the disk before the job begins, so that a full disk cannot make its end unknown.
  { echo "                                                                " > "$j.status" && put "$env" > "$j.env" &&
    put "$script" > "$j.script" && true > "$j.out" && true > "$j.err" && true > "$j.output"; } 2>/dev/null || {
    umask "$mask"; undo_claim; say refused "cannot write in $d: no space left, or not permitted"; return; };
  umask "$mask";
  supervise </dev/null >/dev/null 2>&1 &
  eval sup=$last;
  say started "$boot";
  wait "$sup"; code=$?;
  report "$code";
};

# Outlives the connection: starts the job in a session of its own, waits for it, writes down how it ended.
supervise() {
  trap "" HUP INT TERM PIPE;
  cd "$d/work" || exit 125;
  ( trap - HUP INT TERM PIPE; begin ) > "$j.out" 2> "$j.err" &
  eval pid=$last;
  stat_of "$pid";
  echo "$pid $starttime $boot" > "$j.pid";
  wait "$pid"; code=$?;
  echo "exit $code end" 1<> "$j.status";
  exit "$code";
};
begin() {
  export PITON_JOB="$run/$job" PITON_WORK="$d/work" PITON_OUTPUT="$j.output";
  case $user in
  -) set -- "$setsid" "$shell" "$j.script"; . "$j.env"; exec "$@";;
  *) as_user;;
  esac;
};

# Answers how the job ended, with what it printed if that is little.
report() {
  code=$1; set -- 0 x 0 x 0 x;
  if [ -s "$j.output" ] || [ -s "$j.out" ] || [ -s "$j.err" ]; then
    set -- $(cd "$d" && wc -c "$job.output" "$job.out" "$job.err");
  fi;
  if [ $(($1 + $3 + $5)) -le 65536 ]; then
    say exited "$code" "$boot" "$1" "$3" "$5" inline;
    [ $(($1 + $3 + $5)) -eq 0 ] || cat "$j.output" "$j.out" "$j.err";
  elif [ "$1" -le 262144 ]; then
    say exited "$code" "$boot" "$1" "$3" "$5" outputs; cat "$j.output";
  else
    say exited "$code" "$boot" "$1" "$3" "$5" none;
  fi;
};

# Sets r to what can be told of a job: absent, exited (with code), running, gone, rebooted.
look() {
  locate "$run" "$job" || { r=absent; return; };
  a=; b=; c=; pid=; started=; was=;
  { read -r a b c < "$j.status"; } 2>/dev/null;
  [ "$a" = exit ] && [ "$c" = end ] && { r=exited; code=$b; return; };
  { read -r pid started was < "$j.pid"; } 2>/dev/null || { read -r pid started was < "$j.claim"; } 2>/dev/null;
  [ "$pid" = never ] && { r=gone; return; };
  [ -n "$was" ] && [ "$was" = "$boot" ] || { r=rebooted; [ -n "$was" ] || r=gone; return; };
  alive "$pid" "$started" && { r=running; return; };
  members "$pid"; [ -n "$m" ] && { r=running; return; };
  r=gone;
};
# A process that ends between two looks leaves its status behind: so twice.
look_twice() { look; [ "$r" = gone ] && { nap; look; }; };
answer() {
  case $r in
  exited) report "$code";;
  absent) IFS=" ." read -r up x < /proc/uptime; say absent "$boot" "$up";;
  running) say running "$boot";;
  *) say lost "$r" "$boot";;
  esac;
};
attend() {
  run=$1; job=$2; look_twice;
  [ "$r" = running ] && say running "$boot";
  i=0;
  while [ "$r" = running ]; do
    if [ $i -lt 20 ]; then i=$((i + 1)); nap; else sleep 1; fi;
    look_twice;
  done;
  answer;
};
follow() {
  run=$1; job=$2;
  locate "$run" "$job" || { say absent; exit 0; };
  put "$n$nl" >&2; say following;
  tail -c "+$(($3 + 1))" -f "$j.out" &
  eval t=$last;
  tail -c "+$(($4 + 1))" -f "$j.err" >&2 &
  eval u=$last; t="$t $u";
  IFS= read -r l;
  kill $t 2>/dev/null; exit 0;
};

stop() {
  run=$1; job=$2; grace=$3;
  if locate "$run" "$job"; then true; else
    room || { say alive "$why"; return; };
    claim "never 0 0" && { say dead; return; };
  fi;
  look; [ "$r" = rebooted ] && { say dead; return; };
  # Claimed a moment ago, and not begun: whoever claimed it is about to begin.
  i=0; while [ "$r" = running ] && [ $i -lt 50 ] && { [ -e "$j.pid" ] && break; true; }; do nap; i=$((i + 1)); look; done;
  s=; { read -r s x x < "$j.pid"; } 2>/dev/null;
  sig=TERM; i=0; last=$((grace * 10));
  while members "$s"; [ -n "$m" ]; do
    [ $i -eq 0 ] && { kill -s TERM $m; kill -s CONT $m; } 2>/dev/null;
    [ $i -ge $last ] && kill -s KILL $m 2>/dev/null;
    [ $i -ge $((last + 100)) ] && { say alive "process $m"; return; };
    nap; i=$((i + 1));
  done;
  # Its supervisor notes the status in the next moment, if it lives.
  i=0; look; while [ "$r" = running ] && [ $i -lt 20 ]; do nap; i=$((i + 1)); look; done;
  say dead;
};

forget() {
  run=$1; shift;
  for job in "$@"; do
    locate "$run" "$job" && rm -f "$j.env" "$j.script" "$j.status" "$j.out" "$j.err" "$j.output" "$j.pid" &&
      echo "never 0 0" > "$j.claim";
  done;
  say done;
};
clear_run() {
  for x in "$home" /var/tmp/piton-* /tmp/piton-* /dev/shm/piton-*; do
    [ -d "$x/$1" ] && [ -O "$x" ] && { true > "$x/$1.ended"; rm -rf "${x:?}/$1"; };
  done 2>/dev/null;
  say done;
};
# What engines left behind that never came back for it.
sweep() {
  for x in "$home" /var/tmp/piton-* /tmp/piton-* /dev/shm/piton-*; do
    [ -d "$x" ] && [ -O "$x" ] || continue;
    find "$x" -maxdepth 1 -name "*.ended" -mtime +30 -exec rm -f {} +;
    find "$x" -maxdepth 1 -mindepth 1 -type d -mtime +14 | while IFS= read -r d; do
      live=;
      for f in "$d"/*.pid; do
        { read -r pid started was < "$f"; } 2>/dev/null && [ "$was" = "$boot" ] && alive "$pid" "$started" && live=1;
      done;
      [ -n "$live" ] || rm -rf "$d";
    done;
  done >/dev/null 2>&1 </dev/null;
};

base=;
say ready "$boot";
while IFS= read -r request; do
  set -f; set -- $request; set +f;
  verb=$1; [ $# -gt 0 ] && shift;
  case $verb in
  launch) launch "$@";;
  look) run=$1; job=$2; look_twice; answer;;
  attend) attend "$@";;
  follow) follow "$@";;
  stop) stop "$@";;
  forget) forget "$@";;
  clear) clear_run "$@";;
  sweep) sweep & say done;;
  ping) IFS=" ." read -r up x < /proc/uptime; say pong "$boot" "$up" "$(uname -srm)";;
  esac;
done;
