"""Many connections, many at once, and much data: all served, all intact."""

import hashlib
import os
import random
import socket
import threading
import time

import pytest

from harness import (ROOT, SLOW, Client, descriptors, read_text, tls_context,
                     tool, wait_for)


def test_500_in_a_row(start):
    server = start()
    server.check_service()
    server.wait_idle()
    before = counts(server)
    for number in range(500):
        text = b'connection %d' % number
        assert server.exchange(text) == text
    server.wait_log(r'^sslserver: ended by \d+ status 0$', count=501)
    assert not server.lines('error|fatal|warning')
    server.wait_idle()
    assert counts(server) == before


def counts(server):
    """Processes, and descriptors where one may look."""
    return {pid: len(descriptors(pid)) if ROOT else None
            for pids in server.roles().values() for pid in pids}


def run_clients(server, count, size, seconds):
    """All at once, each echoing size random bytes; returns failures."""
    context = tls_context()
    ready = threading.Barrier(count)
    failures = []

    def one(number):
        data = random.Random(number).randbytes(size)
        try:
            ready.wait(60 * SLOW)
            with Client(server.address, server.port, context=context,
                        timeout=seconds) as client:
                answer = b''.join(client.exchange_bulk([data]))
            if answer != data:
                failures.append('%d: %d bytes came back' % (
                    number, len(answer)))
        except Exception as error:
            failures.append('%d: %r' % (number, error))

    threads = [threading.Thread(target=one, args=(number,))
               for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return failures


def test_200_at_once(start):
    """-c 300 -b 300: all have their program at the same time."""
    server = start(options=['-c', '300', '-b', '300'])
    assert run_clients(server, 200, 65536, 60) == []
    server.wait_idle(5)
    assert not server.lines('error|fatal|warning')
    server.wait_log(r'^sslserver: ended by \d+ status 0$', count=200)


def test_200_at_once_in_turn(start):
    """The default -c 40 and -b 20: nobody is dropped, all have a turn."""
    server = start()
    assert run_clients(server, 200, 65536, 100) == []
    server.wait_log(r'^sslserver: ended by \d+ status 0$', count=200)
    most = max(int(match.group(1)) for match in server.wait_log(
        r'^sslserver: status: (\d+)/40/'))
    assert most <= 40
    assert not server.lines('error|fatal|warning')
    server.wait_idle(5)


def test_limit_is_exact(start, workdir):
    """Never more than -c programs, in whatever order they end; they write
    down their beginning and end themselves."""
    path = os.path.join(workdir, 'events')
    server = start(tool('events'), path, 'greet', options=['-c', '3'])
    errors = []

    def one():
        try:
            for _ in range(6):
                with server.connect() as client:
                    assert client.recv_exactly(6) == b'ready\n'
                    client.echo(b'x' * 10000)
        except Exception as error:
            errors.append(repr(error))

    threads = [threading.Thread(target=one) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    server.wait_idle()
    running = highest = started = 0
    for line in read_text(path).splitlines():
        running += line.startswith('START') - (line == 'EXIT')
        started += line.startswith('START')
        highest = max(highest, running)
    assert (started, running) == (48, 0)
    assert highest <= 3
    numbers = [int(match.group(1)) for match in
               server.wait_log(r'^sslserver: status: (\d+)/3/')]
    assert max(numbers) == 3
    assert numbers[-1] == 0


def test_limit_holds_clients_back(start):
    """The fourth of -c 3 waits; it is served when one of them leaves."""
    server = start(options=['-c', '3'])
    clients = [server.connect() for _ in range(3)]
    for client in clients:
        client.echo(b'x')
    fourth = Client(server.address, server.port, handshake=False)
    fourth.sock.sendall(fourth.first_flight())
    fourth.sock.settimeout(0.5)
    with pytest.raises(socket.timeout):
        fourth.sock.recv(1)
    assert len(server.pids('program')) == 3
    clients[0].close()
    fourth.sock.settimeout(10 * SLOW)
    fourth.handshake()
    fourth.echo(b'my turn')
    for client in clients + [fourth]:
        client.close()


def random_chunks(total, digest, size=1 << 20):
    """Unpredictable data whose SHA-256 the caller keeps."""
    block = os.urandom(size)
    sent = 0
    number = 0
    while sent < total:
        # Each block differs, so that a swap of two would be seen.
        chunk = number.to_bytes(8, 'big') + block[8:min(size, total - sent)]
        digest.update(chunk)
        sent += len(chunk)
        number += 1
        yield chunk


def test_100_mib_each_way(start):
    """Both ways at once, intact by SHA-256."""
    server = start()
    sent, received = hashlib.sha256(), hashlib.sha256()
    total = 0
    with server.connect() as client:
        for data in client.exchange_bulk(random_chunks(100 << 20, sent)):
            received.update(data)
            total += len(data)
    assert total == 100 << 20
    assert received.digest() == sent.digest()
    server.wait_log(r'^sslserver: ended by \d+ status 0$')


def test_100_mib_up(start):
    """The program itself computes the sum."""
    server = start('/usr/bin/sha256sum')
    sent = hashlib.sha256()
    with server.connect() as client:
        answer = b''.join(client.exchange_bulk(
            random_chunks(100 << 20, sent)))
    assert answer.split()[0].decode() == sent.hexdigest()


def test_100_mib_down(start, workdir):
    path = os.path.join(workdir, 'large')
    sent = hashlib.sha256()
    with open(path, 'wb') as file:
        for chunk in random_chunks(100 << 20, sent):
            file.write(chunk)
    server = start('/bin/cat', path)
    received = hashlib.sha256()
    with server.connect() as client:
        for data in client.exchange_bulk([], end=False):
            received.update(data)
    os.unlink(path)
    assert received.digest() == sent.digest()


def test_single_bytes(start):
    """Small pieces are forwarded at once, in order."""
    server = start()
    with server.connect() as client:
        for number in range(500):
            client.echo(bytes([number & 255]))


def test_ping_pong_is_not_delayed(start):
    """No round trip waits for Nagle and delayed acknowledgements."""
    server = start()
    with server.connect() as client:
        times = []
        for _ in range(100):
            began = time.monotonic()
            client.send(b'a')
            client.send(b'b')
            assert client.recv_exactly(2) == b'ab'
            times.append(time.monotonic() - began)
    # The delay would be 40 ms each time; a busy machine is slow now and then.
    assert sorted(times)[10] < 0.035


def test_slow_reader_costs_others_nothing(start):
    """A client that does not read blocks its own connection only."""
    server = start()
    slow = start('/bin/sh', '-c', 'exec cat /dev/zero')
    with slow.connect(receive_buffer=4096) as client:
        client.recv_exactly(1000)
        session = slow.pid('session')
        before = wait_for(lambda: stands_still(slow, session), 5,
                          'the session to block')
        assert before
        with slow.connect() as other:
            assert other.recv_exactly(1000000) == bytes(1000000)
    server.check_service()


def stands_still(server, pid):
    """No CPU time over a tenth of a second."""
    before = server.ticks().get(pid)
    time.sleep(0.1)
    return before is not None and server.ticks().get(pid) == before


def test_connections_while_others_are_open(start):
    """30 idle connections do not disturb the 31st."""
    server = start(tool('events'), '/dev/null', options=['-c', '40'])
    idle = [server.connect() for _ in range(30)]
    for _ in range(30):
        server.check_service()
    for client in idle:
        client.echo(b'still here')
        client.close()
    server.wait_idle(5)
