# shellcheck shell=bash disable=SC2154
# The cases of a containerd without Docker: what dockseal reads over the socket and from the files,
# against `ctr content get` and what `ctr images push` sends. Sourced by engine; needs lib.sh, cases.sh.

INDEX=docker.io/lab/oci-index:1
SINGLE=docker.io/lab/dup:1
# One name, two images: in `whole` the index, in `other` the archive's own index.json.
TWOFOLD=registry.example/app:v1
PUSHED=(oci-index nested-index attested-index docker-list dup gzl)

# The namespaces: `whole` holds every platform of the index, `partial` only the host's.
containerd_cases() {
    local kind version
    version=$(in_engine containerd --version)
    say "containerd of $name: $version"
    for kind in "${PUSHED[@]}" gnu; do
        python3 "$here/archive.py" "$kind" "$state/$kind.tar"
    done
    python3 "$here/many.py" 2000 "$state/many.tar"
    ENGINE=containerd-$name
    run_case "$ENGINE/import" case_imported
    for kind in "${PUSHED[@]}"; do
        run_case "$ENGINE/pushed-$kind" case_pushed "docker.io/lab/$kind:1"
    done
    run_case "$ENGINE/pulled" case_pulled
    run_case "$ENGINE/partial" case_partial
    run_case "$ENGINE/signed" case_signed
    run_case "$ENGINE/not-found" case_not_found
    run_case "$ENGINE/ambiguous" case_ambiguous
    run_case "$ENGINE/busy" case_busy
    run_case "$ENGINE/damaged" case_damaged
    run_case "$ENGINE/kept" case_kept
    stop_last
    start_containerd
    run_case "$ENGINE/restarted" case_restarted
    run_case "$ENGINE/exported" case_exported
    run_case "$ENGINE/removed" case_removed
    run_case "$ENGINE/altered-signature" case_altered_signature
    run_case "$ENGINE/cut" case_cut
    run_case "$ENGINE/killed" case_killed
    stop_last
    start_containerd
    run_case "$ENGINE/after-it-was-killed" case_after_it_was_killed
    verifier_cases
    run_case "$ENGINE/many" case_many
    stop
    run_case "$ENGINE/stopped" case_stopped
}

# ctr NAMESPACE ARGUMENT...
ctr() {
    local namespace=$1
    shift
    in_engine ctr --address /lab/containerd.sock --namespace "$namespace" "$@"
}

SOCKET=(--address "$state/containerd.sock")
FILES=(--containerd-root "$state/containerd")
tool() { "$DOCKSEAL_BIN_DIR/dockseal" "$@"; }

# record NAMESPACE NAME: the digest that the image record holds.
record() {
    ctr "$1" images ls "name==\"$2\"" | awk -v name="$2" 'NR > 1 && $1 == name { print $3 }'
}

# stored NAMESPACE NAME FILE: the bytes of the image record's target.
stored() {
    local digest
    digest=$(record "$1" "$2")
    ctr "$1" content get "$digest" >"$3"
    same_text "digest of $2" "$digest" "$(digest_of "$3")"
}

# both_ways EXPECTED ARGUMENT...: the manifest over the socket and from the files.
both_ways() {
    local expected=$1
    shift
    tool manifest "$@" "${SOCKET[@]}" >socket.json
    same_manifest "over the socket" "$expected" socket.json
    tool manifest "$@" "${FILES[@]}" >files.json
    same_manifest "from the files" "$expected" files.json
    tool digest --explain --format json "$@" "${SOCKET[@]}" >socket.report
    tool digest --explain --format json "$@" "${FILES[@]}" >files.report
    same_text "report" "$(<socket.report)" "$(<files.report)"
}

# refused_both_ways LABEL STATUS TEXT ARGUMENT...
refused_both_ways() {
    local label=$1 status=$2 text=$3
    shift 3
    refused "$label, socket" "$status" tool "$@" "${SOCKET[@]}"
    grep -F -e "$text" "$CASE_DIR/refused.err" || fail "$label, socket: does not say $text"
    refused "$label, files" "$status" tool "$@" "${FILES[@]}"
    grep -F -e "$text" "$CASE_DIR/refused.err" || fail "$label, files: does not say $text"
}

