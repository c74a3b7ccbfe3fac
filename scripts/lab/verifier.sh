# shellcheck shell=bash disable=SC2154
# A real containerd (2.1 and newer) that asks dockseal-containerd-verifier before it pulls: through ctr
# and through CRI. Sourced by engine; needs lib.sh and containerd.sh.

# A node, as far as it differs from the lab's other containerd.
NODE=$state/node

verifier_cases() {
    local version by setting
    version=$(in_engine containerd --version | sed -nE 's|^.* v?([0-9]+\.[0-9]+)\..*|\1|p')
    if [[ ! $version =~ ^(2\.[1-9]|[3-9]\.) ]]; then
        run_case "$ENGINE/verifier" skip "containerd $version: CRI asks verifiers from 2.1 on"
        return
    fi
    run_case "$ENGINE/verifier-node" case_node
    start_verified ''
    for by in ctr cri; do
        run_case "$ENGINE/verifier-allows-$by" case_allows "$by"
        run_case "$ENGINE/verifier-refuses-$by" case_refuses "$by"
    done
    run_case "$ENGINE/verifier-offline" case_offline
    run_case "$ENGINE/verifier-fails-open" case_fails_open
    stop_last
    run_case "$ENGINE/verifier-doctor" case_doctor
    # Settings that have nothing to do with verifiers, and with which CRI asks none.
    for setting in 'max_concurrent_downloads = 4' 'discard_unpacked_layers = true' \
        'disable_snapshot_annotations = false' 'image_pull_with_sync_fs = true' \
        'use_local_image_pull = true' 'concurrent_layer_fetch_buffer = 1048576'; do
        start_verified "$setting"
        run_case "$ENGINE/verifier-with-${setting%% *}" case_setting "$setting"
        stop_last
    done
    # The old settings of registries, which exclude `config_path`.
    for setting in "mirrors.\"$REGISTRY\"] endpoint = [\"http://$REGISTRY\"]" \
        'configs."registry.example".auth] username = "lab"' \
        'auths."https://registry.example"] username = "lab"'; do
        start_verified '' "$(printf '[plugins."io.containerd.cri.v1.images".registry.%s\n%s\n' \
            "${setting%% *}" "${setting#* }")"
        run_case "$ENGINE/verifier-with-registry-${setting%%.*}" case_setting "registry.${setting%%.*}"
        stop_last
    done
    run_case "$ENGINE/verifier-daemonset" case_daemonset
}

# verified_config SETTING [REGISTRY]: a setting of CRI's image service, and its table of registries.
verified_config() {
    local certs='[plugins."io.containerd.cri.v1.images".registry]
		  config_path = "/lab/node/certs.d"'
    mkdir -p "$NODE"
    cat >"$NODE/containerd.toml" <<-EOT
		version = 3
		disabled_plugins = [
		  "io.containerd.snapshotter.v1.aufs", "io.containerd.snapshotter.v1.blockfile",
		  "io.containerd.snapshotter.v1.btrfs", "io.containerd.snapshotter.v1.devmapper",
		  "io.containerd.snapshotter.v1.erofs", "io.containerd.snapshotter.v1.overlayfs",
		  "io.containerd.snapshotter.v1.zfs",
		]
		[plugins."io.containerd.image-verifier.v1.bindir"]
		  ${VERIFIER_DIR-bin_dir = \"/lab/node/verifiers\"}
		[plugins."io.containerd.cri.v1.images"]
		  snapshotter = "native"
		  $1
		${2:-$certs}
		[plugins."io.containerd.transfer.v1.local"]
		  config_path = "/lab/node/certs.d"
		[[plugins."io.containerd.transfer.v1.local".unpack_config]]
		  platform = "linux/amd64"
		  snapshotter = "native"
	EOT
}

# As systemd starts it: hardly any environment.
start_verified() {
    verified_config "$@"
    start verified env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin \
        "${VERIFIER_ROOT-DOCKSEAL_VERIFIER_ROOT=/lab/node/etc}" \
        containerd --config /lab/node/containerd.toml --root /lab/node/containerd \
        --state /lab/node/state --address /lab/verified.sock --log-level debug
    until_true 60 in_engine ctr --address /lab/verified.sock images ls || not_ready verified
}

# The registry's images, the node's policy and verifier, and signatures of several kinds, all of the
# image `signed`.
case_node() {
    local kind digest
    mkdir -p "$NODE/etc" "$NODE/verifiers" "$NODE/bin" "$NODE/certs.d/$REGISTRY" "$NODE/kinds"
    printf 'server = "http://%s"\n[host."http://%s"]\n' "$REGISTRY" "$REGISTRY" \
        >"$NODE/certs.d/$REGISTRY/hosts.toml"
    cp "$DOCKSEAL_BIN_DIR/dockseal-containerd-verifier" "$NODE/bin/"
    ln -s /lab/node/bin/dockseal-containerd-verifier "$NODE/verifiers/dockseal-containerd-verifier"
    ctr whole images push --plain-http "$REGISTRY/node/signed:1" "$INDEX"
    ctr whole images push --plain-http "$REGISTRY/node/unsigned:1" "$SINGLE"
    export NOTATION_CONFIG=$CASE_DIR/config NOTATION_CACHE=$CASE_DIR/cache
    tool cert generate-test --default trusted.example
    tool cert generate-test untrusted.example
    tool policy init --name node --trust-store ca:trusted.example
    cp -r "$NOTATION_CONFIG/truststore" "$NOTATION_CONFIG"/trustpolicy*.json "$NODE/etc/"
    stored whole "$INDEX" index.json
    digest=$(digest_of index.json)
    sign() {
        local kind=$1
        shift
        mkdir -p "$NODE/kinds/$kind"
        tool sign "containerd:$INDEX" --namespace whole "${SOCKET[@]}" "$@" \
            --output "$NODE/kinds/$kind/it.cose.sig" --signature-format cose
    }
    printf '%s\n' "${digest/://}" >"$NODE/place"
    sign good
    sign untrusted --key untrusted.example
    sign expired --expiry 1s
    sign altered
    python3 "$here/damage.py" byte "$NODE/kinds/altered/it.cose.sig"
    mkdir "$NODE/kinds/none"
    sleep 2
    held "the node"
}

# signatures KIND: what the node has of the image `signed`.
signatures() {
    rm -rf "$NODE/etc/signatures"
    mkdir -p "$NODE/etc/signatures/$(<"$NODE/place")"
    find "$NODE/kinds/$1" -type f -exec cp {} "$NODE/etc/signatures/$(<"$NODE/place")/" \;
}

# pull ctr|cri IMAGE
pull() {
    case $1 in
        ctr) in_engine ctr --address /lab/verified.sock --namespace k8s.io images pull \
            --hosts-dir /lab/node/certs.d "$2" ;;
        cri) "$here/cri.py" "$state/verified.sock" pull "$2" ;;
    esac
}

