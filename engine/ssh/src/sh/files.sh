# files USER ARGUMENT…: runs one of the scripts for files (in p_files_text), as USER if there is one. A script that has not
# taken all the bytes that were meant for it ends with an error, and then this shell must end too: what is left in the
# channel would be read as requests.
p_user=$1
shift
if [ -z "$p_user" ]; then
  sh -c "$p_files_text" piton "$p_mark" "$@" || exit 0
elif p_why=$(sudo -n -H -u "$p_user" -- sh -c : 2>&1 </dev/null); then
  sudo -n -H -u "$p_user" -- sh -c "$p_files_text" piton "$p_mark" "$@" || exit 0
else
  p_say refused $p_why "(sudo -n -u $p_user)"
  exit 0
fi
