p_uptime
p_say "pong boot=$p_boot uptime=$p_up $(uname -srm)"
