#!/usr/bin/env python3
"""Writes the image archives and build contexts that the lab feeds to the engines.

    archive.py KIND OUTPUT.tar

Every kind is the same bytes on each run: nothing depends on the clock or on the host. The archives
are docker-archives without an OCI view (the form of `docker save` up to Docker 24), tagged
lab/KIND:1. The others: `oci-index` is an OCI layout of a two-platform index, `nested-index`,
`attested-index` and `docker-list` are variations of it, and `context` is a build context for
`docker build - < OUTPUT.tar`.
"""

import gzip
import hashlib
import io
import json
import sys
import tarfile

MTIME = 1_600_000_000
OCI = "application/vnd.oci.image."


def noise(size, seed):
    """Bytes that do not compress."""
    out = bytearray()
    counter = 0
    while len(out) < size:
        out += hashlib.sha256(b"%d/%d" % (seed, counter)).digest()
        counter += 1
    return bytes(out[:size])


def prose(size, seed):
    """Bytes that compress as text does: words of a small vocabulary in a reproducible order."""
    words = [hashlib.md5(b"%d" % n).hexdigest()[: 2 + n % 9].encode() for n in range(700)]
    out = bytearray()
    state = seed
    while len(out) < size:
        state = (state * 6364136223846793005 + 1442695040888963407) % 2**64
        out += words[(state >> 33) % len(words)] + (b"\n" if state >> 60 == 0 else b" ")
    return bytes(out[:size])


def entry(tar, name, data=b"", kind=tarfile.REGTYPE, link="", mode=0o644, pax=None):
    info = tarfile.TarInfo(name)
    info.size = len(data)
    info.mtime = MTIME
    info.mode = 0o755 if kind == tarfile.DIRTYPE else mode
    info.type = kind
    info.linkname = link
    info.pax_headers = pax or {}
    tar.addfile(info, io.BytesIO(data))