case_imported() {
    local kind
    for kind in "${PUSHED[@]}"; do
        ctr whole images import --all-platforms --no-unpack "/lab/$kind.tar"
    done
    ctr partial images import --no-unpack /lab/oci-index.tar
    ctr other images import --no-unpack /lab/gnu.tar
    ctr whole images tag "$INDEX" "$TWOFOLD"
    ctr other images import --all-platforms --no-unpack --index-name "$TWOFOLD" /lab/oci-index.tar
    stored whole "$SINGLE" stored.json
    both_ways stored.json "containerd:$SINGLE" --namespace whole
}

# What the record holds is what ctr pushes and what dockseal reads.
case_pushed() {
    local target=$REGISTRY/pushed/${1##*/}
    stored whole "$1" stored.json
    ctr whole images push --plain-http "$target" "$1"
    fetch "${target#"$REGISTRY/"}" pushed.json
    same_manifest "ctr images push" stored.json pushed.json
    both_ways pushed.json "containerd:$1" --namespace whole
}

case_pulled() {
    local image=$REGISTRY/pushed/dup:1
    ctr pulled images pull --plain-http --local "$image" ||
        ctr pulled images pull --plain-http "$image"
    fetch "${image#"$REGISTRY/"}" pushed.json
    both_ways pushed.json "containerd:$image" --namespace pulled
    both_ways pushed.json "containerd:$image@$(digest_of pushed.json)" --namespace pulled
}

# One platform of an index whose other platform was collected.
case_partial() {
    local child
    stored partial "$INDEX" index.json
    both_ways index.json "containerd:$INDEX" --namespace partial
    child=$(python3 -c 'import json, sys; print(json.load(sys.stdin)["manifests"][0]["digest"])' \
        <index.json)
    ctr partial content get "$child" >child.json
    both_ways child.json "containerd:$INDEX" --namespace partial --platform linux/amd64
    if ctr partial images push --plain-http "$REGISTRY/partial/index:1" "$INDEX"; then
        fail "ctr pushed an index of which a part is missing"
    fi
}

# The part of a report that does not depend on the time.
content_of() { python3 -c 'import json, sys; print(json.load(sys.stdin)["content"])' <"$1"; }

# Signed over the socket, verified from the files, and the reverse: every blob is named.
case_signed() {
    local name image=containerd:$SINGLE
    export NOTATION_CONFIG=$CASE_DIR/config NOTATION_CACHE=$CASE_DIR/cache
    tool cert generate-test --default lab.example
    tool policy init --name lab --trust-store ca:lab.example
    tool sign "$image" --namespace whole "${SOCKET[@]}"
    tool verify "$image" --namespace whole --format json "${FILES[@]}" >files.report
    tool verify "$image" --namespace whole --format json "${SOCKET[@]}" >socket.report
    same_text "content" "$(content_of socket.report)" "$(content_of files.report)"
    for name in $(ctr whole content get "$(record whole "$SINGLE")" | grep -o 'sha256:[0-9a-f]*'); do
        grep -F "$name" files.report || fail "$name was not read"
    done
    held "every blob was read"
}

# The signatures of an image, one a line, the same both ways.
listed() {
    tool list --format json "$@" "${SOCKET[@]}" >socket.list
    tool list --format json "$@" "${FILES[@]}" >files.list
    cmp socket.list files.list >&2 || fail "the socket and the files list other signatures of $1"
    python3 -c 'import json, sys; print(*json.load(sys.stdin)["signatures"], sep="\n")' <socket.list
}

# collect NAMESPACE: has containerd collect what nothing leads to, and waits for it.
collect() {
    ctr "$1" leases create --id lab-collect >/dev/null
    ctr "$1" leases delete --sync lab-collect >/dev/null
}

# Signatures in containerd live as long as their image, whatever is collected, and in each namespace.
case_kept() {
    local image=containerd:$SINGLE signature
    export NOTATION_CONFIG=$state/kept-config NOTATION_CACHE=$CASE_DIR/cache
    tool cert generate-test --default lab.example
    tool policy init --name lab --trust-store ca:lab.example
    ctr kept images import --all-platforms --no-unpack /lab/dup.tar
    ctr kept2 images import --all-platforms --no-unpack /lab/dup.tar
    same_text "before" none "$(listed "$image" --namespace kept | grep . || echo none)"
    tool sign "$image" --namespace kept --embed --signature-format cose "${SOCKET[@]}"
    signature=$(listed "$image" --namespace kept)
    same_text "other namespace" none "$(listed "$image" --namespace kept2 | grep . || echo none)"
    same_text "leases" none "$(ctr kept leases ls --quiet | grep . || echo none)"
    collect kept
    same_text "after a collection" "$signature" "$(listed "$image" --namespace kept)"
    ctr kept images import --all-platforms --no-unpack /lab/dup.tar
    collect kept
    same_text "after another import" "$signature" "$(listed "$image" --namespace kept)"
    tool verify "$image" --namespace kept "${SOCKET[@]}"
    tool verify "$image" --namespace kept "${FILES[@]}"
    tool detach --from "$image" --namespace kept "${FILES[@]}" -o .
    tool attach ./*.cose.sig --to "$image" --namespace kept2 "${SOCKET[@]}"
    tool verify "$image" --namespace kept2 "${FILES[@]}"
    printf '%s\n' "$signature" >"$state/kept"
}

# The same after a restart, without the labels of layers, and without the image.
case_restarted() {
    local image=containerd:$SINGLE signature
    export NOTATION_CONFIG=$state/kept-config NOTATION_CACHE=$CASE_DIR/cache
    signature=$(<"$state/kept")
    same_text "after a restart" "$signature" "$(listed "$image" --namespace kept)"
    ctr kept content prune references
    same_text "after prune references" "$signature" "$(listed "$image" --namespace kept)"
    tool verify "$image" --namespace kept --content manifest "${SOCKET[@]}"
    ctr kept images rm --sync "$SINGLE"
    if ctr kept content ls --quiet | grep -F "$signature"; then
        fail "the signature outlives its image"
    fi
    held "gone with the image"
}

# With a record containerd exports the signature, and the real notation verifies what came out.
case_exported() {
    local image=containerd:$SINGLE record
    export NOTATION_CONFIG=$CASE_DIR/config NOTATION_CACHE=$CASE_DIR/cache
    tool cert generate-test --default lab.example
    tool policy init --name lab --trust-store ca:lab.example
    ctr exported images import --all-platforms --no-unpack /lab/dup.tar
    tool sign "$image" --namespace exported --embed --record "${SOCKET[@]}"
    record=$(ctr exported images ls --quiet | grep -F @)
    # The ctr of containerd 2 may cut an export off that goes through its transfer service.
    local how=()
    ! in_engine ctr images export --help | grep -q -- --local || how=(--local)
    ctr exported images export "${how[@]}" --skip-manifest-json /lab/exported.tar "$SINGLE" "$record" ||
        ctr exported images export "${how[@]}" /lab/exported.tar "$SINGLE" "$record"
    mkdir layout
    tar --extract --file "$state/exported.tar" --directory layout
    tool verify --oci-layout "layout@$(record exported "$SINGLE")"
    if [[ -x $root/usr/bin/notation ]]; then
        cp "$NOTATION_CONFIG/trustpolicy.oci.json" "$NOTATION_CONFIG/trustpolicy.json"
        chroot "$root" env NOTATION_EXPERIMENTAL=1 \
            NOTATION_CONFIG="/lab/cases/${CASE_DIR##*/}/config" notation verify --oci-layout \
            --scope local/lab "/lab/cases/${CASE_DIR##*/}/layout@$(record exported "$SINGLE")"
        held "notation verifies it"
    fi
    # Into a containerd that never had it: the record alone leads to the signature.
    ctr again images import --all-platforms --no-unpack /lab/exported.tar
    tool verify "$image" --namespace again "${SOCKET[@]}"
    tool verify "$image" --namespace again "${FILES[@]}"
    held "exported and imported"
}

# One of two signatures is taken away with its record, then the other one; the image stays whole.
case_removed() {
    local image=containerd:$SINGLE signatures
    local -a scope=(--namespace removed)
    export NOTATION_CONFIG=$CASE_DIR/config NOTATION_CACHE=$CASE_DIR/cache
    tool cert generate-test --default lab.example
    tool policy init --name lab --trust-store ca:lab.example
    ctr removed images import --all-platforms --no-unpack /lab/dup.tar
    tool sign "$image" "${scope[@]}" --embed --record "${SOCKET[@]}"
    tool sign "$image" "${scope[@]}" --embed --signature-format cose "${SOCKET[@]}"
    mapfile -t signatures < <(listed "$image" "${scope[@]}")
    refused "files are only read" 20 tool detach --from "$image" "${scope[@]}" --remove "${FILES[@]}"
    tool detach --from "$image" "${scope[@]}" --remove --only "${signatures[0]}" "${SOCKET[@]}"
    same_text "the other one" "${signatures[1]}" "$(listed "$image" "${scope[@]}")"
    tool verify "$image" "${scope[@]}" "${FILES[@]}"
    tool detach --from "$image" "${scope[@]}" --remove "${SOCKET[@]}"
    refused "none is left" 10 tool verify "$image" "${scope[@]}" "${SOCKET[@]}"
    same_text "records" "$SINGLE" "$(ctr removed images ls --quiet)"
    collect removed
    if ctr removed content ls --quiet | grep -F -e "${signatures[0]}" -e "${signatures[1]}"; then
        fail "a removed signature is still there"
    fi
    tool attach ./*.sig --to "$image" "${scope[@]}" "${SOCKET[@]}"
    tool verify "$image" "${scope[@]}" "${FILES[@]}"
    held "taken away and put back"
}

# An altered manifest of a signature hides no other one, and is told.
case_altered_signature() {
    local image=containerd:$SINGLE first blob
    export NOTATION_CONFIG=$CASE_DIR/config NOTATION_CACHE=$CASE_DIR/cache
    tool cert generate-test --default lab.example
    tool policy init --name lab --trust-store ca:lab.example
    ctr signed images import --all-platforms --no-unpack /lab/dup.tar
    tool sign "$image" --namespace signed --embed "${SOCKET[@]}"
    first=$(listed "$image" --namespace signed)
    blob=$state/containerd/io.containerd.content.v1.content/blobs/sha256/${first#sha256:}
    python3 "$here/damage.py" byte "$blob"
    refused_both_ways "altered" 16 "$first" verify "$image" --namespace signed
    tool sign "$image" --namespace signed --embed --signature-format cose "${SOCKET[@]}"
    tool verify "$image" --namespace signed "${SOCKET[@]}"
    tool verify "$image" --namespace signed "${FILES[@]}"
    rm "$blob"
    tool verify "$image" --namespace signed "${SOCKET[@]}"
    tool verify "$image" --namespace signed "${FILES[@]}"
    refused "read only" 20 tool sign "$image" --namespace signed --embed "${FILES[@]}"
}

case_not_found() {
    local image=containerd:$SINGLE
    refused_both_ways "like another" 20 "containerd:$SINGLE --namespace whole" \
        digest containerd:lab/dpu:1 --namespace whole
    refused_both_ways "other namespace" 20 "--namespace whole" digest "$image" --namespace other
    refused_both_ways "no such namespace" 20 "other, partial" digest "$image" --namespace w
    refused "no socket" 20 tool digest "$image" --address "$state/no.sock"
    refused "no files" 20 tool digest "$image" --containerd-root "$state/registry"
    refused "no permission, socket" 20 setpriv --reuid 65534 --regid 65534 --clear-groups --inh-caps=-all \
        --bounding-set=-all "$DOCKSEAL_BIN_DIR/dockseal" digest "$image" "${SOCKET[@]}"
}

case_ambiguous() {
    refused_both_ways "two images of one name" 16 "in other" digest "containerd:$TWOFOLD"
    stored other "$TWOFOLD" other.json
    both_ways other.json "containerd:$TWOFOLD" --namespace other
}

# Reads while another client writes: every one gives the right bytes.
case_busy() {
    local n writer
    stored whole "$SINGLE" stored.json
    for ((n = 0; n < 60; n++)); do
        ctr whole images tag --force "$SINGLE" "docker.io/lab/busy:$n"
    done >/dev/null &
    writer=$!
    for ((n = 0; n < 40; n++)); do
        tool manifest "containerd:$SINGLE" --namespace whole "${FILES[@]}" >files.json
        same_manifest "read $n" stored.json files.json
    done
    wait "$writer"
}

# Blobs that were damaged: containerd itself gives them out without a word.
case_damaged() {
    local image=docker.io/lab/gnu:1 digest blob layer
    export NOTATION_CONFIG=$CASE_DIR/config NOTATION_CACHE=$CASE_DIR/cache
    tool cert generate-test --default lab.example
    digest=$(record other "$image")
    layer=$(ctr other content get "$digest" | grep -o 'sha256:[0-9a-f]*' | tail -n 1)
    for digest in "$digest" "$layer"; do
        blob=$state/containerd/io.containerd.content.v1.content/blobs/sha256/${digest#sha256:}
        cp "$blob" blob
        python3 "$here/damage.py" byte "$blob"
        refused_both_ways "altered" 13 "$digest" sign "containerd:$image" --namespace other
        head -c -1 blob >"$blob"
        refused_both_ways "truncated" 13 "$digest" sign "containerd:$image" --namespace other
        rm "$blob"
        refused_both_ways "missing" 20 "$digest" sign "containerd:$image" --namespace other
        cp blob "$blob"
    done
    tool sign "containerd:$image" --namespace other "${FILES[@]}"
}

# broken_off BYTES STATUS [PID]: dockseal behind a socket that breaks off, or dies, after BYTES.
broken_off() {
    local bytes=$1 status=0
    rm -f cut.sock image.json x.jws.sig
    python3 "$here/cut.py" cut.sock "$state/containerd.sock" "$bytes" "${@:2}" &
    until_true 10 test -S cut.sock
    tool sign "containerd:$SINGLE" --namespace whole --address cut.sock -o x.jws.sig 2>err || status=$?
    wait "$!" || true
    cat err >&2
    [[ $status == 0 || $status == 20 ]] || fail "after $bytes bytes: exit status $status"
    if ((status == 0)); then
        tool verify "containerd:$SINGLE" --namespace whole -f x.jws.sig "${FILES[@]}"
    else
        [[ ! -e x.jws.sig ]] || fail "after $bytes bytes: a signature of what was not read"
        grep '^hint: ' err >/dev/null || fail "after $bytes bytes: no hint"
    fi
    [[ -z $(find . -name '.dockseal*') ]] || fail "after $bytes bytes: something is left"
    return "$status"
}

# Connections that break at any byte: all or nothing.
case_cut() {
    local bytes whole=0 broken=0
    export NOTATION_CONFIG=$CASE_DIR/config NOTATION_CACHE=$CASE_DIR/cache
    tool cert generate-test --default lab.example
    tool policy init --name lab --trust-store ca:lab.example
    for bytes in 0 1 9 50 100 200 400 600 900 1300 1800 2500 4000 6000 9000 14000 20000 50000 10000000; do
        if broken_off "$bytes"; then
            whole=$((whole + 1))
        else
            broken=$((broken + 1))
        fi
    done
    ((broken > 5 && whole > 0)) || fail "$broken broken off, $whole whole"
    held "$broken broken off, $whole whole"
}

# containerd itself, killed while it sends a layer.
case_killed() {
    export NOTATION_CONFIG=$CASE_DIR/config NOTATION_CACHE=$CASE_DIR/cache
    tool cert generate-test --default lab.example
    if broken_off 3000 "${daemons[-1]}"; then
        fail "it was killed, and all was read"
    fi
    refused "killed" 20 tool sign "containerd:$SINGLE" --namespace whole "${SOCKET[@]}" -o x.jws.sig
    tool sign "containerd:$SINGLE" --namespace whole "${FILES[@]}" -o x.jws.sig
    held "its files serve"
}

case_after_it_was_killed() {
    stored whole "$SINGLE" stored.json
    both_ways stored.json "containerd:$SINGLE" --namespace whole
}

# One manifest of 2,000: the times are for people to read.
case_many() {
    local image=docker.io/many/image:1234
    ctr many images import --no-unpack /lab/many.tar >/dev/null
    same_text "images" 2000 "$(ctr many images ls --quiet | wc -l)"
    stored many "$image" stored.json
    both_ways stored.json "containerd:$image" --namespace many
    echo "ctr content get, socket, files: real seconds"
    TIMEFORMAT=%R
    time ctr many content get "$(digest_of stored.json)" >/dev/null
    time tool manifest "containerd:$image" --namespace many "${SOCKET[@]}" >/dev/null
    time tool manifest "containerd:$image" --namespace many "${FILES[@]}" >/dev/null
}

# The files of a containerd that does not run.
case_stopped() {
    tool manifest containerd:docker.io/many/image:7 "${FILES[@]}" >files.json
    same_text "size" "$(tool digest containerd:docker.io/many/image:7 "${FILES[@]}" | cut -f 3)" \
        "$(stat -c %s files.json)"
    refused "no containerd" 20 tool manifest containerd:docker.io/many/image:7 "${SOCKET[@]}"
}
