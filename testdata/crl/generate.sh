#!/bin/sh
# Makes the certificates and CRLs of this directory with OpenSSL 3: a root, a P-256 leaf that names
# the distribution point http://crl.example/root.crl, and what lists may say about the leaf.
# The keys are public test keys; the root's key is thrown away.
set -eu
out=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
cat > ca.cnf <<'CNF'
[ca]
default_ca = root
[root]
database = index.txt
serial = serial
crlnumber = crlnumber
new_certs_dir = .
certificate = root.crt
private_key = root.key
default_md = sha256
policy = any
unique_subject = no
crl_extensions = crl
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
crlDistributionPoints = URI:http://crl.example/root.crl
[crl]
CNF
: > index.txt
echo 01 > serial
echo 01 > crlnumber
key() { openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out "$1"; }
ca() { openssl ca -config ca.cnf -batch -notext "$@" 2>/dev/null; }
crl() { ca -gencrl -crl_lastupdate 20260101000000Z "$@"; }
key root.key
openssl req -config ca.cnf -new -key root.key -subj "/C=US/ST=WA/O=Notary/CN=revoking root" -out root.csr
ca -selfsign -keyfile root.key -in root.csr -extensions root_ext \
    -startdate 20260101000000Z -enddate 20460101000000Z -out root.crt
key leaf.key
openssl req -config ca.cnf -new -key leaf.key -subj "/C=US/ST=WA/O=Notary/CN=revocable" -out leaf.csr
ca -in leaf.csr -extensions leaf_ext -startdate 20260101000000Z -enddate 20460101000000Z -out leaf.crt
crl -crl_nextupdate 20460101000000Z -out good.crl.pem
crl -crl_nextupdate 20260102000000Z -out expired.crl.pem
ca -revoke leaf.crt -crl_reason keyCompromise
crl -crl_nextupdate 20460101000000Z -out revoked.crl.pem
for list in good expired revoked; do
    openssl crl -in $list.crl.pem -outform DER -out "$out/$list.crl"
done
cp good.crl.pem "$out/good.crl.pem"
cp root.crt "$out/root.crt"
cp leaf.key "$out/leaf.key"
cat leaf.crt root.crt > "$out/leaf.chain.crt"
