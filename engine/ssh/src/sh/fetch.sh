# Brings what another user's job wrote to its $PITON_OUTPUT to where the shell looks for it, and removes that user's
# copies. root writes there directly.
[ -e "$p_job.output" ] || sudo -n -H -u "$p_user" -- sh -c 'for place in /var/tmp /tmp /dev/shm; do
  job=$place/piton-$(id -u)/$1/$2
  [ -f "$job.script" ] || continue
  [ -s "$job.output" ] && head -c 262145 "$job.output"
  rm -f "$job.script" "$job.output"
done' piton "$p_run" "$p_name" >"$p_job.output" 2>/dev/null </dev/null
p_put "$p_user$p_nl" >>"$p_dir/users"
