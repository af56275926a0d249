# forget RUN JOB…: removes the files of jobs. Their states stay, empty: they tell that the jobs ran once.
p_run=$1
shift
for p_place in "$p_1" "$p_2" "$p_3" "$p_4"; do
  [ -d "$p_place/$p_run" ] || continue
  (
    cd "$p_place/$p_run" || exit
    for p_name in "$@"; do
      shift
      set -- "$@" "./$p_name.out" "./$p_name.err" "./$p_name.script" "./$p_name.output"
      if [ -e "./$p_name.state" ]; then true >"./$p_name.state"; fi
    done
    exec rm -f "$@"
  ) 2>/dev/null
done
p_say forgotten
