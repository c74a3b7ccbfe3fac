#!/usr/bin/env python3
"""Prints the digest of the config of the only image in an archive: config_of.py ARCHIVE

It looks for itself, so that it can say what dockseal must find: by manifest.json where that is, else
by index.json.
"""

import hashlib
import json
import sys
import tarfile


def main():
    with tarfile.open(sys.argv[1]) as tar:
        members = {member.name.removeprefix("./"): member for member in tar if not member.isdir()}

        def read(name):
            member = members[name]
            # podman writes links for layers and configs that it has written already.
            if member.issym() or member.islnk():
                return read(member.linkname.removeprefix("../"))
            return tar.extractfile(member).read()

        def blob(descriptor):
            return read("blobs/" + descriptor["digest"].replace(":", "/"))

        if "manifest.json" in members:
            config = read(json.loads(read("manifest.json"))[0]["Config"])
        else:
            document = json.loads(read("index.json"))
            while "manifests" in document:
                document = json.loads(blob(document["manifests"][0]))
            config = blob(document["config"])
    print("sha256:" + hashlib.sha256(config).hexdigest())


if __name__ == "__main__":
    main()
