# The shell that stays: one per channel, on the host. It reads requests from standard input and answers on standard
# output, each answer on a line that begins with `@` and the nonce, so that whatever a login shell prints is told apart.
#
# The lines of this file are joined by blanks and handed to the login shell (which may be fish or csh) between single
# quotes: so there is no single quote here, no exclamation mark and no backslash, and each command ends in `;`.
#
# Arguments: 1 the nonce; 2 the file that holds the boot id; 3 where to keep jobs, or `-` for the usual places.

p_mark="@$1"; p_boot_file=$2; p_mask=$(umask); umask 077;
p_nl=$(echo; echo x); p_nl=${p_nl%x};
set -f;

# A caught signal is reset in whatever the shell starts; an ignored one would not be. A closed connection must not
# kill the shell before it has written down how its job ended.
trap : PIPE HUP;

# Writes a text as it is. mksh has no built-in printf.
case ${KSH_VERSION-} in
  ?*) p_put() { print -rn -- "$1"; }; ;;
  *) p_put() { printf "%s" "$1"; }; ;;
esac;
p_say() { p_put "$p_mark $*$p_nl"; };

# Takes lines up to the one that is "$1". Fails if the input ends before: a cut request is never acted on.
p_take() {
  p_text=;
  while IFS= read -r p_line; do
    if [ "$p_line" = "$1" ]; then return 0; fi;
    p_text=$p_text$p_line$p_nl;
  done;
  return 1;
};

p_uptime() { p_up=0; { read -r p_up p_rest </proc/uptime; } 2>/dev/null; p_up=${p_up%%.*}; };
p_boot=; { read -r p_boot <"$p_boot_file"; } 2>/dev/null;
p_uid=; p_me=$$;
while read -r p_key p_value p_rest; do
  case $p_key in Uid:) p_uid=$p_value; ;; esac;
done </proc/self/status;

# Whether process $1 that began at tick $2 lives (proc(5), stat: state is field 3, start time field 22). Leaves its
# session in p_session. The name in field 2 may hold blanks and brackets, so fields are counted from behind it.
p_close=") ";
p_alive() {
  p_stat=; p_session=;
  if [ -z "$1" ]; then return 1; fi;
  { read -r p_stat <"/proc/$1/stat"; } 2>/dev/null;
  if [ -z "$p_stat" ]; then return 1; fi;
  set -- "$2" ${p_stat##*"$p_close"};
  p_session=$5; p_start=${21};
  case $2 in Z|X) return 1; ;; esac;
  case $1 in ""|"$p_start") return 0; ;; esac;
  return 1;
};
p_alive "$p_me" ""; p_me_start=$p_start;

