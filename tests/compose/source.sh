# The stage that builds from source, by its own commands and the real builder, until it compiles our dependencies: crates
# fetched behind the lock file, build scripts linked and run, the context complete. A whole release build would take ten
# minutes more and show what every other suite shows. Sourced by `run`.

# Compiled crates after which enough is seen, and the time for that.
SOURCE_CRATES=40
SOURCE_SECONDS_MAX=300

source_stage() {
    local log=$work/source.log secret=() seen=0 deadline=$((SECONDS + SOURCE_SECONDS_MAX))
    [ ! -s "$ca" ] || secret=(--secret "id=ca,src=$ca")
    docker build --progress=plain --target build "${secret[@]}" "$root" >"$log" 2>&1 &
    local build=$!
    while [ "$seen" -lt $SOURCE_CRATES ]; do
        if ! kill -0 $build 2>/dev/null; then
            wait $build && { seen=all; break; }
            tail -40 "$log"
            fail "the source stage does not build"
        fi
        [ $SECONDS -lt $deadline ] || { tail -40 "$log"; fail "the source stage compiled only $seen crates in $SOURCE_SECONDS_MAX s"; }
        sleep 1
        seen=$(grep -c ' Compiling ' "$log" || true)
    done
    kill $build 2>/dev/null || true
    wait $build 2>/dev/null || true
    ! grep -q ' error' "$log" || { grep -m5 ' error' "$log"; fail "the source stage reports errors"; }
    say "the source stage compiles: $seen crates so far"
}
