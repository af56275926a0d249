# probe EXPECTED REMOTE WORD…: whether the command WORD… REMOTE answers what only the target itself can: `direct`, or
# `relay WHY`.
expected=$1 remote=$2
shift 2
said=$("$@" "$remote" 2>&1 </dev/null)
case $said in
  *"$expected"*) say direct ;;
  *) say relay $(printf %s "$said" | tail -n 1 | cut -c 1-200) ;;
esac
