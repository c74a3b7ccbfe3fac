#!/usr/bin/env python3
"""A timestamping authority and a CRL distribution point on loopback.

    tsa.py PORT CONFIG    answers POSTs with `openssl ts -reply` of CONFIG, GETs with files beside it
"""

import http.server
import os
import subprocess
import sys
import tempfile


class Handler(http.server.BaseHTTPRequestHandler):
    def answer(self, status, media_type, body):
        self.send_response(status)
        self.send_header("Content-Type", media_type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_POST(self):
        if self.headers["Content-Type"] != "application/timestamp-query":
            return self.answer(400, "text/plain", b"no timestamp query")
        with tempfile.NamedTemporaryFile() as query:
            query.write(self.rfile.read(int(self.headers["Content-Length"])))
            query.flush()
            command = ["openssl", "ts", "-reply", "-config", CONFIG, "-queryfile", query.name]
            reply = subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout
        self.answer(200, "application/timestamp-reply", reply)

    def do_GET(self):
        path = os.path.join(os.path.dirname(CONFIG), os.path.basename(self.path))
        if not os.path.isfile(path):
            return self.answer(404, "text/plain", b"not found")
        with open(path, "rb") as file:
            self.answer(200, "application/pkix-crl", file.read())


if __name__ == "__main__":
    CONFIG = os.path.abspath(sys.argv[2])
    os.chdir(os.path.dirname(CONFIG))
    http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
