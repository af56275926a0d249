# rest RUN JOB SUFFIX FROM LENGTH: sends LENGTH bytes of one of the job's files, from an offset on.
p_find "$1" "$2"
p_say rest
tail -c "+$(($4 + 1))" "$p_dir/$2.$3" 2>/dev/null | head -c "$5"
