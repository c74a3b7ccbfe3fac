# shellcheck shell=bash disable=SC2154
# The cases in which dockseal asks the engine itself. Sourced by engine, after cases.sh, whose images
# and pushes they look at again.
#
# dockseal runs in the engine's root directory as its administrator would run it: it sees what the
# engine keeps of pulls and pushes.

OTHER_REGISTRY=127.0.0.1:5001

run_daemon_cases() {
    cp "$DOCKSEAL_BIN_DIR/dockseal" "$state/"
    start_other_registry
    run_case "$ENGINE/daemon-pushed" case_daemon_pushed
    run_case "$ENGINE/daemon-names" case_daemon_names
    run_case "$ENGINE/daemon-dial-stdio" case_daemon_dial_stdio
    run_case "$ENGINE/daemon-ssh" case_daemon_ssh
    run_case "$ENGINE/daemon-tls" case_daemon_tls
    run_case "$ENGINE/daemon-sign" case_daemon_sign
    if [[ $store == graph ]]; then
        run_case "$ENGINE/daemon-zero-layers" case_daemon_zero_layers
        run_case "$ENGINE/daemon-pulled" case_daemon_pulled
        run_case "$ENGINE/daemon-pulled-base" case_daemon_pulled_base
    else
        run_case "$ENGINE/daemon-platform" case_daemon_platform
        run_case "$ENGINE/daemon-partial" case_daemon_partial
    fi
    run_case "$ENGINE/daemon-load" case_daemon_load
    # The last one: there is no engine afterwards.
    run_case "$ENGINE/daemon-killed" case_daemon_killed
}

start_other_registry() {
    sed "s|$REGISTRY|$OTHER_REGISTRY|; s|/lab/registry}|/lab/other-registry}|" \
        "$state/registry.yml" >"$state/other-registry.yml"
    start other-registry docker-registry serve /lab/other-registry.yml
    until_true 60 curl --noproxy '*' --fail --silent "http://$OTHER_REGISTRY/v2/" ||
        not_ready other-registry
}

# asked [OPTION...]: dockseal in the engine's root directory; the engine is that of DOCKER_HOST.
asked() {
    chroot "$root" env HOME=/lab/home DOCKER_CONFIG=/lab/docker-config \
        DOCKER_HOST="${ENGINE_HOST:-unix:///lab/docker.sock}" \
        XDG_CACHE_HOME="/lab/cases/${CASE_DIR##*/}/$CACHE" /lab/dockseal "$@"
}

# from_engine IMAGE PUSHED [OPTION...]: dockseal and the plugin, both over the API.
from_engine() {
    local image=$1 pushed=$2
    shift 2
    empty_cache
    asked manifest "docker-daemon:$image" "$@" >from-engine.json
    same_manifest "docker-daemon:$image" "$pushed" from-engine.json
    docker generate manifest "$image" "$@" >plugin.json
    same_manifest "docker generate manifest $image" "$pushed" plugin.json
}

# Everything that the cases before built, imported, committed, loaded or tagged again, and pushed.
case_daemon_pushed() {
    local image repository count=0
    while read -r image; do
        repository=${image#"$REGISTRY/"}
        repository=${repository%:*}
        case $repository in
            # Whole root filesystems take long, and these were pushed in part or pulled again.
            lab/rootfs* | lab/ran | lab/index-platform | lab/partial-source | elsewhere/partial) continue ;;
        esac
        get_manifest "$repository" "${image##*:}" pushed.json
        from_engine "$image" pushed.json
        if [[ $store == graph ]]; then
            asked digest "docker-daemon:$image" --pushed >/dev/null
            held "digest --pushed $image"
        fi
        count=$((count + 1))
    done < <(docker image ls --format '{{.Repository}}:{{.Tag}}' | grep "^$REGISTRY/")
    say "$count images"
    if [[ $store == graph ]]; then
        refused "recorded otherwise" 13 asked digest docker-daemon:lab/dup:1 --pushed \
            --go-gzip "$([[ $GO_GZIP == go1.8 ]] && echo go1.27 || echo go1.8)"
    fi
    ((count >= 10)) || fail "only $count images were pushed before"
}