# So that everything is pulled anew.
forget() {
    in_engine ctr --address /lab/verified.sock --namespace k8s.io images ls --quiet |
        xargs --no-run-if-empty chroot "$root" ctr --address /lab/verified.sock --namespace k8s.io \
            images rm --sync >/dev/null
}

present() {
    in_engine ctr --address /lab/verified.sock --namespace k8s.io images ls --quiet | grep -Fx "$1"
}

case_allows() {
    local image=$REGISTRY/node/signed:1
    local digest
    digest=$(sed 's,/,:,' "$NODE/place")
    forget
    signatures good
    pull "$1" "$image"
    present "$image" >/dev/null || fail "$image was not pulled"
    pull "$1" "${image%:*}@$digest"
    held "$1 pulls what is signed"
}

# is_refused BY IMAGE REASON
is_refused() {
    local status=0
    forget
    pull "$1" "$2" >out 2>&1 || status=$?
    cat out >&2
    ((status != 0)) || fail "$1 pulled $2"
    tr -d '\n' <out | grep -F -e "dockseal-containerd-verifier rejected image (exit code 1): dockseal: " >/dev/null ||
        fail "$1 does not say who refused"
    grep -F -e "$3" out >/dev/null || fail "$1 does not say $3"
    if present "$2"; then
        fail "$2 was refused and is there"
    fi
    held "$1 refuses: $3"
}

case_refuses() {
    local image=$REGISTRY/node/signed:1
    signatures good
    is_refused "$1" "$REGISTRY/node/unsigned:1" "no signature is associated"
    signatures none
    is_refused "$1" "$image" "no signature is associated"
    signatures untrusted
    is_refused "$1" "$image" "is in none of the trust stores"
    signatures expired
    is_refused "$1" "$image" "expired"
    signatures altered
    is_refused "$1" "$image" "is refused"
    signatures good
    mv "$NODE/etc/truststore" "$NODE/etc/away"
    is_refused "$1" "$image" "does not exist"
    mv "$NODE/etc/away" "$NODE/etc/truststore"
}

# The verifier in a network namespace of its own, without even a loopback.
case_offline() {
    signatures good
    mv "$NODE/verifiers" "$NODE/away"
    mkdir "$NODE/verifiers"
    printf '#!/bin/sh\nexec unshare --net /lab/node/bin/dockseal-containerd-verifier "$@"\n' \
        >"$NODE/verifiers/dockseal-containerd-verifier"
    chmod 755 "$NODE/verifiers/dockseal-containerd-verifier"
    forget
    pull cri "$REGISTRY/node/signed:1"
    is_refused cri "$REGISTRY/node/unsigned:1" "no signature is associated"
    rm -rf "$NODE/verifiers"
    mv "$NODE/away" "$NODE/verifiers"
}