def layer(*entries, dialect=tarfile.USTAR_FORMAT, padding=0):
    """The bytes of a layer tar; each entry is the arguments of entry()."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=dialect) as tar:
        for arguments in entries:
            entry(tar, *arguments[:2], **(arguments[2] if len(arguments) > 2 else {}))
    return buffer.getvalue() + bytes(padding)


LAYER_A = layer(
    ("a/", b"", {"kind": tarfile.DIRTYPE}),
    ("a/prose", prose(300_000, 1)),
    ("a/empty", b""),
)
LAYER_B = layer(("b", noise(200_000, 2)), ("zeros", bytes(1_000_000)))
EMPTY = bytes(1024)
LONG = "a-directory-with-a-long-name/" * 9 + "file"
# The matcher's window is 32 KiB and slides near 64 KiB: payloads around both.
EDGES = layer(
    *[
        (f"edge-{n}", prose(n, n))
        for n in (1, 511, 512, 513, 32767, 32768, 32769, 65273, 65274, 65535, 65536, 131072)
    ]
)
WHITEOUTS = layer(
    ("a/.wh.prose", b""),
    ("new/", b"", {"kind": tarfile.DIRTYPE}),
    ("new/.wh..wh..opq", b""),
)
LINKS = layer(
    ("real", prose(70_000, 5), {"mode": 0o4755}),
    ("hard", b"", {"kind": tarfile.LNKTYPE, "link": "real"}),
    ("soft", b"", {"kind": tarfile.SYMTYPE, "link": "../../real"}),
    ("fifo", b"", {"kind": tarfile.FIFOTYPE}),
)

PAX = layer(
    (LONG, prose(40_000, 4), {"pax": {"comment": "x" * 40_000}}),
    ("ünïcode", b"x"),
    dialect=tarfile.PAX_FORMAT,
)
ESCAPES = {
    "author": "<a&b> \u2028 \u00fc",
    "config": {"Env": ["X=<&>\"\\\u0001"], "Cmd": ["/x"]},
}

# kind: layers, members that replace those of the configuration
ARCHIVES = {
    "dup": ([LAYER_A, LAYER_B, LAYER_A], {}),
    "empty": ([LAYER_A, EMPTY, EMPTY], {}),
    "onlyempty": ([EMPTY], {}),
    "zero-byte-layer": ([b""], {}),
    "gzl": ([LAYER_A, LAYER_B], {}),
    "gnu": ([layer((LONG, prose(40_000, 3)), dialect=tarfile.GNU_FORMAT)], {}),
    "pax": ([PAX], {}),
    "padding": ([layer(("a", b"a"), padding=5 * 1024)], {}),
    "edges": ([EDGES, LINKS, WHITEOUTS], {}),
    "escapes": ([LAYER_A], ESCAPES),
}


def digest(data):
    return "sha256:" + hashlib.sha256(data).hexdigest()


def docker_archive(kind, layers, changes):
    created = "2020-09-13T12:26:40Z"
    config = {
        "architecture": "amd64",
        "os": "linux",
        "created": created,
        "config": {"Cmd": ["/a"]},
        "rootfs": {"type": "layers", "diff_ids": [digest(one) for one in layers]},
        "history": [
            {"created": created, "created_by": f"layer {n}"} for n in range(len(layers))
        ],
    }
    raw = json.dumps(config | changes, ensure_ascii=False).encode()
    name = hashlib.sha256(raw).hexdigest() + ".json"
    stored = [gzip.compress(one, 1, mtime=0) for one in layers] if kind == "gzl" else layers
    paths = [f"{n}/layer.tar" for n in range(len(stored))]
    manifest = [{"Config": name, "RepoTags": [f"lab/{kind}:1"], "Layers": paths}]
    members = [(name, raw), *zip(paths, stored), ("manifest.json", json.dumps(manifest).encode())]
    return layer(*members)


DOCKER = "application/vnd.docker."
# member of a manifest or configuration: its media type
OCI_TYPES = {
    "index": OCI + "index.v1+json",
    "manifest": OCI + "manifest.v1+json",
    "config": OCI + "config.v1+json",
    "layer": OCI + "layer.v1.tar+gzip",
}
DOCKER_TYPES = {
    "index": DOCKER + "distribution.manifest.list.v2+json",
    "manifest": DOCKER + "distribution.manifest.v2+json",
    "config": DOCKER + "container.image.v1+json",
    "layer": DOCKER + "image.rootfs.diff.tar.gzip",
}


def compact(value):
    return json.dumps(value, separators=(",", ":")).encode()


class Layout:
    """An OCI image layout whose blobs are all present."""

    def __init__(self, types):
        self.blobs = {}
        self.types = types

    def blob(self, data, kind, **members):
        self.blobs["blobs/sha256/" + digest(data).removeprefix("sha256:")] = data
        media_type = self.types.get(kind, kind)
        return {"mediaType": media_type, "digest": digest(data), "size": len(data), **members}

    def manifest(self, config, layers, **members):
        manifest = {
            "schemaVersion": 2,
            "mediaType": self.types["manifest"],
            "config": self.blob(compact(config), "config"),
            "layers": layers,
        }
        return self.blob(compact(manifest), "manifest", **members)

    def image(self, architecture, size, seed):
        platform = {"architecture": architecture, "os": "linux"}
        tar = layer((architecture, prose(size, seed)))
        rootfs = {"type": "layers", "diff_ids": [digest(tar)]}
        config = {**platform, "rootfs": rootfs, "config": {"Cmd": ["/a"]}}
        layers = [self.blob(gzip.compress(tar, 9, mtime=0), "layer")]
        return self.manifest(config, layers, platform=platform)

    def attestation(self, image):
        """What BuildKit says of an image, beside it."""
        statement = {"_type": "https://in-toto.io/Statement/v0.1", "subject": [], "predicate": {}}
        data = compact(statement)
        config = {
            "architecture": "unknown",
            "os": "unknown",
            "rootfs": {"type": "layers", "diff_ids": [digest(data)]},
        }
        annotations = {
            "vnd.docker.reference.digest": image["digest"],
            "vnd.docker.reference.type": "attestation-manifest",
        }
        platform = {"architecture": "unknown", "os": "unknown"}
        layers = [self.blob(data, "application/vnd.in-toto+json")]
        return self.manifest(config, layers, annotations=annotations, platform=platform)

    def index(self, *manifests, **members):
        index = {"schemaVersion": 2, "mediaType": self.types["index"], "manifests": manifests}
        # Indented: what is pushed has to be these bytes, not another rendering of them.
        return self.blob(json.dumps(index, indent=1).encode(), "index", **members)

    def archive(self, top):
        layout = {"schemaVersion": 2, "mediaType": OCI_TYPES["index"], "manifests": [top]}
        return layer(
            *sorted(self.blobs.items()),
            ("index.json", compact(layout)),
            ("oci-layout", b'{"imageLayoutVersion":"1.0.0"}'),
        )


INDEXES = ["oci-index", "nested-index", "attested-index", "docker-list"]


def index(kind):
    """An index of two platforms."""
    layout = Layout(DOCKER_TYPES if kind == "docker-list" else OCI_TYPES)
    # No two kinds share a blob: what one leaves behind completes no other.
    seed = 11 + 10 * INDEXES.index(kind)
    manifests = [layout.image("amd64", 50_000, seed), layout.image("arm64", 60_000, seed + 1)]
    if kind == "nested-index":
        manifests[1] = layout.index(manifests[1])
    if kind == "attested-index":
        manifests += [layout.attestation(image) for image in manifests]
    names = {
        "io.containerd.image.name": f"docker.io/lab/{kind}:1",
        "org.opencontainers.image.ref.name": "1",
    }
    return layout.archive(layout.index(*manifests, annotations=names))


def context():
    dockerfile = b"\n".join([
        b"FROM scratch",
        b"LABEL description=\"<lab> & more\"",
        b"ADD inner.tar /inner/",
        b"COPY tree /tree/",
        b"ENV PATH=/bin GREETING=h\xc3\xa9llo",
        b"COPY noise prose /data/",
        b"COPY noise /data/again",
        b"WORKDIR /work",
        b"CMD [\"/tree/program\", \"--flag=<x>\"]",
        b"",
    ])
    files = [(f"tree/d{n % 7}/f{n}", prose(n * 37 % 5000, n)) for n in range(400)]
    return layer(
        ("Dockerfile", dockerfile),
        ("inner.tar", EDGES),
        ("noise", noise(150_000, 7)),
        ("prose", prose(3_000_000, 8)),
        ("tree/program", noise(90_000, 9), {"mode": 0o755}),
        *files,
    )


def main():
    kind, output = sys.argv[1:]
    if kind == "context":
        data = context()
    elif kind in INDEXES:
        data = index(kind)
    else:
        data = docker_archive(kind, *ARCHIVES[kind])
    with open(output, "wb") as file:
        file.write(data)


if __name__ == "__main__":
    main()
