# sweep: removes, in the background, what engines left that never came back for it. A run's directory goes when nothing
# has begun in it for 60 days and nothing of it lives; the mark .swept stays, so that a job of it that may have run is
# never taken for one that never began.
(
  for p_place in "$p_1" "$p_2" "$p_3" "$p_4"; do
    [ -d "$p_place" ] && [ -O "$p_place" ] || continue
    find "$p_place" -maxdepth 1 -name '*.ended' -mtime +30 -exec rm -f {} +
    find "$p_place" -maxdepth 1 -name '*.swept' -mtime +365 -exec rm -f {} +
    find "$p_place" -mindepth 1 -maxdepth 1 -type d -mtime +60 | while IFS= read -r p_dir; do
      p_living=
      set +f
      set -- "$p_dir"/*.state
      set -f
      for p_job in "$@"; do
        p_job=${p_job%.state}
        p_look
        [ "$p_how" = run ] && [ "$p_sup_boot" = "$p_boot" ] || continue
        p_leader=$p_pid
        if p_alive "$p_sup" "$p_sup_start" || p_alive "$p_leader" "$p_pid_start" || p_lives "${p_leader:-none}"; then p_living=1; fi
      done
      [ -n "$p_living" ] && continue
      true >"$p_dir.swept" && rm -rf "$p_dir"
    done
  done
) </dev/null >/dev/null 2>&1 &
p_say swept
