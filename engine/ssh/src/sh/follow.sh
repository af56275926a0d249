# follow RUN JOB OUT ERR: sends what the job prints as it comes, standard output to standard output, standard error to
# standard error, from these offsets on, until a line or the end of the input comes.
# `absent`: it was not claimed, as far as can be seen.
if p_find "$1" "$2"; then
  p_say follow
  p_say follow >&2
  tail -c "+$(($3 + 1))" -f "$p_dir/$2.out" 2>/dev/null &
  p_tail_out=$!
  tail -c "+$(($4 + 1))" -f "$p_dir/$2.err" >&2 2>/dev/null &
  p_tail_err=$!
  IFS= read -r p_line
  p_told=$?
  { kill "$p_tail_out" "$p_tail_err"; wait "$p_tail_out" "$p_tail_err"; } 2>/dev/null
  [ "$p_told" = 0 ] || exit 0
  p_say done
  p_say done >&2
else
  p_say absent
  p_say absent >&2
fi
