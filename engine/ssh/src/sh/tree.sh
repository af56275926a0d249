# tree OWNER [d PATH | l PATH TARGET]…: makes directories and symbolic links where they are not.
owner=$1
shift
while [ $# -gt 0 ]; do
  case $1 in
    d)
      if [ ! -d "$2" ]; then
        why=$(umask 022 && mkdir -p "$2" 2>&1) || refuse "$why"
        if [ "$owner" != - ]; then why=$(chown "$owner" "$2" 2>&1) || refuse "$why"; fi
      fi
      shift 2
      ;;
    l)
      if [ "$(readlink "$2" 2>/dev/null)" != "$3" ]; then
        if [ -d "$2" ] && [ ! -h "$2" ]; then refuse "$2 is a directory on the host, not a link"; fi
        why=$(rm -f "$2" 2>&1 && ln -s "$3" "$2" 2>&1) || refuse "$why"
        if [ "$owner" != - ]; then why=$(chown -h "$owner" "$2" 2>&1) || refuse "$why"; fi
      fi
      shift 3
      ;;
  esac
done
say done
