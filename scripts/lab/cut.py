#!/usr/bin/env python3
"""A socket in front of containerd's that breaks off after so many bytes of its answers.

    cut.py LISTEN TARGET BYTES [PID]

With PID, that process is killed first: the containerd itself.
"""

import os
import signal
import socket
import sys
import threading


def forward(source, sink):
    """Until one of the two hangs up; then the other end is told."""
    try:
        while data := source.recv(65536):
            sink.sendall(data)
        sink.shutdown(socket.SHUT_RDWR)
    except OSError:
        pass


def main():
    listen, target, limit = sys.argv[1], sys.argv[2], int(sys.argv[3])
    victim = int(sys.argv[4]) if len(sys.argv) > 4 else None
    server = socket.socket(socket.AF_UNIX)
    server.bind(listen)
    server.listen()
    client, _ = server.accept()
    server.close()
    os.unlink(listen)
    engine = socket.socket(socket.AF_UNIX)
    engine.connect(target)
    threading.Thread(target=forward, args=(client, engine), daemon=True).start()
    while limit > 0 and (data := engine.recv(min(limit, 65536))):
        client.sendall(data)
        limit -= len(data)
    if victim:
        os.kill(victim, signal.SIGKILL)
        # What it still had to say, and that it is gone.
        while data := engine.recv(65536):
            client.sendall(data)
    for end in (client, engine):
        try:
            end.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass


main()
