"""What the image is tried against: a name server and an STS, on loopback of a network of their own.

The name server answers A questions for NAME and says of everything else that it doesn't exist. The STS
answers any request under TLS as GetCallerIdentity does. Both note what they saw in FILE, a line each.

usage: servers.py NAME CERTIFICATE KEY FILE
"""

import array
import fcntl
import http.server
import socket
import ssl
import struct
import sys
import threading

NAME, CERTIFICATE, KEY, FILE = sys.argv[1:]
ACCOUNT = "123456789012"
ANSWER = f"""<GetCallerIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/">
<GetCallerIdentityResult><Arn>arn:aws:iam::{ACCOUNT}:user/operator</Arn><UserId>AIDAIOSFODNN7EXAMPLE</UserId>
<Account>{ACCOUNT}</Account></GetCallerIdentityResult></GetCallerIdentityResponse>""".encode()


def note(text):
    with open(FILE, "a", encoding="ascii") as seen:
        seen.write(text + "\n")


def raise_loopback():
    """A new network has a loopback that is down. SIOCGIFFLAGS and SIOCSIFFLAGS, IFF_UP: see netdevice(7)."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        request = array.array("B", struct.pack("16sh22x", b"lo", 0))
        fcntl.ioctl(any_socket, 0x8913, request)
        flags = struct.unpack_from("16sh", request)[1]
        fcntl.ioctl(any_socket, 0x8914, struct.pack("16sh22x", b"lo", flags | 1))


def question(packet):
    """Name and type of the one question of a DNS message, and where it ends (RFC 1035, 4.1.2)."""
    labels, at = [], 12
    while packet[at]:
        labels.append(packet[at + 1 : at + 1 + packet[at]].decode())
        at += 1 + packet[at]
    return ".".join(labels), struct.unpack_from(">H", packet, at + 1)[0], at + 5


def reply(packet):
    name, kind, end = question(packet)
    note(f"dns {name}")
    known = name == NAME
    answers = 1 if known and kind == 1 else 0
    # A response, recursion available; code 0, or 3: no such name.
    head = packet[:2] + struct.pack(">HHHHH", 0x8180 | (0 if known else 3), 1, answers, 0, 0)
    # The name of the question once more, by its place; type A, class IN, a minute, four bytes.
    record = struct.pack(">HHHIH4B", 0xC00C, 1, 1, 60, 4, 127, 0, 0, 1) if answers else b""
    return head + packet[12:end] + record


def serve_names():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 53))
        note("dns ready")
        while True:
            packet, client = server.recvfrom(4096)
            server.sendto(reply(packet), client)


class Sts(http.server.BaseHTTPRequestHandler):
    """GetCallerIdentity, whoever asks."""

    def do_POST(self):
        self.rfile.read(int(self.headers.get("Content-Length", "0")))
        note(f"sts {self.headers.get('Host')}")
        self.send_response(200)
        self.send_header("Content-Type", "text/xml")
        self.send_header("Content-Length", str(len(ANSWER)))
        self.end_headers()
        self.wfile.write(ANSWER)

    def log_message(self, format, *arguments):
        pass


class Server(http.server.ThreadingHTTPServer):
    """Notes handshakes that fail, which is what is expected of a client that doesn't know the authority."""

    def handle_error(self, request, client_address):
        note(f"tls {sys.exc_info()[1]}")


def serve_sts():
    server = Server(("127.0.0.1", 443), Sts)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(CERTIFICATE, KEY)
    # The handshake belongs to the connection's own thread, where its failure is noted.
    server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    note("sts ready")
    server.serve_forever()


raise_loopback()
threading.Thread(target=serve_names, daemon=True).start()
serve_sts()
