#!/bin/sh
# Makes the timestamp responses of this directory anew. Needs OpenSSL 3; keys are thrown away.
set -eu
out=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
printf 'the signature to be stamped' > message

cat > ca.cnf <<'C'
[ca]
basicConstraints = critical, CA:true
keyUsage = critical, keyCertSign, cRLSign
subjectKeyIdentifier = hash
[tsa]
keyUsage = critical, digitalSignature
extendedKeyUsage = critical, timeStamping
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid
C
for alg in sha1 sha256; do
cat > tsa-$alg.cnf <<C
[tsa]
default_tsa = t
[t]
serial = $work/serial
default_policy = 1.2.3.4.1
digests = sha256, sha384, sha512
accuracy = secs:1, millisecs:500, microsecs:100
ordering = yes
ess_cert_id_chain = no
ess_cert_id_alg = $alg
clock_precision_digits = 3
C
done
echo 01 > serial

key() { openssl genpkey -out "$1.key" $2; }
# name, issuer, section
issue() {
  openssl req -new -key "$1.key" -subj "/C=US/ST=WA/O=N/CN=$1" -out "$1.csr"
  if [ "$1" = "$2" ]; then by="-signkey $1.key"; else by="-CA $2.crt -CAkey $2.key"; fi
  openssl x509 -req -in "$1.csr" $by -set_serial "0x$(openssl rand -hex 8)" -days 7300 -extfile ca.cnf -extensions "$3" -out "$1.crt" 2>/dev/null
}
key root "-algorithm EC -pkeyopt ec_paramgen_curve:P-384"; issue root root ca
key inter "-algorithm EC -pkeyopt ec_paramgen_curve:P-256"; issue inter root ca
key rsa "-algorithm RSA -pkeyopt rsa_keygen_bits:3072"; issue rsa inter tsa
key ec "-algorithm EC -pkeyopt ec_paramgen_curve:P-521"; issue ec root tsa

# name, digest, signer, ess algorithm, options of the request
stamp() {
  openssl ts -query -data message -"$2" $5 -out "$out/$1.tsq" 2>/dev/null
  openssl ts -reply -queryfile "$out/$1.tsq" -signer "$3.crt" -inkey "$3.key" -chain inter.crt -"$2" \
    -config "tsa-$4.cnf" -out "$out/$1.tsr" 2>/dev/null
}
stamp rsa sha256 rsa sha256 -cert
stamp ec sha512 ec sha256 -cert
stamp v1 sha256 rsa sha1 -cert
stamp nocert sha256 rsa sha256 -no_nonce
openssl ts -query -data message -sha224 -cert -out "$out/refused.tsq" 2>/dev/null
openssl ts -reply -queryfile "$out/refused.tsq" -signer rsa.crt -inkey rsa.key -sha256 -config tsa-sha256.cnf -out "$out/refused.tsr" || true
rm "$out/refused.tsq"
cp root.crt message "$out/"
