# send PATH RATE STEP [AT COUNT]…: writes stretches of the file to the channel.
told() { :; }
say sending
emit "$@" || refuse "$1 cannot be read to its end: it became shorter, or its disk is failing"
