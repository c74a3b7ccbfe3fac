#!/bin/sh
# Makes the signatures of this directory with OpenSSL 3, faketime and dockseal (DOCKSEAL, by default
# from PATH), of testdata/notation's net-monitor manifest: by a leaf that was valid for one day, and
# with an expiry that has passed. All keys are thrown away.
set -eu
out=$(cd "$(dirname "$0")" && pwd)
dockseal=${DOCKSEAL:-dockseal}
manifest=$out/../notation/lay0/blobs/sha256/09ade42fe3e69018a3360bb092265af902f9e7d6013146cf152c82ac3a944707
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
cat > ca.cnf <<'CNF'
[ca]
default_ca = root
[root]
database = index.txt
serial = serial
new_certs_dir = .
certificate = root.crt
private_key = root.key
default_md = sha256
policy = any
unique_subject = no
[any]
countryName = optional
stateOrProvinceName = optional
organizationName = optional
commonName = supplied
[req]
distinguished_name = dn
prompt = no
[dn]
CN = unused
[root_ext]
basicConstraints = critical,CA:TRUE
keyUsage = critical,keyCertSign,cRLSign
[leaf_ext]
keyUsage = critical,digitalSignature
extendedKeyUsage = codeSigning
CNF
: > index.txt
echo 01 > serial
key() { openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out "$1"; }
ca() { openssl ca -config ca.cnf -batch -notext "$@" 2>/dev/null; }
leaf() {
    key "$1.key"
    openssl req -config ca.cnf -new -key "$1.key" -subj "/C=US/ST=WA/O=Notary/CN=$1" -out "$1.csr"
    ca -in "$1.csr" -extensions leaf_ext -startdate 20260101000000Z -enddate "$2" -out "$1.crt"
    cat "$1.crt" root.crt > "$1.chain.crt"
}
# sign LEAF OPTION...: at noon of the first day.
sign() {
    leaf=$1
    shift
    NOTATION_CONFIG=$work/config faketime '2026-01-01 12:00:00' "$dockseal" sign --local "$manifest" \
        --key-file "$leaf.key" --cert-file "$leaf.chain.crt" "$@"
}
key root.key
openssl req -config ca.cnf -new -key root.key -subj "/C=US/ST=WA/O=Notary/CN=expiring root" -out root.csr
ca -selfsign -keyfile root.key -in root.csr -extensions root_ext \
    -startdate 20260101000000Z -enddate 20460101000000Z -out root.crt
leaf short-lived 20260102000000Z
leaf long-lived 20460101000000Z
export TZ=UTC
sign short-lived -o certificate.jws.sig
sign long-lived --expiry 1h -o signature.jws.sig
cp root.crt "$out/expiring-root.crt"
cp certificate.jws.sig signature.jws.sig "$out"
chmod 644 "$out"/*.sig