# What containerd does where the node is not set up.
case_fails_open() {
    signatures none
    mv "$NODE/verifiers" "$NODE/away"
    forget
    pull ctr "$REGISTRY/node/signed:1"
    held "without the directory everything is allowed"
    mkdir "$NODE/verifiers"
    forget
    pull cri "$REGISTRY/node/signed:1"
    held "with an empty one, too"
    touch "$NODE/verifiers/README"
    forget
    if pull cri "$REGISTRY/node/signed:1"; then
        fail "a README verified the image"
    fi
    rm -r "$NODE/verifiers"
    mv "$NODE/away" "$NODE/verifiers"
    held "a file that is no program refuses everything"
}

# doctor TEXT: in the engine's root directory, where the paths are those of the configuration. What it
# says of the rest of this host is not what is asked about, and so is its exit status.
doctor() {
    chroot "$root" env HOME=/lab/node/home XDG_CONFIG_HOME=/lab/node/home /lab/node/bin/dockseal doctor \
        --containerd-config /lab/node/containerd.toml --verifier-root /lab/node/etc >out 2>&1 || true
    cat out >&2
    grep -F -e "$1" out >/dev/null || fail "doctor does not say $1"
    held "doctor: $1"
}

case_doctor() {
    cp "$DOCKSEAL_BIN_DIR/dockseal" "$NODE/bin/"
    signatures good
    verified_config ''
    doctor "containerd asks /lab/node/verifiers"
    mv "$NODE/verifiers" "$NODE/away"
    doctor "every image is allowed"
    mkdir "$NODE/verifiers"
    doctor "is empty: every image is allowed"
    touch "$NODE/verifiers/README"
    doctor "every pull is refused"
    rm -r "$NODE/verifiers"
    mv "$NODE/away" "$NODE/verifiers"
}

# CRI pulls an unsigned image exactly when doctor says that it asks nobody.
case_setting() {
    signatures good
    forget
    if pull cri "$REGISTRY/node/unsigned:1"; then
        doctor "with $1, CRI pulls by itself"
        held "with $1 nobody is asked"
    else
        doctor "containerd asks /lab/node/verifiers"
        held "with $1 the verifier is asked"
    fi
    is_refused ctr "$REGISTRY/node/unsigned:1" "no signature is associated"
}

# A node that has no more than what the DaemonSet's container put there, all in the default places.
case_daemonset() {
    local manifest=$here/../../plugin-manifests/kubernetes-daemonset.yaml place mounted
    place=$(<"$NODE/place")
    local -A mounts=([/host/etc/dockseal]=/etc/dockseal
        [/host/opt/image-verifier]=/opt/containerd/image-verifier)
    for mounted in "${!mounts[@]}"; do
        mkdir -p "$root$mounted" "$root${mounts[$mounted]}"
        mount --bind "$root${mounts[$mounted]}" "$root$mounted"
    done
    mkdir -p "$root/policy" "$root/trust" "$root/signatures" "tree/$place"
    export NOTATION_CONFIG=$CASE_DIR/config
    tool policy init --name cluster --trust-store ca:cluster
    cp config/trustpolicy.oci.json "$root/policy/trustpolicy.json"
    cp "$NODE"/etc/truststore/x509/ca/trusted.example/*.crt "$root/trust/root.crt"
    cp "$NODE/kinds/good/it.cose.sig" "tree/$place/"
    tar --create --file "$root/signatures/signatures.tar" --directory tree .
    cp "$NODE/bin/dockseal-containerd-verifier" "$root/bin/"
    sed -n '/^            - |$/,/^          volumeMounts:/{//!p}' "$manifest" | sed 's/^ *//' >install
    grep -q '^cp /bin/dockseal-containerd-verifier ' install || fail "the manifest has no such script"
    VERIFIER_DIR='' VERIFIER_ROOT=LANG=C start_verified ''
    installed() {
        in_engine /bin/sh -euc "$(<install)"
        forget
        pull cri "$REGISTRY/node/signed:1"
        is_refused cri "$REGISTRY/node/unsigned:1" "no signature is associated"
    }
    installed
    # Again, as after an update of the signatures: the ones before are gone.
    rm -r tree/sha256
    mkdir -p tree/sha256
    tar --create --file "$root/signatures/signatures.tar" --directory tree .
    in_engine /bin/sh -euc "$(<install)"
    is_refused cri "$REGISTRY/node/signed:1" "no signature is associated"
    cp -r "$NODE/kinds/good" tree/ && mkdir -p "tree/$place" && mv tree/good/* "tree/$place/"
    tar --create --file "$root/signatures/signatures.tar" --directory tree .
    installed
    stop_last
}
