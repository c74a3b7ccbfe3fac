#!/bin/sh
# Makes the revocation data of this directory anew. Needs OpenSSL 3; keys are thrown away.
set -eu
out=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
mkdir new && : > index && echo 1001 > serial && echo 07 > crlnumber
cat > ca.cnf <<C
[ca]
default_ca = c
[c]
database = index
serial = serial
crlnumber = crlnumber
new_certs_dir = new
default_md = sha256
policy = p
default_days = 7000
default_crl_days = 7000
crl_extensions = crl
[p]
countryName = optional
stateOrProvinceName = optional
organizationName = optional
commonName = supplied
[crl]
authorityKeyIdentifier = keyid
[root]
basicConstraints = critical, CA:true
keyUsage = critical, keyCertSign, cRLSign
subjectKeyIdentifier = hash
[leaf]
keyUsage = critical, digitalSignature
[responder]
keyUsage = critical, digitalSignature
extendedKeyUsage = OCSPSigning
C
newkey() { openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out "$1.key"; openssl req -new -key "$1.key" -subj "/C=US/ST=WA/O=N/CN=$1" -out "$1.csr"; }
newkey ca
openssl x509 -req -in ca.csr -signkey ca.key -days 7300 -extfile ca.cnf -extensions root -out ca.crt 2>/dev/null
for name in good revoked responder; do
  newkey $name
  section=leaf; [ $name = responder ] && section=responder
  openssl ca -batch -config ca.cnf -cert ca.crt -keyfile ca.key -in $name.csr -extensions $section -notext -out $name.crt 2>/dev/null
done
openssl ca -config ca.cnf -cert ca.crt -keyfile ca.key -revoke revoked.crt -crl_reason keyCompromise 2>/dev/null
openssl ca -config ca.cnf -cert ca.crt -keyfile ca.key -gencrl 2>/dev/null | openssl crl -outform DER -out "$out/ca.crl"
respond() { # name, certificate, responder, digest of the identifiers
  openssl ocsp -"$4" -issuer ca.crt -cert "$2.crt" -no_nonce -reqout req >/dev/null 2>&1
  openssl ocsp -index index -CA ca.crt -rsigner "$3.crt" -rkey "$3.key" -reqin req -respout "$out/$1.ocsp" -ndays 7000 >/dev/null 2>&1
}
respond good-by-issuer good ca sha1
respond good-by-responder good responder sha256
respond revoked-by-responder revoked responder sha1
cp ca.crt good.crt revoked.crt "$out/"
