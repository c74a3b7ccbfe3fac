#!/usr/bin/env python3
"""OCI image layouts with signatures, in the form that notation 1.0 to 1.3 writes and reads.

    layout.py create DIRECTORY MANIFEST MEDIA_TYPE            a layout of one image manifest
    layout.py image DIRECTORY                                 a layout of a whole small OCI image
    layout.py attach DIRECTORY SIGNATURE CHAIN.pem            adds an envelope that signs it
    layout.py extract DIRECTORY OUTPUT                        the one envelope that is attached

Of `create` only the manifest of the image is stored: a signature covers its descriptor, and notation
reads no further. Both print the digest.
"""

import base64
import hashlib
import json
import os
import re
import sys

IMAGE_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
SIGNATURE = "application/vnd.cncf.notary.signature"
JWS, COSE = "application/jose+json", "application/cose"


def read(path):
    with open(path, "rb") as file:
        return file.read()


def write(path, data):
    with open(path, "wb") as file:
        file.write(data)


def compact(value):
    return json.dumps(value, separators=(",", ":")).encode()


def blob_path(directory, digest):
    return os.path.join(directory, "blobs", *digest.split(":"))


def add_blob(directory, data, media_type):
    digest = "sha256:" + hashlib.sha256(data).hexdigest()
    write(blob_path(directory, digest), data)
    return {"mediaType": media_type, "digest": digest, "size": len(data)}


def index_of(directory):
    return json.loads(read(os.path.join(directory, "index.json")))


def add_to_index(directory, descriptor):
    index = index_of(directory)
    index["manifests"].append(descriptor)
    write(os.path.join(directory, "index.json"), compact(index))


def empty(directory):
    os.makedirs(os.path.join(directory, "blobs", "sha256"))
    write(os.path.join(directory, "oci-layout"), b'{"imageLayoutVersion":"1.0.0"}')
    write(os.path.join(directory, "index.json"), compact({"schemaVersion": 2, "manifests": []}))


def image(directory):
    empty(directory)
    layer = b"\0" * 10240  # A tar archive without members.
    diff_id = "sha256:" + hashlib.sha256(layer).hexdigest()
    config = {
        "architecture": "amd64",
        "os": "linux",
        "rootfs": {"type": "layers", "diff_ids": [diff_id]},
    }
    manifest = {
        "schemaVersion": 2,
        "mediaType": IMAGE_MANIFEST,
        "config": add_blob(directory, compact(config), "application/vnd.oci.image.config.v1+json"),
        "layers": [add_blob(directory, layer, "application/vnd.oci.image.layer.v1.tar")],
    }
    tag(directory, compact(manifest), IMAGE_MANIFEST)


def create(directory, manifest, media_type):
    empty(directory)
    tag(directory, read(manifest), media_type)


def tag(directory, manifest, media_type):
    descriptor = add_blob(directory, manifest, media_type)
    annotations = {"org.opencontainers.image.ref.name": "v1"}
    add_to_index(directory, {**descriptor, "annotations": annotations})
    print(descriptor["digest"])


def thumbprints(chain):
    blocks = re.findall(b"-----BEGIN CERTIFICATE-----(.*?)-----END", read(chain), re.DOTALL)
    return [hashlib.sha256(base64.b64decode(block)).hexdigest() for block in blocks]


def attach(directory, signature, chain):
    envelope = read(signature)
    subject = index_of(directory)["manifests"][0]
    manifest = {
        "schemaVersion": 2,
        "mediaType": IMAGE_MANIFEST,
        "config": add_blob(directory, b"{}", SIGNATURE),
        "layers": [add_blob(directory, envelope, JWS if envelope[:1] == b"{" else COSE)],
        "subject": {name: subject[name] for name in ("mediaType", "digest", "size")},
        "annotations": {
            "io.cncf.notary.x509chain.thumbprint#S256": json.dumps(thumbprints(chain)),
            "org.opencontainers.image.created": "2026-01-01T00:00:00Z",
        },
    }
    descriptor = add_blob(directory, compact(manifest), IMAGE_MANIFEST)
    add_to_index(directory, {**descriptor, "annotations": manifest["annotations"]})


def extract(directory, output):
    found = []
    for descriptor in index_of(directory)["manifests"]:
        manifest = json.loads(read(blob_path(directory, descriptor["digest"])))
        if manifest.get("config", {}).get("mediaType") == SIGNATURE:
            found.append(manifest["layers"][0]["digest"])
    if len(found) != 1:
        sys.exit(f"expected one signature, found {len(found)}")
    write(output, read(blob_path(directory, found[0])))


if __name__ == "__main__":
    commands = {"create": create, "image": image, "attach": attach, "extract": extract}
    commands[sys.argv[1]](*sys.argv[2:])