# However an image is named; and what is said of names, contexts and users that are wrong.
case_daemon_names() {
    local id
    get_manifest lab/dup 1 pushed.json
    id=$(docker image inspect --format '{{.Id}}' lab/dup:1)
    docker tag lab/dup:1 lab/dup:latest
    for image in lab/dup "$id" "${id#sha256:}" "${id:7:12}"; do
        from_engine "$image" pushed.json
    done
    refused "no such image" 20 asked manifest docker-daemon:lab/dpu:1
    grep 'similar names: .*lab/dup:1' refused.err || fail "no similar name"
    ENGINE_HOST=unix:///lab/nothing.sock
    refused "no socket" 20 asked manifest docker-daemon:lab/dup:1
    unset ENGINE_HOST
    refused "no permission" 20 chroot --userspec=65534:65534 "$root" \
        env HOME=/nonexistent DOCKER_HOST=unix:///lab/docker.sock /lab/dockseal manifest docker-daemon:lab/dup:1
    grep -i 'permission denied' refused.err || fail "the reason is not said"
    # A context of the real client.
    docker context create lab --docker host=unix:///lab/docker.sock >/dev/null
    chroot "$root" env HOME=/lab/home DOCKER_CONFIG=/lab/docker-config DOCKER_CONTEXT=lab \
        /lab/dockseal manifest docker-daemon:lab/dup:1 >context.json
    same_manifest "docker-daemon: over a context" pushed.json context.json
    docker context rm lab
}

# Where the plugin is told to, the docker client makes the connection.
case_daemon_dial_stdio() {
    get_manifest lab/dup 1 pushed.json
    chroot "$root" env DOCKER_CONFIG=/lab/docker-config DOCKER_CLI_PLUGIN_USE_DIAL_STDIO=1 \
        docker -H unix:///lab/docker.sock generate manifest lab/dup:1 >dialled.json
    same_manifest "through docker system dial-stdio" pushed.json dialled.json
}

