# shellcheck shell=bash disable=SC2154
# The cases of archives that carry their signatures. Sourced by engine, after cases.sh.
#
# An archive of `docker save` is signed inside, loaded again by the engine and imported by its
# containerd, unpacked for notation and oras where the suite has them, and saved once more.

run_embedded_cases() {
    local kind
    for kind in dup gzl gnu; do
        run_case "$ENGINE/embedded-$kind" case_embedded "$kind"
    done
    run_case "$ENGINE/embedded-given" case_embedded_given
    if [[ $store == containerd ]]; then
        run_case "$ENGINE/embedded-index" case_embedded_index
    fi
}

# sealer ARGUMENT...: dockseal with keys, policy and caches of the case's own.
sealer() { XDG_CONFIG_HOME=$CASE_DIR/config dockseal "$@"; }

# notation and oras of the suite see the case's directory and what dockseal configured there.
in_case() {
    in_engine env --chdir="/lab/cases/${CASE_DIR##*/}" HOME=/lab/home NOTATION_EXPERIMENTAL=1 \
        XDG_CONFIG_HOME="/lab/cases/${CASE_DIR##*/}/config" \
        XDG_CACHE_HOME="/lab/cases/${CASE_DIR##*/}/notation-cache" "$@"
}

configure() {
    sealer cert generate-test --default lab
    sealer policy init --name lab --trust-store ca:lab
    # notation 1.3 knows but this name.
    cp config/notation/trustpolicy.oci.json config/notation/trustpolicy.json
}

# signed_inside TAR PUSHED [OPTION...]: signs, and has it verified with nothing but the archive.
signed_inside() {
    local tar=$1 pushed=$2 before grown
    shift 2
    before=$(stat -c %s "$tar")
    sealer sign "$tar" --embed --go-gzip "$GO_GZIP" "$@"
    grown=$(($(stat -c %s "$tar") - before))
    ((grown > 0 && grown < 65536)) || fail "the archive has grown by $grown bytes"
    empty_cache
    same_text "verified inside" "$(digest_of "$pushed")" "$(sealer verify --quiet "$tar")"
    same_text "listed inside" 3 "$(sealer list "$tar" | wc -l)"
}

# loads_everywhere TAR REF: the engine has the same image as before, its containerd one of that name.
loads_everywhere() {
    local tar=$1 ref=$2 id inside=/lab/cases/${CASE_DIR##*/}
    id=$(docker image inspect --format '{{.Id}}' "$ref")
    docker rmi --force "$ref"
    docker load <"$tar"
    same_text "image of $ref after docker load" "$id" \
        "$(docker image inspect --format '{{.Id}}' "$ref")"
    in_engine ctr --address /lab/containerd.sock --namespace embedded \
        images import --no-unpack "$inside/$tar"
    same_text "image after ctr images import" "docker.io/$ref" "$(in_engine \
        ctr --address /lab/containerd.sock --namespace embedded images ls --quiet "name==docker.io/$ref")"
    in_engine ctr --address /lab/containerd.sock --namespace embedded images rm --sync "docker.io/$ref"
}

# unpacked_verifies TAR PUSHED REPOSITORY: notation verifies what the archive unpacks to, and what oras
# brings from there to the registry, where the image is.
unpacked_verifies() {
    local tar=$1 digest part=unpacked target=$REGISTRY/$3
    digest=$(digest_of "$2")
    in_engine sh -c 'command -v notation && command -v oras' || return 0
    mkdir unpacked
    tar --extract --file "$tar" --directory unpacked
    [[ ! -d unpacked/signatures ]] || part=unpacked/signatures
    in_case notation verify --oci-layout "$part@$digest" --scope local/lab
    held "notation verify --oci-layout $part@$digest"
    in_case oras cp --recursive --from-oci-layout --to-plain-http "$part@$digest" "$target:1"
    in_case notation verify --insecure-registry "$target@$digest"
    held "notation verify $target@$digest"
    rm -r unpacked
}

# case_embedded KIND
case_embedded() {
    local ref=lab/$1:1 repository=lab/embedded-$1
    python3 "$here/archive.py" "$1" loaded.tar
    docker load <loaded.tar
    docker save "$ref" >image.tar
    push "$ref" "$repository" pushed.json
    configure
    signed_inside image.tar pushed.json
    loads_everywhere image.tar "$ref"
    unpacked_verifies image.tar pushed.json "$repository"
    # What the engine saves of it is the same image, though engines keep no signatures.
    mkdir signatures
    sealer detach --from image.tar --output signatures
    docker save "$ref" >again.tar
    same_text "saved again" "$(digest_of pushed.json)" \
        "$(sealer verify --quiet again.tar --go-gzip "$GO_GZIP" --signature signatures/*.sig)"
    sealer attach signatures/*.sig --to again.tar --go-gzip "$GO_GZIP"
    empty_cache
    same_text "attached again" "$(digest_of pushed.json)" "$(sealer verify --quiet again.tar)"
    gzip --keep image.tar
    same_text "compressed" "$(digest_of pushed.json)" "$(sealer verify --quiet image.tar.gz)"
    python3 "$here/damage.py" flip image.tar
    refused "one byte flipped" 13 sealer verify image.tar
}

# A manifest whose layers no engine compressed, carried along because it was given.
case_embedded_given() {
    docker image inspect lab/dup:1 >/dev/null || fail "the image of the case before is missing"
    docker save lab/dup:1 >image.tar
    python3 "$here/archive.py" gzl given.tar
    python3 "$here/archive.py" dup other.tar
    # Of the same image, as an engine with the other encoder pushes it.
    dockseal manifest image.tar --push-from graph -o given.json \
        --go-gzip "$([[ $GO_GZIP == go1.8 ]] && echo go1.27 || echo go1.8)"
    configure
    signed_inside image.tar given.json --manifest given.json
    loads_everywhere image.tar lab/dup:1
    # The archive of another image gets neither.
    refused "of another image" 13 sealer sign given.tar --embed --manifest given.json
}

case_embedded_index() {
    build_index
    docker save lab/index:1 >image.tar
    push lab/index:1 lab/embedded-index pushed.json
    configure
    signed_inside image.tar pushed.json
    loads_everywhere image.tar lab/index:1
    unpacked_verifies image.tar pushed.json lab/embedded-index
}
