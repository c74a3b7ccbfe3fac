#!/usr/bin/python3
"""Asks a CRI image service, as the kubelet does: Debian has no crictl.

    cri.py SOCKET pull IMAGE     prints the image's ID, or the error on standard error (status 1)

The messages are written by hand: PullImageRequest { ImageSpec image = 1 { string image = 1 } }.
"""

import sys

import grpc


def field(number, value):
    """A length-delimited field; lengths of up to 16,383."""
    length = len(value)
    assert length < 1 << 14
    varint = bytes([length]) if length < 128 else bytes([length & 127 | 128, length >> 7])
    return bytes([number << 3 | 2]) + varint + value


def main():
    socket, verb, image = sys.argv[1:]
    assert verb == "pull"
    channel = grpc.insecure_channel("unix://" + socket)
    call = channel.unary_unary("/runtime.v1.ImageService/PullImage")
    try:
        answer = call(field(1, field(1, image.encode())), timeout=60)
    except grpc.RpcError as error:
        sys.exit(f"{error.code().name}: {error.details()}")
    # PullImageResponse { string image_ref = 1 }
    print(answer[2:].decode())


main()
