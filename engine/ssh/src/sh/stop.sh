# stop RUN JOB GRACE USER: has every process of the job dead and proves it. p_kill_text is the text of kill.sh.
p_stop_user=$4
if p_find "$1" "$2"; then
  p_job=$p_dir/$2
  # Whoever claimed it may just be about to start it: then the process is there in a moment, or whoever it was is dead.
  p_naps=0
  p_look
  while
    case $p_how in
      none) [ "$p_naps" -lt 15 ] ;;
      run) [ -z "$p_pid" ] && [ "$p_sup_boot" = "$p_boot" ] && p_alive "$p_sup" "$p_sup_start" && [ "$p_naps" -lt 300 ] ;;
      *) false ;;
    esac
  do
    sleep 0.2 2>/dev/null || sleep 1
    p_naps=$((p_naps + 1))
    p_look
  done
  p_kill=$(
    if [ "$p_sup_boot" != "$p_boot" ]; then p_pid=; p_pid_start=; fi
    set -- sh -c "$p_kill_text" piton "$1/$2" "$3" "$p_pid" "$p_pid_start"
    if [ -n "$p_stop_user" ] && [ "$p_how" != never ]; then set -- sudo -n "$@"; fi
    "$@" 2>&1 </dev/null
  )
  case $p_kill in
    dead) p_say dead ;;
    *) p_say "alive $(echo $p_kill)" ;;
  esac
elif [ -n "$p_over" ]; then
  p_say dead
elif p_claim "$1" "$2" "never end$p_nl"; then
  # It has not begun; now it never will.
  p_say dead
else
  p_say "again $p_why"
fi
