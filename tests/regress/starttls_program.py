"""A UCSPI-TLS program that does what its client says, a line at a time.

starttls_program.py FILE [WORD ...]

It writes what it sees to FILE, a line at a time.  Words: greet (say `ready'
first), late (read the answer to `Y' only when told), buffered (read more than a line and, at STARTTLS, throw that away),
probe (when TLS does not come, try to go on in plain text), stay (do not
leave at the end of the input), ignore (note SIGTERM and go on).
"""

import fcntl
import json
import os
import signal
import sys
import time


def note(*words):
    line = ' '.join(str(word) for word in words) + '\n'
    os.write(NOTES, line.encode())


def write_all(fd, data):
    view = memoryview(data)
    while len(view):
        view = view[os.write(fd, view):]


class Peer:
    """The client: its bytes, wherever they come from now."""

    def __init__(self, is_buffered):
        self.reads, self.writes = 0, 1
        self.is_buffered = is_buffered
        self.rest = b''
        self.has_tls = False

    def line(self):
        """None at the end."""
        while b'\n' not in self.rest:
            piece = os.read(self.reads, 65536 if self.is_buffered else 1)
            if not piece:
                return None
            self.rest += piece
        self.has_tls = self.reads != 0
        text, self.rest = self.rest.split(b'\n', 1)
        return text.decode().rstrip('\r')

    def say(self, text):
        write_all(self.writes, text.encode() + b'\n')


def state():
    """What this process has, as JSON."""
    found = {}
    for name in os.listdir('/proc/self/fd'):
        try:
            found[int(name)] = (os.readlink('/proc/self/fd/' + name),
                                fcntl.fcntl(int(name), fcntl.F_GETFL))
        except OSError:
            pass  # the directory's own
    found.pop(NOTES)
    return json.dumps({'fds': found, 'env': dict(os.environ)})


def start_tls(peer, byte):
    control = int(os.environ['SSLCTLFD'])
    peer.rest = b''
    peer.reads = int(os.environ['SSLREADFD'])
    peer.writes = int(os.environ['SSLWRITEFD'])
    os.write(control, byte.encode())
    note('ASKED')
    if byte == 'Y' and 'late' not in WORDS:
        read_answer(control)


def read_answer(control):
    answer = b''
    while True:
        piece = os.read(control, 65536)
        if not piece:
            break
        answer += piece
    note('ANSWER', answer.hex() or '-')
    os.close(control)


def echo(peer):
    while True:
        piece = os.read(peer.reads, 65536)
        if not piece:
            return
        write_all(peer.writes, piece)


def try_plain():
    for number in range(2):
        try:
            os.write(1, b'plain text\n')
            note('WROTE')
        except OSError as error:
            note('FAILED', error.strerror)
    note('READ', len(os.read(0, 100)))


def obey(peer, line):
    verb, _, rest = line.partition(' ')
    if verb == 'PING':
        peer.say('PONG')
    elif verb == 'EHLO':
        peer.say('250-here\r\n250 STARTTLS\r')
    elif verb == 'STARTTLS':
        peer.say('220 go\r')
        start_tls(peer, rest or 'y')
    elif verb == 'DECLINE':
        os.close(int(os.environ['SSLCTLFD']))
        peer.say('plain')
    elif verb == 'READ-ANSWER':
        read_answer(int(os.environ['SSLCTLFD']))
    elif verb == 'READ-CONTROL':
        peer.say(str(len(os.read(int(os.environ['SSLCTLFD']), 1))))
    elif verb == 'STATE':
        peer.say(state())
    elif verb == 'ECHO':
        echo(peer)
    elif verb == 'SHUT':
        for fd in rest.split():
            os.close(int(os.environ.get(fd, fd)))
    elif verb == 'EXIT':
        os._exit(int(rest))
    elif verb == 'ASK':
        os.write(int(os.environ['SSLCTLFD']), bytes.fromhex(rest))
    elif verb == 'ASK-AND-EXIT':
        os.write(int(os.environ['SSLCTLFD']), b'y')
        os._exit(int(rest))
    elif verb == 'FORK':
        if os.fork() == 0:
            return
        os._exit(0)


def on_term(_number, _frame):
    note('TERM')
    if 'ignore' not in WORDS:
        os._exit(15)


def main():
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, on_term)
    note('START', os.getpid())
    peer = Peer('buffered' in WORDS)
    if 'greet' in WORDS:
        peer.say('ready')
    while True:
        line = peer.line()
        if line is None:
            break
        obey(peer, line)
    note('EOF')
    if 'probe' in WORDS and peer.reads != 0 and not peer.has_tls:
        try_plain()
    while 'stay' in WORDS:
        time.sleep(0.05)
    note('END')
    os._exit(0)


NOTES = os.open(sys.argv[1], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)
WORDS = sys.argv[2:]
main()