# Where jobs are kept: the first place that is ours and can be written. All of them are searched. ext4 passes over each
# inode that was deleted in the last minutes, one by one, when it makes a file in the same block group: so each run gets a
# block group of its own (chattr(1), T), where nothing was deleted.
p_state=${XDG_STATE_HOME-};
case $p_state in
  /*) ;;
  *) p_state=${HOME:-/nonexistent}/.local/state; ;;
esac;
p_1=$p_state/piton/jobs; p_2=/var/tmp/piton-$p_uid; p_3=/tmp/piton-$p_uid; p_4=/dev/shm/piton-$p_uid;
case $3 in
  -) ;;
  *) p_1=$3; p_2=$3; p_3=$3; p_4=$3; ;;
esac;
p_base=;
for p_place in "$p_1" "$p_2" "$p_3" "$p_4"; do
  if [ -d "$p_place" ]; then :; else mkdir -p "$p_place" 2>/dev/null && chattr +T "$p_place" 2>/dev/null; fi;
  if [ -h "$p_place" ]; then continue; fi;
  if [ -d "$p_place" ] && [ -O "$p_place" ] && [ -w "$p_place" ] && [ -x "$p_place" ]; then
    p_base=$p_place; break;
  fi;
done;

p_setsid=$(command -v setsid);

# Finds the state of job $2 of run $1. p_dir: where it is; p_over: the run was cleared here; p_swept: it was swept.
p_find() {
  p_dir=; p_over=; p_swept=;
  for p_place in "$p_1" "$p_2" "$p_3" "$p_4"; do
    if [ -e "$p_place/$1.ended" ]; then p_over=1; fi;
    if [ -e "$p_place/$1.swept" ]; then p_swept=1; fi;
    if [ -e "$p_place/$1/$2.state" ]; then p_dir=$p_place/$1; return 0; fi;
  done;
  return 1;
};

# Claims job $2 of run $1: creates its state with the text $3, which exactly one can do (O_EXCL). The text has its room on
# the disk from here on. p_why says why it could not be done; it is empty if somebody has it already.
p_claim() {
  p_why=;
  if [ -z "$p_base" ]; then p_why="no directory to keep jobs in: tried $p_1 $p_2 $p_3 $p_4"; return 1; fi;
  p_dir=$p_base/$1;
  if [ -d "$p_dir/work" ]; then :; else p_why=$(mkdir -p "$p_dir/work" 2>&1) || return 1; fi;
  p_job=$p_dir/$2; p_made=;
  set -C;
  if { { p_made=1; p_put "$3"; } >"$p_job.state"; } 2>/dev/null; then
    set +C;
    if [ -e "$p_base/$1.ended" ]; then p_over=1; rm -f "$p_job.state"; return 1; fi;
    return 0;
  fi;
  set +C;
  if [ -n "$p_made" ]; then p_no_room; rm -f "$p_job.state"; return 1; fi;
  if [ -e "$p_job.state" ]; then return 1; fi;
  p_why="cannot create files in $p_dir: $( { true >"$p_job.state"; } 2>&1)"; rm -f "$p_job.state";
  return 1;
};

# Sets p_why for a write that failed.
p_no_room() {
  p_why=$(df -P "$p_dir" 2>/dev/null | { read -r p_rest; read -r p_a p_b p_c p_d p_e p_f; echo "$p_e used of $p_f"; });
  p_why="cannot write in $p_dir ($p_why)";
};
p_blank="               $p_nl";

# launch RUN JOB END FIRST: the whole request is read before anything is done. FIRST is 1 if it was never asked for.
p_launch() {
  p_run=$1; p_name=$2; p_end=$3; p_first=$4;
  IFS= read -r p_shell || exit 0;
  IFS= read -r p_user || exit 0;
  p_take "$p_end" || exit 0; p_env="export PITON_RUN=$p_run PITON_JOB=$p_run/$p_name $p_text";
  p_take "$p_end" || exit 0; p_script=$p_text;
  p_become=; p_fetch=;
  if [ -n "$p_user" ]; then
    p_take "$p_end" || exit 0; p_become=$p_text;
    p_take "$p_end" || exit 0; p_fetch=$p_text;
  fi;
  if p_find "$p_run" "$p_name"; then p_watch "$p_run" "$p_name" "$p_user"; return; fi;
  if [ -n "$p_over" ]; then p_say ended; return; fi;
  if [ -n "$p_swept" ] && [ "$p_first" = 0 ]; then p_say ended; return; fi;
  if [ -z "$p_setsid" ]; then p_say "refused there is no setsid program"; return; fi;
  if [ -n "$p_user" ]; then
    case " $p_may " in
      *" $p_user "*) ;;
      *)
        if p_why=$(sudo -n -H -u "$p_user" -- sh -c : 2>&1 </dev/null); then p_may="$p_may $p_user";
        else p_say refused $p_why "(sudo -n -u $p_user)"; return; fi;
      ;;
    esac;
  elif [ "$p_shell" = "$p_known" ]; then :;
  elif p_program=$(command -v "$p_shell" 2>/dev/null); then
    case $p_program in /*) ;; *) p_program=$p_shell; ;; esac;
    p_known=$p_shell;
  else p_say "refused there is no program $p_shell"; return; fi;
  if p_claim "$p_run" "$p_name" "$p_blank$p_me $p_me_start $p_boot$p_nl"; then :;
  elif [ -n "$p_why" ]; then p_say refused $p_why; return;
  elif [ -n "$p_over" ]; then p_say ended; return;
  else p_watch "$p_run" "$p_name" "$p_user"; return; fi;
  if { p_put "$p_script" >"$p_job.script" && true >"$p_job.out" && true >"$p_job.err"; } 2>/dev/null; then :;
  else
    p_no_room;
    rm -f "$p_job.script" "$p_job.out" "$p_job.err" "$p_job.state";
    p_say refused $p_why; return;
  fi;
  if [ -n "$p_user" ]; then p_sudo; else p_plain; fi;
  p_code=$?;
  p_env=; p_script=; p_text=; p_sup_boot=$p_boot;
  if [ "$p_code" -gt 255 ]; then p_code=$((p_code - 128)); fi;
  if [ -n "$p_user" ]; then eval "$p_fetch"; fi;
  if { p_put "exit $p_code end" 1<>"$p_job.state"; } 2>/dev/null; then p_finish;
  else p_watch "$p_run" "$p_name" "$p_user"; fi;
};

# In the subshell that becomes the job: writes down who it is. (ulimit makes ksh93 fork a subshell for real.)
p_enter() {
  ulimit -t unlimited 2>/dev/null;
  p_stat=; { IFS= read -r p_stat </proc/self/stat; } 2>/dev/null;
  p_pid=${p_stat%%" "*}; set -- ${p_stat##*"$p_close"}; p_start=${20};
  p_put "$p_pid $p_start$p_nl" >>"$p_job.state";
  umask "$p_mask";
};
# What the job is told may have any name, also one of ours: so from there on only the positions are used.
p_plain() {
  (
    p_enter;
    set -- "$p_setsid" "$p_program" "$p_job.script" "$p_dir/work" "$p_job.output";
    eval "$p_env";
    export PITON_WORK="$4" PITON_OUTPUT="$5";
    cd "$4" || exit 126;
    exec "$1" "$2" "$3"
  ) </dev/null >"$p_job.out" 2>"$p_job.err";
};

# As another user: values reach sudo on standard input, never on its command line.
p_sudo() {
  p_put "$p_env$p_end$p_nl$p_script" | (
    p_enter;
    export PITON_JOB="$p_run/$p_name";
    exec "$p_setsid" sudo -n -H -u "$p_user" -- sh -c "$p_become" piton "$p_end" "$p_shell" "$p_dir" "$p_run" "$p_name"
  ) >"$p_job.out" 2>"$p_job.err";
};

# Reads the state of p_job. p_how: exit (with p_code), never, run, or none.
p_look() {
  p_how=none; p_a=; p_c=; p_sup=; p_sup_start=; p_sup_boot=; p_pid=; p_pid_start=;
  if [ -s "$p_job.state" ]; then :; else return; fi;
  { read -r p_a p_b p_c; read -r p_sup p_sup_start p_sup_boot; read -r p_pid p_pid_start; } 2>/dev/null <"$p_job.state";
  case "$p_a $p_c" in
    "exit end") p_how=exit; p_code=$p_b; ;;
    "never "*) p_how=never; ;;
    *) p_how=run; ;;
  esac;
};

# The answer of a job that ended, with all it wrote if that is little.
p_size() { p_n=0; if [ -s "$1" ]; then p_n=$(wc -c <"$1"); p_n=$((p_n)); fi; };
p_finish() {
  p_size "$p_job.output"; p_nu=$p_n; p_size "$p_job.out"; p_no=$p_n; p_size "$p_job.err"; p_ne=$p_n;
  p_in=0;
  if [ $((p_nu + p_no + p_ne)) -le 65536 ]; then p_in=1; fi;
  p_say "exited code=$p_code boot=$p_boot began=$p_sup_boot outputs=$p_nu out=$p_no err=$p_ne inline=$p_in";
  if [ $p_in = 0 ]; then return; fi;
  if [ $p_nu -gt 0 ]; then head -c "$p_nu" "$p_job.output"; fi;
  if [ $p_no -gt 0 ]; then head -c "$p_no" "$p_job.out"; fi;
  if [ $p_ne -gt 0 ]; then head -c "$p_ne" "$p_job.err"; fi;
};

# Whether a process of session $1 lives.
p_lives() {
  set +f; set -- "$1" /proc/[0-9]*; set -f; p_leader=$1; shift;
  for p_proc in "$@"; do
    if p_alive "${p_proc#/proc/}" "" && [ "$p_session" = "$p_leader" ]; then return 0; fi;
  done;
  return 1;
};

# watch RUN JOB [USER]: tells how the job ended, as soon as it has.
p_watch() {
  if p_find "$1" "$2"; then :;
  elif [ -n "$p_over" ]; then p_say ended; return;
  else p_uptime; p_say "absent boot=$p_boot uptime=$p_up"; return; fi;
  p_job=$p_dir/$2; p_told=; p_gone=0; p_naps=0;
  while :; do
    p_look;
    case $p_how in
      exit) p_finish; return; ;;
      never) p_say never; return; ;;
    esac;
    if [ -z "$p_told" ]; then p_say "found boot=$p_boot"; p_told=1; fi;
    if [ $p_how = none ]; then
      p_gone=$((p_gone + 1));
      if [ $p_gone -gt 25 ]; then p_say lost files; return; fi;
    elif [ "$p_sup_boot" = "$p_boot" ]; then
      if p_alive "$p_sup" "$p_sup_start"; then p_gone=0;
      elif p_alive "$p_pid" "$p_pid_start"; then p_gone=0;
      else
        p_gone=$((p_gone + 1));
        if [ $p_gone -gt 3 ]; then
          if [ -n "$p_pid" ] && p_lives "$p_pid"; then p_gone=0;
          else p_look; if [ $p_how = run ]; then p_say lost process; return; fi; fi;
        fi;
      fi;
    else p_say lost boot; return; fi;
    p_naps=$((p_naps + 1));
    if [ $((p_naps % 25)) = 0 ]; then p_say tick || exit 0; fi;
    if [ $p_naps -gt 50 ]; then sleep 1; else sleep 0.2 2>/dev/null || sleep 1; fi;
  done;
};

# run END: arguments up to END, then a script up to END, which is carried out here.
p_script_of() {
  p_end=$1; set --;
  while IFS= read -r p_line; do
    if [ "$p_line" = "$p_end" ]; then
      p_take "$p_end" || exit 0;
      eval "$p_text"; return;
    fi;
    set -- "$@" "$p_line";
  done;
  exit 0;
};

p_may=; p_known=;
p_uptime;
p_put "$p_nl" >&2; p_say hello >&2;
p_put "$p_nl"; p_say "hello boot=$p_boot uptime=$p_up";
while IFS= read -r p_line; do
  set -- $p_line;
  case $1 in
    launch) p_launch "$2" "$3" "$4" "$5"; ;;
    watch) p_watch "$2" "$3" "$4"; ;;
    run) p_script_of "$2"; ;;
  esac;
done
