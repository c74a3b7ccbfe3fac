# shellcheck shell=bash disable=SC2154
# The cases that one engine runs. Sourced by engine, which provides docker, REGISTRY, GO_GZIP,
# ENGINE_VERSION, ENGINE_API, the names of engine and store, and lib.sh.
#
# Every case ends in the same question: are the bytes that dockseal makes of `docker save` those
# that the registry received from `docker push`?

ENGINE=$name-$store

run_cases() {
    local kind
    run_case "$ENGINE/build" case_build legacy
    run_case "$ENGINE/buildkit" case_build buildkit
    run_case "$ENGINE/import" case_import
    run_case "$ENGINE/commit" case_commit
    for kind in dup empty onlyempty gzl gnu pax padding edges escapes; do
        run_case "$ENGINE/load-$kind" case_load "$kind"
    done
    if [[ $store == graph ]]; then
        # Not with the containerd store: pushing a blob of no bytes crashes dockerd 26.1.
        run_case "$ENGINE/load-zero-byte-layer" case_load zero-byte-layer
    fi
    run_case "$ENGINE/rootfs" case_rootfs
    run_case "$ENGINE/rootfs-build" case_rootfs_build
    run_case "$ENGINE/run-commit" case_run_commit
    run_case "$ENGINE/several" case_several
    run_case "$ENGINE/self-check" case_self_check
    run_case "$ENGINE/plugin" case_plugin
    run_case "$ENGINE/corrupt" case_corrupt
    run_case "$ENGINE/export" case_export
    if [[ $name == bookworm ]]; then
        for kind in gzip zstd xz bzip2; do
            run_case "$ENGINE/outer-$kind" case_outer "$kind"
        done
    fi
    if [[ $store == containerd ]]; then
        for kind in oci-index nested-index attested-index; do
            run_case "$ENGINE/load-$kind" case_load "$kind"
        done
        run_case "$ENGINE/load-docker-list" case_load_list
        run_case "$ENGINE/index" case_index
        run_case "$ENGINE/index-platform" case_index_platform
        run_case "$ENGINE/index-partial" case_index_partial
    fi
}

# dockseal remembers what layers compress to, in CACHE below the case's directory. Each way starts
# with an empty one, so that every result is computed and none is only remembered.
CACHE=cache

dockseal() { XDG_CACHE_HOME=$CASE_DIR/$CACHE "$DOCKSEAL_BIN_DIR/dockseal" "$@"; }

empty_cache() { CACHE=$(cd "$CASE_DIR" && mktemp -d cache.XXXXXX); }

api_at_least() {
    printf '%s\n' "$1" "$ENGINE_API" | sort --check=quiet --version-sort
}

# push REF REPOSITORY FILE [OPTION...]: pushes and leaves the manifest that the registry received.
push() {
    local ref=$1 repository=$2 file=$3
    shift 3
    push_only "$ref" "$repository" "$@"
    received "$repository" "$file"
}

push_only() {
    local ref=$1 target=$REGISTRY/$2:1
    shift 2
    docker tag "$ref" "$target"
    docker push "$@" "$target" 2>&1 | tee push.log >&2
}

# The engine prints what it pushed; the registry must have received the same.
received() {
    local said
    fetch "$1:1" "$2"
    said=$(grep -o 'digest: sha256:[0-9a-f]*' push.log | tail -n 1)
    same_text "digest printed by docker push" "$(digest_of "$2")" "${said#digest: }"
}