# As docker does it: ssh to a real sshd, and there `docker system dial-stdio`. Whose key is unknown
# is not spoken to.
case_daemon_ssh() {
    local ssh=/lab/cases/${CASE_DIR##*/} log=/lab/ssh-commands
    in_engine test -x /usr/sbin/sshd || skip "there is no sshd"
    get_manifest lab/dup 1 pushed.json
    mkdir -p "$root/run/sshd"
    in_engine ssh-keygen -q -t ed25519 -N '' -f "$ssh/host"
    in_engine ssh-keygen -q -t ed25519 -N '' -f "$ssh/user"
    # The engine is where the remote user's docker finds it.
    cat >sshd_config <<-EOT
		Port 2222
		ListenAddress 127.0.0.1
		HostKey $ssh/host
		AuthorizedKeysFile $ssh/user.pub
		StrictModes no
		UsePAM no
		PasswordAuthentication no
		SetEnv DOCKER_HOST=unix:///lab/docker.sock
		PidFile none
	EOT
    printf '#!/bin/sh\necho "$@" >>%s\nexec /usr/bin/ssh -F %s/config "$@"\n' "$log" "$ssh" >ssh
    chmod 755 ssh
    printf 'IdentityFile %s/user\nUserKnownHostsFile %s/known_hosts\nStrictHostKeyChecking yes\n' \
        "$ssh" "$ssh" >config
    start sshd /usr/sbin/sshd -D -e -f "$ssh/sshd_config"
    over_ssh() {
        chroot "$root" env PATH="$ssh:$PATH" HOME=/lab/home "$@"
    }
    ENGINE_HOST=ssh://root@127.0.0.1:2222
    until_true 30 in_engine bash -c 'exec 3<>/dev/tcp/127.0.0.1/2222' || not_ready sshd
    refused "an unknown host" 20 over_ssh env DOCKER_HOST="$ENGINE_HOST" /lab/dockseal manifest \
        docker-daemon:lab/dup:1
    grep -i 'host key verification failed' refused.err || fail "the reason is not said"
    printf '[127.0.0.1]:2222 %s\n' "$(<host.pub)" >known_hosts
    over_ssh env DOCKER_HOST="$ENGINE_HOST" /lab/dockseal manifest docker-daemon:lab/dup:1 >ssh.json
    same_manifest "over ssh" pushed.json ssh.json
    grep -F -e 'docker system dial-stdio' "$root$log" || fail "no ssh was run"
    over_ssh env DOCKER_CONFIG=/lab/docker-config docker -H "$ENGINE_HOST" generate manifest lab/dup:1 \
        >plugin.json
    same_manifest "the plugin over ssh" pushed.json plugin.json
    refused "no such user" 20 over_ssh env DOCKER_HOST=ssh://nobody@127.0.0.1:2222 /lab/dockseal \
        manifest docker-daemon:lab/dup:1
    unset ENGINE_HOST
    stop_last
}

# certificate NAME CA EXTENSIONS: a key and its certificate, in NAME/key.pem and NAME/cert.pem.
certificate() {
    local own
    mkdir -p "$1"
    openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -noenc -subj "/CN=$1" \
        -keyout "$1/key.pem" -out "$1/request.pem"
    own=(-signkey "$1/key.pem")
    [[ $2 == "$1" ]] || own=(-CA "$2/cert.pem" -CAkey "$2/key.pem" -CAcreateserial)
    openssl x509 -req -in "$1/request.pem" "${own[@]}" -days 2 -extfile <(printf '%s' "$3") \
        -out "$1/cert.pem"
}

# The engine behind TLS, which wants a client certificate: with a context that the real client made,
# and with the options and variables that it has for that.
case_daemon_tls() {
    local inside=/lab/cases/${CASE_DIR##*/} url=tcp://127.0.0.1:2376
    get_manifest lab/dup 1 pushed.json
    certificate ca ca 'basicConstraints=critical,CA:TRUE'
    certificate other other 'basicConstraints=critical,CA:TRUE'
    certificate server ca 'subjectAltName=IP:127.0.0.1'
    certificate client ca 'extendedKeyUsage=clientAuth'
    cp ca/cert.pem client/ca.pem
    mkdir anonymous strange
    cp ca/cert.pem anonymous/ca.pem
    cp client/cert.pem client/key.pem strange/
    cp other/cert.pem strange/ca.pem
    python3 "$here/tls_proxy.py" 2376 server/cert.pem server/key.pem ca/cert.pem \
        "$state/docker.sock" &
    docker context create tls --docker \
        "host=$url,ca=$inside/client/ca.pem,cert=$inside/client/cert.pem,key=$inside/client/key.pem"
    local with_context=(chroot "$root" env HOME=/lab/home DOCKER_CONFIG=/lab/docker-config
        DOCKER_CONTEXT=tls)
    until_true 30 "${with_context[@]}" docker version
    "${with_context[@]}" /lab/dockseal manifest docker-daemon:lab/dup:1 >context.json
    same_manifest "docker-daemon: over a context with TLS" pushed.json context.json
    "${with_context[@]}" docker generate manifest lab/dup:1 >plugin.json
    same_manifest "docker generate manifest over a context with TLS" pushed.json plugin.json
    local verified=(chroot "$root" env HOME=/lab/home DOCKER_HOST="$url" DOCKER_TLS_VERIFY=1)
    "${verified[@]}" DOCKER_CERT_PATH="$inside/client" /lab/dockseal manifest \
        docker-daemon:lab/dup:1 >verified.json
    same_manifest "docker-daemon: with DOCKER_TLS_VERIFY" pushed.json verified.json
    refused "another authority" 20 "${verified[@]}" DOCKER_CERT_PATH="$inside/strange" \
        /lab/dockseal manifest docker-daemon:lab/dup:1
    refused "no client certificate" 20 "${verified[@]}" DOCKER_CERT_PATH="$inside/anonymous" \
        /lab/dockseal manifest docker-daemon:lab/dup:1
    # --tls alone takes any certificate, as the real client does.
    chroot "$root" env DOCKER_CONFIG=/lab/docker-config DOCKER_CERT_PATH="$inside/strange" \
        docker --tls -H "$url" generate manifest lab/dup:1 >unverified.json
    same_manifest "docker --tls generate manifest" pushed.json unverified.json
    docker context rm tls
}

# Signed from the engine, verified from the engine; another image has no signature.
case_daemon_sign() {
    asked cert generate-test --default lab
    asked policy init --name lab --trust-store ca:lab
    get_manifest lab/dup 1 pushed.json
    asked sign docker-daemon:lab/dup:1 --quiet >signed
    same_text "signed digest" "$(digest_of pushed.json)" "$(<signed)"
    asked verify docker-daemon:lab/dup:1 --quiet >verified
    same_text "verified digest" "$(digest_of pushed.json)" "$(<verified)"
    refused "no signature" 10 asked verify docker-daemon:lab/gnu:1
}

# A graph-driver engine pushes an image without layers, but does not save it.
case_daemon_zero_layers() {
    printf 'FROM scratch\nLABEL nothing=here\n' >Dockerfile
    docker build --tag lab/zero:1 - <Dockerfile
    push lab/zero:1 lab/zero pushed.json
    from_engine lab/zero:1 pushed.json
}

# upload_foreign: an image whose layer no engine would compress so, pulled from its repository.
upload_foreign() {
    python3 "$here/archive.py" oci-index foreign.tar
    python3 "$here/upload.py" foreign.tar "http://$REGISTRY" pulled/base 1
    docker pull "$REGISTRY/pulled/base:1"
}

# to_target IMAGE REPOSITORY PUSHED [OPTION...]: predicted before the push, compared after it.
to_target() {
    local image=$1 target=$2 pushed=$3
    shift 3
    asked manifest "docker-daemon:$image" --target-repository "$target" "$@" >predicted.json
    docker tag "$image" "$target:1"
    docker push "$target:1" 2>&1 | tee push.log >&2
    curl --noproxy '*' --fail --silent --show-error --output "$pushed" \
        --header 'Accept: application/vnd.docker.distribution.manifest.v2+json' \
        "http://${target%%/*}/v2/${target#*/}/manifests/1"
    same_manifest "predicted for $target" "$pushed" predicted.json
}

# A pulled image, pushed again: to its repository, to another one, and to another registry.
case_daemon_pulled() {
    local image=$REGISTRY/pulled/base:1
    upload_foreign
    refused "the size of a layer is not known" 17 asked manifest "docker-daemon:$image" \
        --target-repository "$REGISTRY/pulled/copy"
    refused "not signed where it depends" 17 asked sign "docker-daemon:$image"
    cp foreign.tar "$state/foreign.tar"
    to_target "$image" "$REGISTRY/pulled/copy" copy.json --layer-source /lab/foreign.tar
    to_target "$image" "$OTHER_REGISTRY/pulled/copy" elsewhere.json
    ! cmp --silent copy.json elsewhere.json || fail "both registries received the same"
    to_target "$image" "$REGISTRY/pulled/third" third.json --layer-source /lab/foreign.tar
    # What was pushed elsewhere is what the engine makes itself.
    asked digest "docker-daemon:$image" --pushed --target-repository "$OTHER_REGISTRY/pulled/copy"
    to_target "$image" "$REGISTRY/pulled/base" same.json --layer-source /lab/foreign.tar
}

# A pulled base with a layer of one's own.
case_daemon_pulled_base() {
    docker image inspect "$REGISTRY/pulled/base:1" >/dev/null || upload_foreign
    [[ -e $state/foreign.tar ]] || fail "the image of the case before is missing"
    mkdir context
    cp "$here/daemon.sh" context/
    printf 'FROM %s/pulled/base:1\nCOPY daemon.sh /srv/\n' "$REGISTRY" >context/Dockerfile
    tar --create --directory context . | docker build --tag lab/child:1 -
    refused "not signed where it depends" 17 asked sign docker-daemon:lab/child:1
    to_target lab/child:1 "$REGISTRY/lab/child" near.json --layer-source /lab/foreign.tar
    to_target lab/child:1 "$OTHER_REGISTRY/lab/child" far.json
    ! cmp --silent near.json far.json || fail "both registries received the same"
    # The manifest that the first registry has names the size too.
    cp near.json "$state/near.json"
    asked manifest docker-daemon:lab/child:1 --target-repository "$REGISTRY/lab/child" \
        --known-manifest /lab/near.json >known.json
    same_manifest "with --known-manifest" near.json known.json
    # As the engine recorded both, what is signed for either is certain now.
    asked digest docker-daemon:lab/child:1 --quiet --strict \
        --target-repository "$REGISTRY/lab/child" --known-manifest /lab/near.json >certain
    same_text "certain after the push" "$(digest_of near.json)" "$(<certain)"
}

# One platform of an index, as docker push --platform sends it.
case_daemon_platform() {
    api_at_least 1.48 || skip "docker save and push know --platform from API 1.48"
    build_index
    get_manifest lab/index-platform 1 pushed.json
    from_engine lab/index:1 pushed.json --platform linux/amd64
}

# An index of which one platform is there: the engine's version decides.
case_daemon_partial() {
    docker image inspect lab/oci-partial:1 >/dev/null || fail "the image of the case before is missing"
    if api_at_least 1.46; then
        get_manifest elsewhere/partial 1 pushed.json
        from_engine lab/oci-partial:1 pushed.json
    else
        refused "partial index" 17 asked manifest docker-daemon:lab/oci-partial:1
        grep 'pushes nothing' refused.err || fail "the reason is not said"
    fi
}

# loads IMAGE: the image is saved, signed, removed, and loaded again by dockseal; the engine then has
# the same image, and pushes the same manifest.
loads() {
    local image=$1 name=${1#lab/} id inside=/lab/cases/${CASE_DIR##*/}
    name=${name%:1}
    get_manifest "lab/$name" 1 pushed.json
    docker save "$image" >image.tar
    rm -f image.sig
    asked sign "$inside/image.tar" --go-gzip "$GO_GZIP" -o "$inside/image.sig" --quiet >signed
    same_text "digest of $image signed in its archive" "$(digest_of pushed.json)" "$(<signed)"
    id=$(docker image inspect --format '{{.Id}}' "$image")
    docker image rm --force "$id"
    ! docker image inspect "$image" || fail "$image is still there"
    # Nothing of what is not verified gets there.
    cp image.tar altered.tar
    python3 "$here/damage.py" flip altered.tar
    refused "altered $image" 13 asked load "$inside/altered.tar" --signature "$inside/image.sig" \
        --go-gzip "$GO_GZIP" --into docker
    ! docker image inspect "$image" || fail "altered $image was loaded"
    asked load "$inside/image.tar" --signature "$inside/image.sig" --go-gzip "$GO_GZIP" --into docker >&2
    same_text "ID of $image" "$id" "$(docker image inspect --format '{{.Id}}' "$image")"
    push "$image" "loaded/$name" again.json
    same_manifest "$image, loaded and pushed" pushed.json again.json
    # containerd gets the very manifest that was signed, whatever the archive holds of it.
    refused "altered $image for containerd" 13 asked load "$inside/altered.tar" --signature "$inside/image.sig" \
        --go-gzip "$GO_GZIP" --into containerd --address /lab/containerd.sock --namespace loaded
    [[ -z $(loaded_by_containerd images ls --quiet) ]] || fail "altered $image is in containerd"
    asked load "$inside/image.tar" --signature "$inside/image.sig" --go-gzip "$GO_GZIP" --into containerd \
        --address /lab/containerd.sock --namespace loaded >&2
    same_text "manifest of $image in containerd" "$(digest_of pushed.json)" \
        "$(loaded_by_containerd images ls "name==docker.io/$image" | grep -o 'sha256:[0-9a-f]*')"
    # A collection; `content prune references` would take the layers on purpose.
    loaded_by_containerd leases delete --sync "$(loaded_by_containerd leases create)"
    same_text "$image verified in containerd" "$(digest_of pushed.json)" \
        "$(asked verify "containerd:docker.io/$image" --address /lab/containerd.sock --namespace loaded \
            --signature "$inside/image.sig" --quiet)"
    [[ -z $(loaded_by_containerd leases ls --quiet) ]] || fail "a lease is left"
    loaded_by_containerd images rm --sync "docker.io/$image"
}

loaded_by_containerd() { in_engine ctr --address /lab/containerd.sock --namespace loaded "$@"; }

case_daemon_load() {
    loads lab/dup:1
    loads lab/gnu:1
    loads lab/import:1
    [[ $store == graph ]] || loads lab/index:1
}

# The engine is killed while dockseal reads from it.
case_daemon_killed() {
    local status=0 reader
    docker image inspect lab/rootfs:1 >/dev/null || fail "the image of a case before is missing"
    asked manifest docker-daemon:lab/rootfs:1 --verbose --no-progress \
        -o "/lab/cases/${CASE_DIR##*/}/out.json" >killed.out 2>killed.err &
    reader=$!
    until_true 60 grep -q 'the engine at' killed.err || fail "dockseal did not ask the engine"
    kill -KILL "$(<"$state/docker.pid")"
    wait "$reader" || status=$?
    cat killed.err >&2
    same_text "exit status" 20 "$status"
    ! grep -q 'no such image' killed.err || fail "the engine answered that there is no image"
    [[ ! -s killed.out && ! -e out.json ]] || fail "there is output"
}
