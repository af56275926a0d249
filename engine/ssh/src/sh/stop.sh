# stop RUN JOB GRACE USER KILL: has every process of the job dead and proves it. KILL is the text of kill.sh.
if p_find "$1" "$2"; then
  p_job=$p_dir/$2
  p_look
  # Whoever claimed it is about to write its state, or died before.
  p_naps=0
  while [ "$p_how" = none ] && [ "$p_naps" -lt 15 ]; do
    sleep 0.2 2>/dev/null || sleep 1
    p_naps=$((p_naps + 1))
    p_look
  done
  p_kill=$(
    if [ "$p_sup_boot" != "$p_boot" ]; then p_pid=; p_pid_start=; fi
    set -- sh -c "$p_kill_text" piton "$1/$2" "$3" "$p_pid" "$p_pid_start"
    if [ -n "$4" ] && [ "$p_how" != never ]; then set -- sudo -n "$@"; fi
    "$@" 2>&1 </dev/null
  )
  case $p_kill in
    dead) p_say dead ;;
    *) p_say "alive $(echo $p_kill)" ;;
  esac
elif [ -n "$p_over" ]; then
  p_say dead
elif p_claim "$1" "$2"; then
  # It has not begun; now it never will.
  p_put "never end$p_nl" >"$p_dir/$2.state"
  p_say dead
else
  p_say "again $p_why"
fi