# fetch REPOSITORY:TAG FILE: the manifest's bytes by tag and, byte for byte the same, by digest.
fetch() {
    local repository=${1%:*} tag=${1##*:} file=$2 digest
    get_manifest "$repository" "$tag" "$file"
    digest=$(tr -d '\r' <"$file.headers" | sed -n 's/^docker-content-digest: *//Ip')
    same_text "digest told by the registry" "$(digest_of "$file")" "$digest"
    get_manifest "$repository" "$digest" "$file.by-digest"
    same_manifest "manifest by digest" "$file" "$file.by-digest"
}

get_manifest() {
    curl --noproxy '*' --fail --silent --show-error --dump-header "$3.headers" --output "$3" \
        --header 'Accept: application/vnd.docker.distribution.manifest.v2+json' \
        --header 'Accept: application/vnd.docker.distribution.manifest.list.v2+json' \
        --header 'Accept: application/vnd.oci.image.manifest.v1+json' \
        --header 'Accept: application/vnd.oci.image.index.v1+json' \
        "http://$REGISTRY/v2/$1/manifests/$2"
}

# A digest that is off by one byte has to be noticed, with this engine's own manifest.
case_self_check() {
    docker save lab/dup:1 >image.tar
    push lab/dup:1 lab/self-check pushed.json
    cp pushed.json altered.json
    python3 "$here/damage.py" byte altered.json
    if (same_manifest "altered manifest" pushed.json altered.json); then
        fail "an altered manifest passed as the pushed one"
    fi
    rm "$CASE_DIR/reason"
    generate image.tar pushed.json
}

# generate TAR PUSHED [OPTION...]: all of dockseal's ways from an archive to its manifest.
generate() {
    local tar=$1 pushed=$2
    shift 2
    from_plugin "$tar" "$pushed" "$@"
    from_file "$tar" "$pushed" "$@"
    dockseal manifest "$tar" --go-gzip "$GO_GZIP" "$@" >from-cache.json
    same_manifest "dockseal manifest FILE, remembered" "$pushed" from-cache.json
    empty_cache
    dockseal manifest - --go-gzip "$GO_GZIP" "$@" <"$tar" >from-stdin.json
    same_manifest "dockseal manifest -" "$pushed" from-stdin.json
    empty_cache
    dockseal manifest "$tar" --go-gzip "$GO_GZIP" -o to-file.json "$@"
    same_manifest "dockseal manifest -o" "$pushed" to-file.json
    empty_cache
    mkdir unpacked
    tar --extract --file "$tar" --directory unpacked
    dockseal manifest unpacked --go-gzip "$GO_GZIP" "$@" >from-directory.json
    same_manifest "dockseal manifest DIRECTORY" "$pushed" from-directory.json
    rm -rf unpacked
    empty_cache
    same_text "dockseal digest" "$(digest_of "$pushed")" \
        "$(dockseal digest "$tar" --format json --go-gzip "$GO_GZIP" "$@" | descriptor_digest)"
}

from_file() {
    local tar=$1 pushed=$2
    shift 2
    empty_cache
    dockseal manifest "$tar" --go-gzip "$GO_GZIP" "$@" >from-file.json
    same_manifest "dockseal manifest FILE" "$pushed" from-file.json
}

from_plugin() {
    local tar=$1 pushed=$2
    shift 2
    empty_cache
    docker generate manifest --go-gzip "$GO_GZIP" "$@" <"$tar" >plugin.json
    same_manifest "docker generate manifest" "$pushed" plugin.json
}

# The digest in the JSON report of `dockseal digest` on one image.
descriptor_digest() {
    python3 -c 'import json, sys; print(json.load(sys.stdin)["digest"])'
}

# compare REF [FUNCTION...]: saves, pushes and compares; the functions are `generate` unless told.
compare() {
    local ref=$1 way
    shift
    docker save "$ref" >image.tar
    push "$ref" "${ref%:*}" pushed.json
    for way in "${@:-generate}"; do
        "$way" image.tar pushed.json
    done
}

# case_build legacy|buildkit
case_build() {
    local buildkit=0 help
    if [[ $1 == buildkit ]]; then
        buildkit=1
        help=$(DOCKER_BUILDKIT=1 docker build --help 2>&1)
        [[ $help == *buildx* || $help == *BuildKit* ]] || skip "this client has no BuildKit"
    fi
    python3 "$here/archive.py" context context.tar
    DOCKER_BUILDKIT=$buildkit docker build --tag "lab/$1:1" - <context.tar
    compare "lab/$1:1"
}

case_import() {
    python3 "$here/archive.py" context tree.tar
    docker import --change 'CMD ["/data/prose"]' --message "imported & <escaped>" - lab/import:1 \
        <tree.tar
    compare lab/import:1
}

# A container that never runs: files are copied into it, then it becomes an image of two layers.
case_commit() {
    local container
    python3 "$here/archive.py" context tree.tar
    docker import --change 'CMD ["/none"]' - lab/commit-base:1 <tree.tar
    container=$(docker create lab/commit-base:1)
    mkdir added
    head -c 200000 /dev/zero >added/zeros
    cp "$here/cases.sh" added/
    tar --create --directory added . | docker cp - "$container:/"
    docker commit --author 'A <a@b>' --change 'ENV X="a&b"' "$container" lab/commit:1
    docker rm "$container"
    compare lab/commit:1
}

case_load() {
    python3 "$here/archive.py" "$1" loaded.tar
    docker load <loaded.tar
    compare "lab/$1:1"
}

# Docker's own kind of index, a manifest list.
case_load_list() {
    [[ $ENGINE_VERSION != 26.* ]] ||
        skip "Docker 26 can't push a manifest list: the registry answers its HEAD request with 400"
    case_load docker-list
}

# A whole Debian, as debootstrap made it.
case_rootfs() {
    local size
    size=$(stat -c %s "$LAB_ROOTFS")
    ((size >= 100000000)) || fail "the real root filesystem has only $size bytes"
    docker import --change 'CMD ["/bin/sh"]' - lab/rootfs:1 <"$LAB_ROOTFS"
    compare lab/rootfs:1 from_file from_plugin
}

# Few instructions: on the vfs driver each of them copies the whole root filesystem.
case_rootfs_build() {
    docker image inspect lab/rootfs:1 >/dev/null || fail "the image of the case before is missing"
    mkdir context
    cp "$here/cases.sh" context/
    printf 'FROM lab/rootfs:1\nCOPY cases.sh /srv/\nUSER daemon\n' >context/Dockerfile
    tar --create --directory context . | docker build --tag lab/rootfs-build:1 -
    compare lab/rootfs-build:1 from_plugin
}

# Where containers can run, a real package manager changes the root filesystem.
case_run_commit() {
    local status=0
    docker run --name ran --network none lab/rootfs:1 /bin/sh -c \
        'dpkg --purge --force-all tzdata && rm -rf /usr/share/doc && date >/etc/motd' || status=$?
    if ((status == 125)); then
        docker info >/dev/null || fail "the engine does not answer"
        skip "containers cannot run here"
    fi
    ((status == 0)) || fail "the container ended with exit status $status"
    docker commit ran lab/ran:1
    docker rm ran
    compare lab/ran:1 from_file
}

# Two images in one archive: one has to be named.
case_several() {
    docker save lab/dup:1 lab/gnu:1 >image.tar
    push lab/gnu:1 lab/several pushed.json
    generate image.tar pushed.json --image lab/gnu:1
    refused "no image named" 16 dockseal manifest image.tar --go-gzip "$GO_GZIP"
}

# The docker client finds the plugin, shows its help, and hands it global options and a file name.
case_plugin() {
    local plugins inside=/lab/cases/${CASE_DIR##*/}
    plugins=$(docker info --format '{{range .ClientInfo.Plugins}}{{.Name}} {{.Err}}
{{end}}')
    same_text "plugin as docker info tells it" "generate <nil>" "$(grep '^generate ' <<<"$plugins")"
    docker generate --help >help.txt
    docker help generate >help-first.txt
    grep -w manifest help.txt
    cmp help.txt help-first.txt
    docker save lab/dup:1 >image.tar
    push lab/dup:1 lab/plugin pushed.json
    docker --debug --log-level warn generate manifest --go-gzip "$GO_GZIP" -o "$inside/file.json" \
        <image.tar
    same_manifest "docker generate manifest -o" pushed.json file.json
}

# A saved archive of which one byte of the largest layer, or the end, is gone.
case_corrupt() {
    docker save lab/dup:1 >image.tar
    cp image.tar flipped.tar
    python3 "$here/damage.py" flip flipped.tar
    refused "one byte flipped, file" 13 dockseal manifest flipped.tar --go-gzip "$GO_GZIP"
    refused "one byte flipped, stdin" 13 dockseal manifest - --go-gzip "$GO_GZIP" <flipped.tar
    python3 "$here/damage.py" truncate image.tar
    refused "truncated, file" 16 dockseal manifest image.tar --go-gzip "$GO_GZIP"
    refused "truncated, stdin" 16 dockseal manifest - --go-gzip "$GO_GZIP" <image.tar
    refused "truncated, plugin" 1 docker generate manifest --go-gzip "$GO_GZIP" <image.tar
}

# What `docker export` writes is no image; the message has to say what it is.
case_export() {
    local container
    container=$(docker create lab/dup:1)
    docker export "$container" >export.tar
    docker rm "$container"
    refused "docker export" 16 dockseal manifest export.tar
    grep -i 'docker export' refused.err || fail "the message does not name docker export"
}

# `docker save | gzip` and its like; several members or frames are legal.
case_outer() {
    docker save lab/dup:1 >image.tar
    push lab/dup:1 "lab/outer-$1" pushed.json
    split --bytes=1M image.tar part.
    cat part.* | cmp - image.tar
    for part in part.*; do
        "$1" --stdout "$part"
    done >image.tar.packed
    generate image.tar.packed pushed.json
    "$1" --stdout image.tar >image.tar.packed
    generate image.tar.packed pushed.json
}

build_index() {
    docker image inspect lab/index:1 >/dev/null 2>&1 && return
    docker buildx version || skip "this client has no buildx"
    python3 "$here/archive.py" context context.tar
    DOCKER_BUILDKIT=1 docker buildx build --platform linux/amd64,linux/arm64 --provenance=mode=min \
        --tag lab/index:1 - <context.tar
}

# Two platforms with their attestations: the index itself is what push sends.
case_index() {
    build_index
    compare lab/index:1
    grep -q '"manifests"' pushed.json || fail "the engine did not push an index"
    grep -q 'attestation-manifest' pushed.json || fail "the index has no attestation"
}

# One platform of an index, taken from the whole archive and from a partial one.
case_index_platform() {
    api_at_least 1.48 || skip "docker save and push know --platform from API 1.48"
    build_index
    docker save lab/index:1 >whole.tar
    push lab/index:1 lab/index-platform pushed.json --platform linux/amd64
    grep -q '"layers"' pushed.json || fail "the engine did not push a single image"
    generate whole.tar pushed.json --platform linux/amd64
    docker save --platform linux/amd64 lab/index:1 >platform.tar
    generate platform.tar pushed.json
}

# An index of which only one platform was pulled. 27.0 and later push that platform's manifest in
# its place, older engines push nothing; what an archive cannot tell is answered with status 17.
case_index_partial() {
    local source=$REGISTRY/lab/partial-source:1 status=0
    python3 "$here/archive.py" oci-index index.tar
    docker load <index.tar
    push lab/oci-index:1 lab/partial-source whole.json
    grep -q '"manifests"' whole.json || fail "the engine did not push an index"
    docker rmi lab/oci-index:1 "$REGISTRY/lab/oci-index:1" "$source"
    docker pull --platform linux/amd64 "$source"
    docker tag "$source" lab/oci-partial:1
    docker save lab/oci-partial:1 >image.tar
    push_only lab/oci-partial:1 elsewhere/partial || status=$?
    if ((status == 0)); then
        received elsewhere/partial pushed.json
        ! cmp --silent whole.json pushed.json || fail "the index was pushed whole: no partial one"
        generate image.tar pushed.json --platform linux/amd64
    elif api_at_least 1.46; then
        fail "this engine should have pushed the manifest of its platform"
    fi
    refused "partial index" 17 dockseal manifest image.tar
}
