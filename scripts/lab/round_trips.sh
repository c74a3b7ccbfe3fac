# shellcheck shell=bash disable=SC2154
# One image through everybody's save and load. Sourced by engine, after cases.sh.
#
# The image is pushed, and its manifest signed by notation in the registry, or here where the suite has
# none: what crosses the air gap is that manifest, the signature, and an archive that somebody else
# wrote. Verified offline, nothing is compressed. Whoever writes the config anew has made another
# image; that must be the reason then.

run_round_trips() {
    run_case "$ENGINE/round-trip-dup" case_round_trip dup
    run_case "$ENGINE/round-trip-gnu" case_round_trip gnu
    run_case "$ENGINE/round-trip-commit" case_round_trip commit
    run_case "$ENGINE/round-trip-registry" case_round_trip_registry
}

# crosses WHAT TAR: the archive holds the signed image if its config is the signed one.
crosses() {
    local what=$1 tar=$2 signed
    signed=$(python3 -c 'import json; print(json.load(open("pushed.json"))["config"]["digest"])')
    if [[ $(python3 "$here/config_of.py" "$tar") == "$signed" ]]; then
        empty_cache
        same_text "$what" "$(digest_of pushed.json)" \
            "$(sealer verify --quiet --manifest pushed.json --signature image.sig "$tar")"
        say "$what: the same image"
    else
        refused "$what" 13 sealer verify --manifest pushed.json --signature image.sig "$tar"
        grep -q 'is not of an image in the archive; it holds config' refused.err ||
            fail "$what: another reason"
        say "$what: another config"
    fi
    # One byte is enough, whoever wrote it.
    python3 "$here/damage.py" flip "$tar"
    local status=0
    sealer verify --manifest pushed.json --signature image.sig "$tar" >flipped.out || status=$?
    [[ $status == 13 || $status == 16 ]] || fail "$what, one byte flipped: exit status $status"
    [[ ! -s flipped.out ]] || fail "$what, one byte flipped: verified"
    held "$what flipped $status"
    rm "$tar"
}

# podman and skopeo in the case's directory.
at_home() {
    in_engine env --chdir="/lab/cases/${CASE_DIR##*/}" HOME="/lab/cases/${CASE_DIR##*/}" "$@"
}
# podman wants a short path for what it runs.
podman_() {
    at_home podman --storage-driver vfs --root /lab/podman --runroot /lab/podman-run \
        --cgroup-manager cgroupfs "$@"
}
skopeo_() { at_home skopeo --policy policy.json "$@"; }

has_tools() { in_engine sh -c 'command -v skopeo && command -v podman' >/dev/null; }

everybody() {
    local image=$1 name
    printf '{"default": [{"type": "insecureAcceptAnything"}]}' >policy.json
    docker save "$image" >saved.tar
    cp saved.tar copy.tar
    crosses "docker save" copy.tar
    docker image rm --force "$image"
    docker load <saved.tar
    docker save "$image" >again.tar
    crosses "docker load, docker save" again.tar
    in_engine ctr --address /lab/containerd.sock --namespace trips images import --no-unpack \
        "/lab/cases/${CASE_DIR##*/}/saved.tar"
    name=$(in_engine ctr --address /lab/containerd.sock --namespace trips images ls --quiet | head -n 1)
    # The ctr of containerd 2 may cut an export off that goes through its transfer service.
    local how=()
    ! in_engine ctr images export --help | grep -q -- --local || how=(--local)
    in_engine ctr --address /lab/containerd.sock --namespace trips images export "${how[@]}" \
        "/lab/cases/${CASE_DIR##*/}/ctr.tar" "$name"
    in_engine ctr --address /lab/containerd.sock --namespace trips images rm --sync "$name"
    crosses "ctr images import, export" ctr.tar
    if ! has_tools; then
        say "no skopeo and podman here"
        return
    fi
    skopeo_ copy --quiet docker-archive:saved.tar docker-archive:sk.tar:lab/trip:1
    crosses "skopeo, docker-archive to docker-archive" sk.tar
    skopeo_ copy --quiet docker-archive:saved.tar oci-archive:sk.tar:1
    crosses "skopeo, docker-archive to oci-archive" sk.tar
    if tar --list --file saved.tar | grep -qx oci-layout; then
        skopeo_ copy --quiet oci-archive:saved.tar oci-archive:sk.tar:1
        crosses "skopeo, oci-archive to oci-archive" sk.tar
        skopeo_ copy --quiet oci-archive:saved.tar docker-archive:sk.tar:lab/trip:1
        crosses "skopeo, oci-archive to docker-archive" sk.tar
    fi
    podman_ load --quiet --input saved.tar
    name=$(podman_ images --format '{{.Repository}}:{{.Tag}}' | head -n 1)
    podman_ save --quiet --format docker-archive --output po.tar "$name"
    crosses "podman load, save as docker-archive" po.tar
    podman_ save --quiet --format oci-archive --output po.tar "$name"
    crosses "podman load, save as oci-archive" po.tar
    rm -rf "$state/podman" "$state/podman-run"
}

# case_round_trip KIND
case_round_trip() {
    local image=lab/$1:1
    docker image inspect "$image" >/dev/null || fail "the image of a case before is missing"
    push "$image" "lab/trip-$1" pushed.json
    configure
    sealer sign --local pushed.json --output image.sig
    everybody "$image"
}

# Pushed by the engine, signed in the registry by notation, saved by the engine, verified here.
case_round_trip_registry() {
    local digest
    in_engine sh -c 'command -v notation && command -v oras' >/dev/null || skip "no notation and oras in this suite"
    docker image inspect lab/dup:1 >/dev/null || fail "the image of a case before is missing"
    push lab/dup:1 lab/trip-registry pushed.json
    digest=$(digest_of pushed.json)
    # The key is notation's own, the trust store it makes for it is everybody's.
    in_case notation cert generate-test --default lab
    sealer policy init --name lab --trust-store ca:lab
    in_case notation sign --insecure-registry "$REGISTRY/lab/trip-registry@$digest"
    in_case oras cp --recursive --from-plain-http --to-oci-layout "$REGISTRY/lab/trip-registry@$digest" carried:1
    sealer detach --oci-layout carried:1 --output .
    mv ./*.sig image.sig
    everybody lab/dup:1
    # The engine's own pull, and the tools'.
    printf '{"default": [{"type": "insecureAcceptAnything"}]}' >policy.json
    docker pull "$REGISTRY/lab/trip-registry:1"
    docker save "$REGISTRY/lab/trip-registry:1" >pulled.tar
    crosses "docker pull, docker save" pulled.tar
    if has_tools; then
        skopeo_ copy --quiet --src-tls-verify=false "docker://$REGISTRY/lab/trip-registry:1" \
            docker-archive:sk.tar:lab/trip:1
        crosses "skopeo, registry to docker-archive" sk.tar
        skopeo_ copy --quiet --src-tls-verify=false "docker://$REGISTRY/lab/trip-registry:1" oci-archive:sk.tar:1
        crosses "skopeo, registry to oci-archive" sk.tar
    fi
}
