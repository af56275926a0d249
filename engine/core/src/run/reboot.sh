# Has this host start anew, and stays until it goes down: whoever asked waits for another boot id, not for this.
# TERM is how a host that goes down says so.
trap 'exit 0' TERM HUP INT
PATH=$PATH:/usr/sbin:/sbin
if [ -n "$PITON_COMMAND" ]; then
  sh -c "$PITON_COMMAND" || exit
elif command -v shutdown >/dev/null; then
  shutdown -r now "$PITON_MESSAGE" || exit
else
  echo "$PITON_MESSAGE"
  reboot || exit
fi
while :; do sleep 1; done
