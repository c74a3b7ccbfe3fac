#!/usr/bin/env python3
"""Puts an image into a registry as another tool than Docker pushes it.

    upload.py LAYOUT.tar http://REGISTRY REPOSITORY TAG

The layers keep the compression they have in the OCI layout, which no Docker engine would make.
"""

import json
import sys
import tarfile
import urllib.request


def main():
    layout, registry, repository, tag = sys.argv[1:]
    base = f"{registry}/v2/{repository}"
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))

    def send(method, url, data=b"", kind="application/octet-stream"):
        request = urllib.request.Request(url, data, {"Content-Type": kind}, method=method)
        return opener.open(request)

    with tarfile.open(layout) as tar:
        files = {one.name: tar.extractfile(one).read() for one in tar if one.isfile()}

    def content(descriptor):
        return files["blobs/" + descriptor["digest"].replace(":", "/")]

    def put_blob(descriptor):
        place = send("POST", f"{base}/blobs/uploads/").headers["Location"]
        separator = "&" if "?" in place else "?"
        url = f"{place}{separator}digest={descriptor['digest']}"
        send("PUT", url, content(descriptor))

    def put_manifest(descriptor, name):
        data = content(descriptor)
        document = json.loads(data)
        for child in document.get("manifests", []):
            put_manifest(child, child["digest"])
        for blob in [document["config"], *document["layers"]] if "layers" in document else []:
            put_blob(blob)
        send("PUT", f"{base}/manifests/{name}", data, descriptor["mediaType"])

    put_manifest(json.loads(files["index.json"])["manifests"][0], tag)


if __name__ == "__main__":
    main()
