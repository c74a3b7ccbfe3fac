# shellcheck shell=bash
# Shared by the lab's scripts: verdicts, comparisons, waiting. Sourced, never run.
#
# A verdict is one line, `ok CASE`, `FAIL CASE (reason)` or `skipped CASE (reason)`, on stdout and
# in $LAB_RESULTS. The summary is counted from that file.

say() { printf '%s\n' "$*" >&2; }

die() {
    say "lab: $*"
    exit 1
}

# verdict ok|FAIL|skipped CASE [REASON]
verdict() {
    local line="$1 $2${3:+ ($3)}"
    printf '%s\n' "$line"
    printf '%s\n' "$line" >>"$LAB_RESULTS"
}

# run_case NAME FUNCTION [ARGUMENT...]
#
# Runs FUNCTION in a subshell of its own directory. `ok` needs three things: exit status 0, with
# errexit in force (hence the background job: inside `if` or `||` bash would ignore it), and at
# least one comparison that was made and held. A case skips itself through `skip`. Of `run --only` all
# others are left out.
run_case() {
    local name=$1 status=0 begin=$SECONDS compared
    shift
    # shellcheck disable=SC2053 # It is a pattern.
    [[ $name == ${LAB_ONLY:-*} ]] || return 0
    CASE_DIR=$LAB_WORK/${name//\//.}
    mkdir -p "$CASE_DIR"
    (
        set -euo pipefail
        cd "$CASE_DIR"
        "$@"
    ) >"$CASE_DIR/log" 2>&1 </dev/null &
    wait "$!" || status=$?
    compared=$(wc -l 2>/dev/null <"$CASE_DIR/compared" || echo 0)
    if [[ -e $CASE_DIR/skipped ]]; then
        verdict skipped "$name" "$(<"$CASE_DIR/skipped")"
    elif ((status != 0)); then
        verdict FAIL "$name" "$(case_reason "$status")"
        printf '%s\n' "$(tail -n 60 "$CASE_DIR/log" | sed 's/^/    | /')"
    elif ((compared == 0)); then
        verdict FAIL "$name" "nothing was compared"
    else
        verdict ok "$name" "$((SECONDS - begin))s"
    fi
    if ((status == 0)) && [[ -z ${LAB_KEEP:-} ]]; then
        rm -rf "$CASE_DIR"
    fi
}

case_reason() {
    if [[ -e $CASE_DIR/reason ]]; then
        head -n 1 "$CASE_DIR/reason"
    else
        printf 'exit status %s: %s' "$1" "$(grep -v '^[[:space:]]*$' "$CASE_DIR/log" | tail -n 1)"
    fi
}

# Inside a case: end it as skipped, or as failed with a reason for its verdict line.
skip() {
    printf '%s\n' "$*" >"$CASE_DIR/skipped"
    exit 0
}

fail() {
    printf '%s\n' "$*" >"$CASE_DIR/reason"
    say "$*"
    exit 1
}

# Every comparison that held leaves a line; run_case refuses a case without one.
held() { printf '%s\n' "$*" >>"$CASE_DIR/compared"; }

# same_manifest LABEL EXPECTED ACTUAL: both files hold the same, non-empty image manifest.
same_manifest() {
    local label=$1 expected=$2 actual=$3
    [[ -s $expected ]] || fail "$label: $expected, the pushed manifest, is missing or empty"
    [[ -s $actual ]] || fail "$label: $actual is missing or empty"
    grep -q '"schemaVersion": *2' "$expected" || fail "$label: $expected is not a manifest"
    if ! cmp -- "$expected" "$actual"; then
        say "expected $(digest_of "$expected") ($(stat -c %s "$expected") bytes)"
        say "found    $(digest_of "$actual") ($(stat -c %s "$actual") bytes)"
        diff -u --label pushed --label "$label" <(pretty "$expected") <(pretty "$actual") || true
        fail "$label: expected $(digest_of "$expected"), found $(digest_of "$actual")"
    fi
    held "$label $(digest_of "$actual")"
}

# same_text LABEL EXPECTED ACTUAL: the two strings are equal and not empty.
same_text() {
    [[ -n $2 ]] || fail "$1: nothing to compare with"
    [[ $2 == "$3" ]] || fail "$1: expected $2, found $3"
    held "$1 $2"
}

# refused LABEL STATUS COMMAND...: COMMAND ends with exactly STATUS and writes nothing on stdout.
refused() {
    local label=$1 expected=$2 status=0
    shift 2
    "$@" >"$CASE_DIR/refused.out" 2>"$CASE_DIR/refused.err" || status=$?
    cat "$CASE_DIR/refused.err" >&2
    ((status == expected)) || fail "$label: expected exit status $expected, found $status"
    [[ ! -s $CASE_DIR/refused.out ]] || fail "$label: refused, but wrote to standard output"
    [[ -s $CASE_DIR/refused.err ]] || fail "$label: refused without a word"
    held "$label $status"
}

digest_of() { printf 'sha256:%s' "$(sha256sum <"$1" | cut -d ' ' -f 1)"; }

# A manifest in one line may be hard to compare by eye; anything that is not JSON is shown as it is.
pretty() { python3 -m json.tool "$1" 2>/dev/null || cat -v "$1"; }

# until_true SECONDS COMMAND...: polls; false when the time is over.
until_true() {
    local deadline=$((SECONDS + $1))
    shift
    until "$@" >/dev/null 2>&1; do
        ((SECONDS < deadline)) || return 1
        sleep 0.2
    done
}

# The mirror that this machine itself uses, and its proxy.
find_mirror() {
    local proxy
    MIRROR=$(mirrors | sed -n 1p)
    if [[ -z $MIRROR ]]; then
        apt-get --quiet update >/dev/null 2>&1 || true
        MIRROR=$(mirrors | sed -n 1p)
    fi
    [[ -n $MIRROR ]] || die "apt knows no mirror of Debian"
    proxy=$(apt-config shell proxy Acquire::http::Proxy)
    if [[ -n $proxy ]]; then
        eval "$proxy"
        export http_proxy=$proxy
    fi
}

mirrors() {
    # shellcheck disable=SC2016 # The format is apt's, not the shell's.
    apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' 'Origin: Debian' \
        'Label: Debian' | sort -u
}
