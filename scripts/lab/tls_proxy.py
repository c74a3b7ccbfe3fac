#!/usr/bin/env python3
"""Puts a unix socket behind TLS that wants client certificates.

    tls_proxy.py PORT CERTIFICATE KEY CLIENT_AUTHORITY SOCKET
"""

import socket
import ssl
import sys
import threading


def copy(source, target):
    try:
        while data := source.recv(1 << 16):
            target.sendall(data)
    except OSError:
        pass
    for end in (source, target):
        try:
            end.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass


def serve(connection, context, path):
    try:
        client = context.wrap_socket(connection, server_side=True)
    except OSError as error:
        print(error, file=sys.stderr)
        return
    engine = socket.socket(socket.AF_UNIX)
    engine.connect(path)
    threading.Thread(target=copy, args=(engine, client), daemon=True).start()
    copy(client, engine)


def main():
    port, certificate, key, authority, path = sys.argv[1:]
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    context.load_verify_locations(authority)
    context.verify_mode = ssl.CERT_REQUIRED
    with socket.create_server(("127.0.0.1", int(port))) as server:
        while True:
            connection, _ = server.accept()
            threading.Thread(
                target=serve, args=(connection, context, path), daemon=True
            ).start()


if __name__ == "__main__":
    main()
