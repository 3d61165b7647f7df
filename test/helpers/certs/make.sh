#!/bin/bash
# Makes the test certificates anew, valid from 2020 to 2120. The keys are public: they prove nothing to anybody.
set -euo pipefail
cd "$(dirname "$0")"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
touch "$work/index"
cat > "$work/ca.cnf" <<CONF
[ca]
default_ca = test
[test]
database = $work/index
new_certs_dir = $work
rand_serial = yes
default_md = sha256
policy = any
unique_subject = no
copy_extensions = copy
[any]
commonName = supplied
CONF

# request NAME COMMON-NAME EXTENSION...
request() {
  local name=$1 subject=$2 extensions=()
  shift 2
  for extension in "$@"; do extensions+=(-addext "$extension"); done
  openssl genpkey -quiet -algorithm EC -pkeyopt ec_paramgen_curve:prime256v1 -out "$name.key.pem" 2> /dev/null ||
    openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:prime256v1 -out "$name.key.pem"
  openssl req -new -key "$name.key.pem" -subj "/CN=$subject" "${extensions[@]}" -out "$work/$name.csr"
}

# sign NAME OPTION...
sign() {
  local name=$1
  shift
  openssl ca -batch -notext -config "$work/ca.cnf" -startdate 20200101000000Z -enddate 21200101000000Z \
    -in "$work/$name.csr" -out "$name.cert.pem" "$@" 2> /dev/null
}

by_ca=(-cert ca.cert.pem -keyfile ca.key.pem)
request ca 'bearer-sidecar test CA' 'basicConstraints=critical,CA:TRUE' 'keyUsage=critical,keyCertSign,cRLSign'
sign ca -selfsign -keyfile ca.key.pem
request localhost localhost 'subjectAltName=DNS:localhost,IP:127.0.0.1,IP:::1'
sign localhost "${by_ca[@]}"
request wrong-name wrong.example 'subjectAltName=DNS:wrong.example'
sign wrong-name "${by_ca[@]}"
request client 'bearer-sidecar test client' 'extendedKeyUsage=clientAuth'
sign client "${by_ca[@]}"
request self-signed localhost 'subjectAltName=DNS:localhost,IP:127.0.0.1'
sign self-signed -selfsign -keyfile self-signed.key.pem
