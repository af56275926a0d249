# link PATH: where a symbolic link points to.
target=$(readlink "$1"; echo .) || refuse "cannot read the link $1"
target=${target%??}
case $target in *"
"*) refuse "$1 points to a name with a newline in it" ;; esac
say "link $target"
