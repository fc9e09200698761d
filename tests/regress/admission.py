"""What the scenarios of admission share: rule tables, name servers that
are told what to say, IDENT servers, and networks of our own."""

import contextlib
import ctypes
import os
import random
import socket
import struct
import subprocess
import threading

import pytest

import harness

TCPRULES = os.path.join(harness.BIN, 'tcprules')
CLONE_NEWNET = 0x40000000

# A client whose port 113 is ours: of this run, as others may go on.
IDENT_CLIENT = '127.%d.%d.%d' % tuple(random.randrange(2, 250)
                                      for _ in range(3))


def make_rules(path, text):
    """Compiles a table, which replaces that of the same path at once."""
    subprocess.run([TCPRULES, path, path + '.new'], input=text.encode(),
                   check=True, stderr=subprocess.PIPE, timeout=60)
    return path


def compiled(directory, text):
    """The bytes of a table."""
    path = make_rules(os.path.join(directory, 'spare.cdb'), text)
    with open(path, 'rb') as file:
        return file.read()


def environment_of(server, **settings):
    return harness.json_of(server, **settings)['env']


def denied(server, ip, host='', info='', extra=''):
    """A pattern of the line about a client refused before any process."""
    return r'^sslserver: deny 0 \S*:%s:%d %s:%s:%s:\d+%s$' % (
        server.address, server.port, host, ip, info, extra)


# ---------------------------------------------------------------------------
# DNS

TYPE_A, TYPE_CNAME, TYPE_PTR, TYPE_AAAA = 1, 5, 12, 28


def reverse(ip):
    """The name that a PTR question about an IPv4 address asks for."""
    return '.'.join(reversed(ip.split('.'))) + '.in-addr.arpa'


def wire_name(labels):
    """Labels as bytes; a str is cut at its dots."""
    if isinstance(labels, str):
        labels = labels.encode('latin-1').split(b'.')
    return b''.join(bytes([len(label)]) + label for label in labels) + b'\0'


def record(owner, kind, data, ttl=60):
    return wire_name(owner) + struct.pack('!HHIH', kind, 1, ttl,
                                          len(data)) + data


def ptr(question, labels):
    return record(question.name, TYPE_PTR, wire_name(labels))


class Question:
    def __init__(self, data, is_tcp):
        self.id, self.is_tcp, self.data = data[:2], is_tcp, data
        labels, at = [], 12
        while data[at]:
            labels.append(data[at + 1:at + 1 + data[at]].decode('latin-1'))
            at += 1 + data[at]
        self.name = '.'.join(labels).lower()
        self.type, = struct.unpack_from('!H', data, at + 1)
        self.section = data[12:at + 5]

    def answer(self, *records, code=0, flags=0x8180, number=None, count=None,
               section=None):
        """A reply with these records, right unless told otherwise."""
        head = (self.id if number is None else number) + struct.pack(
            '!HHHHH', flags | code, 1,
            len(records) if count is None else count, 0, 0)
        return head + (section or self.section) + b''.join(records)


class NameServer:
    """UDP and TCP on one port of a loopback address.

    script(question) returns None (silence), a reply, or a list of them;
    a reply is bytes, or a callable that gets (server, peer) and sends what
    it likes from where it likes.  Over TCP only bytes are sent.
    """

    def __init__(self, script):
        self.script = script
        self.questions = []
        while True:
            self.udp = socket.socket(type=socket.SOCK_DGRAM)
            self.udp.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
            self.udp.bind(('127.0.0.1', 0))
            self.port = self.udp.getsockname()[1]
            self.tcp = socket.socket()
            try:
                self.tcp.bind(('127.0.0.1', self.port))
                break
            except OSError:
                self.udp.close()
                self.tcp.close()
        self.tcp.listen(16)
        for step in (self._serve_udp, self._serve_tcp):
            threading.Thread(target=step, daemon=True).start()

    @property
    def environment(self):
        return {'DNSCACHEIP': '127.0.0.1#%d' % self.port}

    def _replies(self, data, is_tcp):
        question = Question(data, is_tcp)
        self.questions.append(question)
        replies = self.script(question)
        if replies is None:
            return []
        return replies if isinstance(replies, list) else [replies]

    def _serve_udp(self):
        with contextlib.suppress(OSError):
            while True:
                data, peer = self.udp.recvfrom(4096)
                if not data:
                    return
                for reply in self._replies(data, False):
                    if callable(reply):
                        reply(self, peer)
                    else:
                        self.udp.sendto(reply, peer)

    def _serve_tcp(self):
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self.tcp.accept()
                threading.Thread(target=self._serve_stream,
                                 args=(connection,), daemon=True).start()

    def _serve_stream(self, connection):
        with connection, contextlib.suppress(OSError, struct.error):
            while True:
                head = connection.recv(2, socket.MSG_WAITALL)
                size, = struct.unpack('!H', head)
                data = connection.recv(size, socket.MSG_WAITALL)
                for reply in self._replies(data, True):
                    connection.sendall(struct.pack('!H', len(reply)) + reply)

    def close(self):
        for sock in (self.udp, self.tcp):
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
            sock.close()


@contextlib.contextmanager
def name_server(script):
    server = NameServer(script)
    try:
        yield server
    finally:
        server.close()


