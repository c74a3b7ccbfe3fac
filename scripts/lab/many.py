#!/usr/bin/env python3
"""Writes an OCI archive of many images that share config and layer: many.py COUNT FILE."""
import hashlib
import io
import json
import sys
import tarfile

OCI = "application/vnd.oci.image."


def main():
    count, output = int(sys.argv[1]), sys.argv[2]
    with tarfile.open(output, "w") as archive:

        def member(name, data):
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))

        def blob(media_type, data):
            digest = hashlib.sha256(data).hexdigest()
            member(f"blobs/sha256/{digest}", data)
            return {"mediaType": OCI + media_type, "digest": f"sha256:{digest}", "size": len(data)}

        layer = blob("layer.v1.tar", bytes(10240))
        platform = {"architecture": "amd64", "os": "linux"}
        rootfs = {"type": "layers", "diff_ids": [layer["digest"]]}
        config = blob("config.v1+json", json.dumps({**platform, "rootfs": rootfs}).encode())
        entries = []
        for n in range(count):
            manifest = {
                "schemaVersion": 2,
                "mediaType": OCI + "manifest.v1+json",
                "config": config,
                "layers": [layer],
                "annotations": {"n": str(n)},
            }
            entry = blob("manifest.v1+json", json.dumps(manifest).encode())
            name = {"io.containerd.image.name": f"docker.io/many/image:{n}"}
            entries.append({**entry, "annotations": name, "platform": platform})
        member("index.json", json.dumps({"schemaVersion": 2, "manifests": entries}).encode())
        member("oci-layout", b'{"imageLayoutVersion":"1.0.0"}')


if __name__ == "__main__":
    main()
