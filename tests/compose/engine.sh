# A Docker engine of our own, from Debian's packages: up in a temporary folder, and gone without a trace. Sourced by `run`.

# Memory that has to be free for the engine's folder to be kept in it: it takes some 3 GiB, for five minutes, and a disk takes
# a minute alone to forget it again.
MEMORY_GIB_MIN=12
# Time that the engine has for starting, and for going, in half seconds.
ENGINE_TRIES=120

# Installs what is missing, says what is in the way.
engine_install() {
    [ "$(id -u)" = 0 ] || fail "a Docker engine needs root: sudo tests/compose/run"
    local missing=()
    command -v dockerd >/dev/null || missing+=(docker.io)
    command -v iptables >/dev/null || missing+=(iptables)
    command -v debootstrap >/dev/null || missing+=(debootstrap)
    command -v ip >/dev/null || missing+=(iproute2)
    [ -x /bin/busybox ] && /bin/busybox wget --help >/dev/null 2>&1 || missing+=(busybox-static)
    [ ${#missing[@]} = 0 ] && return
    command -v apt-get >/dev/null || fail "missing: ${missing[*]} (Debian's names), and there is no apt-get to bring them"
    say "installing ${missing[*]}"
    # Debian starts what it installs; this engine is not wanted for longer than the test.
    local policy=/usr/sbin/policy-rc.d made=
    [ -e $policy ] || { printf '#!/bin/sh\nexit 101\n' >$policy; chmod +x $policy; made=1; }
    { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}"; } >"$work/apt.log" 2>&1 ||
        { tail -20 "$work/apt.log"; fail "apt-get could not install ${missing[*]}"; }
    [ -z "$made" ] || rm -f $policy
}

# Starts it, and remembers what of the machine it changes.
engine_up() {
    ! pgrep -x dockerd >/dev/null || fail "another Docker engine runs here, and two would fight over the firewall: stop it first"
    iptables-save >"$work/iptables.before"
    sysctl -n net.ipv4.ip_forward >"$work/ip_forward.before"
    ip -o link show type bridge | awk -F': ' '{print $2}' >"$work/bridges.before"
    mkdir "$work/data"
    if [ "$(awk '/^MemAvailable:/ {print int($2 / 1048576)}' /proc/meminfo)" -ge $MEMORY_GIB_MIN ]; then
        mount -t tmpfs -o size=8g,mode=0711 lowland-compose "$work/data"
    fi
    export DOCKER_HOST=unix://$work/docker.sock DOCKER_CONFIG=$work/config DOCKER_BUILDKIT=1
    setsid dockerd --data-root "$work/data" --exec-root "$work/exec" --host "$DOCKER_HOST" --pidfile "$work/dockerd.pid" \
        >"$work/dockerd.log" 2>&1 </dev/null 9>&- &
    engine_pid=$!
    local try
    for ((try = 0; try < ENGINE_TRIES; try++)); do
        docker info >/dev/null 2>&1 && return
        kill -0 "$engine_pid" 2>/dev/null || break
        sleep 0.5
    done
    tail -30 "$work/dockerd.log"
    fail "dockerd does not start"
}

# Ends it, with all that it runs, and puts the machine's network back as it was.
engine_down() {
    [ -n "${engine_pid:-}" ] || return 0
    local running
    running=$(docker ps -aq 2>/dev/null) && [ -z "$running" ] || docker rm -fv $running >/dev/null 2>&1
    kill "$engine_pid" 2>/dev/null
    local try
    for ((try = 0; try < ENGINE_TRIES; try++)); do
        kill -0 "$engine_pid" 2>/dev/null || break
        sleep 0.5
    done
    kill -9 "$engine_pid" 2>/dev/null
    wait "$engine_pid" 2>/dev/null
    awk -v below="$work/" 'index($2, below) == 1 {print $2}' /proc/mounts | tac | while read -r mount; do umount -l "$mount"; done
    ip -o link show type bridge | awk -F': ' '{print $2}' | grep -vxFf "$work/bridges.before" |
        grep -E '^(docker0|br-[0-9a-f]{12})$' | while read -r bridge; do ip link delete "$bridge"; done
    iptables-restore <"$work/iptables.before"
    sysctl -q -w "net.ipv4.ip_forward=$(cat "$work/ip_forward.before")" >/dev/null
    engine_pid=
}
