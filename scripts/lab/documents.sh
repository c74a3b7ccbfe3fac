# shellcheck shell=bash disable=SC2154
# The commands of README.md and docs/ that need an engine, a registry or notation: the test `docs` of
# Cargo's, run in the engine's root directory, where all of these are. Sourced by engine; needs lib.sh.

# Debian sid has all of it. Documents show what a graph-driver engine says.
run_documents() {
    if [[ $ENGINE != sid-graph ]]; then
        return
    elif [[ -z $LAB_DOCUMENTS ]]; then
        verdict skipped "$ENGINE/documents" "no cargo"
    else
        run_case "$ENGINE/documents" case_documents
    fi
}

# The same paths as outside, so that the test finds this repository and its own files.
case_documents() {
    local repository
    repository=$(cd "$here/../.." && pwd)
    mkdir -p "$root$repository" "$state/documents" home
    mount --bind "$repository" "$root$repository"
    [[ -n ${DOCKSEAL_DOCS_UPDATE:-} ]] || mount -o remount,bind,ro "$root$repository"
    cp "$LAB_DOCUMENTS" "$state/documents/test"
    cp "$DOCKSEAL_BIN_DIR"/{dockseal,docker-generate,dockseal-containerd-verifier} "$state/documents/"
    chroot "$root" env DOCKSEAL_DOCS_HAVE='containerd docker notation oras registry' \
        DOCKSEAL_BIN_DIR=/lab/documents HOME="/lab/cases/${CASE_DIR##*/}/home" TMPDIR=/tmp \
        CONTAINERD_ADDRESS=/lab/containerd.sock DOCKER_HOST=unix:///lab/docker.sock \
        REGISTRY="$REGISTRY" /lab/documents/test --ignored --nocapture 2>&1 | tee output
    umount "$root$repository"
    grep -q '^running .*blocks that need' output || fail "no document ran"
    held "$(grep -c '^running .*blocks that need' output) documents"
}