def known(names):
    """A script that knows PTR records (IP -> name) and confirms them."""
    questions = {reverse(ip): (ip, name) for ip, name in names.items()}

    def script(question):
        if question.type == TYPE_PTR and question.name in questions:
            return question.answer(ptr(question,
                                       questions[question.name][1]))
        found = [socket.inet_aton(ip) for ip, name in names.items()
                 if name.lower() == question.name]
        if question.type == TYPE_A and found:
            return question.answer(*(record(question.name, TYPE_A, data)
                                     for data in found))
        return question.answer(code=3)
    return script


# ---------------------------------------------------------------------------
# IDENT

class IdentServer:
    """Port 113 of a loopback address.  reply(remote_port, local_port) gives
    bytes, or None: silence."""

    def __init__(self, address, reply):
        self.reply = reply
        self.seen = []  # (source address, ports)
        self.kept = []
        self.listener = socket.socket()
        self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.listener.bind((address, 113))
        self.listener.listen(16)
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self):
        with contextlib.suppress(OSError):
            while True:
                connection, peer = self.listener.accept()
                with contextlib.suppress(OSError, ValueError):
                    self._answer(connection, peer)

    def _answer(self, connection, peer):
        line = b''
        while not line.endswith(b'\n'):
            piece = connection.recv(100)
            if not piece:
                break
            line += piece
        ports = tuple(int(word) for word in line.split(b','))
        self.seen.append((peer[0], ports))
        answer = self.reply(*ports)
        if answer is None:
            self.kept.append(connection)
            return
        with connection:
            connection.sendall(answer)

    def close(self):
        with contextlib.suppress(OSError):
            self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        for connection in self.kept:
            connection.close()


@contextlib.contextmanager
def ident_server(address, reply):
    try:
        server = IdentServer(address, reply)
    except PermissionError:
        pytest.skip('port 113 needs root')
    try:
        yield server
    finally:
        server.close()


# ---------------------------------------------------------------------------
# Networks

@contextlib.contextmanager
def network_namespace(*addresses):
    """This thread, and what it starts, in a network of its own whose
    loopback interface has these addresses (with their prefixes)."""
    libc = ctypes.CDLL(None, use_errno=True)
    command = harness.find_command('ip')
    if command is None:
        pytest.skip('the ip command is not there')
    with open('/proc/thread-self/ns/net', 'rb') as before:
        if libc.unshare(CLONE_NEWNET) == -1:
            pytest.skip('no network of our own: '
                        + os.strerror(ctypes.get_errno()))
        try:
            run = [command, 'link', 'set', 'lo', 'up']
            subprocess.run(run, check=True, timeout=10)
            for address in addresses:
                run = [command, 'address', 'add', address, 'dev', 'lo']
                run += ['nodad'] if ':' in address else []
                subprocess.run(run, check=True, timeout=10)
            yield
        finally:
            assert libc.setns(before.fileno(), CLONE_NEWNET) == 0


# ---------------------------------------------------------------------------
# Processes of the server that talk nonsense

PIDFD_GETFD = 438


def say_nonsense(pid, choose):
    """Something that is no message on the work socket of a role that has no
    other work; choose tells its number from that of the life line."""
    libc = ctypes.CDLL(None, use_errno=True)

    def sockets():
        found = [number for number, target in
                 harness.descriptors(pid).items()
                 if target.startswith('socket:')]
        return found if len(found) > 1 else None

    number = choose(harness.wait_for(sockets, 5, 'the work socket'))
    process = os.pidfd_open(pid)
    taken = libc.syscall(PIDFD_GETFD, process, number, 0)
    error = ctypes.get_errno()
    os.close(process)
    if taken == -1:
        pytest.skip('no descriptor of another process: '
                    + os.strerror(error))
    with socket.socket(fileno=taken) as work:
        work.send(b'garbage!')


@contextlib.contextmanager
def neighbours():
    """This thread in a network of its own, whose only link leads to another
    one: here `far' with fe80::2 and fe80::3, there `near' with fe80::1.
    Gives what a process does to enter the other one."""
    libc = ctypes.CDLL(None, use_errno=True)
    command = harness.find_command('ip')

    def enter():
        if libc.setns(there.fileno(), CLONE_NEWNET) == -1:
            raise OSError(ctypes.get_errno(), 'setns')

    def ip(words, inside=None):
        return subprocess.run([command] + words.split(), check=False,
                              stderr=subprocess.PIPE, timeout=10,
                              preexec_fn=inside)

    with network_namespace(), \
            open('/proc/thread-self/ns/net', 'rb') as there, \
            network_namespace():
        done = ip('link add far type veth peer name near')
        if done.returncode != 0:
            pytest.skip('no veth: ' + done.stderr.decode().strip())
        for inside, words in (
                (None, 'link set near netns /proc/%d/fd/%d' % (
                    os.getpid(), there.fileno())),
                (enter, 'link set near addrgenmode none'),
                (enter, 'link set near up'),
                (enter, 'address add fe80::1/64 dev near nodad'),
                (None, 'link set far addrgenmode none'),
                (None, 'link set far up'),
                (None, 'address add fe80::2/64 dev far nodad'),
                (None, 'address add fe80::3/64 dev far nodad')):
            done = ip(words, inside)
            assert done.returncode == 0, (words, done.stderr)
        yield enter


def some_rules(count, seed):
    """Rules that match nobody here, to make a table large."""
    rng = random.Random(seed)
    return ''.join('10.%d.%d.%d:deny\n' % (
        rng.randrange(256), rng.randrange(256), rng.randrange(256))
        for _ in range(count))
