"""Mappings: never writable and executable; a static nursery's huge pages."""

import ctypes
import mmap
import os
import re
import struct

import pytest

from harness import SANITIZED, read_text, wait_for

HUGE = 2 << 20
COLLAPSE = 25
PAGE = 4096
# Of ELF: e_type of a program for one address, p_type.
FIXED = 2
RELRO = 0x6474e552


def mappings(pid):
    """(rights, name) of each, and the size of its huge pages in kB."""
    found = []
    for line in read_text(f'/proc/{pid}/smaps').splitlines():
        head = re.match(r'[0-9a-f]+-[0-9a-f]+ (\S+) \S+ \S+ \d+ *(.*)', line)
        if head:
            found.append([head.group(1), head.group(2), 0])
        elif line.startswith('AnonHugePages:'):
            found[-1][2] = int(line.split()[1])
    return found


@pytest.mark.root
def test_nothing_is_writable_and_executable(start):
    """Whoever can write into memory cannot run what was written."""
    server = start()
    with server.connect() as client:
        client.echo(b'x')
        roles = server.roles()
        del roles['program']
        for role, pids in roles.items():
            for pid in pids:
                rights = [rights for rights, _, _ in mappings(pid)]
                assert any('x' in word for word in rights), role
                assert not [word for word in rights
                            if 'w' in word and 'x' in word], role


def program_headers(path):
    """Type of the file, and the entries of its table."""
    with open(path, 'rb') as file:
        head = file.read(64)
        offset, = struct.unpack_from('<Q', head, 32)
        size, count = struct.unpack_from('<HH', head, 54)
        file.seek(offset)
        return struct.unpack_from('<H', head, 16)[0], [
            struct.unpack_from('<IIQQQQQQ', file.read(size))
            for _ in range(count)]


def spans(pid):
    """(start, end, rights, name) of each mapping."""
    for line in read_text(f'/proc/{pid}/maps').splitlines():
        words = line.split(None, 5)
        start, end = (int(word, 16) for word in words[0].split('-'))
        yield start, end, words[1], words[5] if len(words) > 5 else ''


@pytest.mark.root
def test_what_was_relocated_is_read_only(start):
    """Also where pieces of a program have been moved to huge pages."""
    server = start()
    with server.connect() as client:
        client.echo(b'x')
        roles = server.roles()
        assert 'session' in roles
        del roles['program']
        for role, pid in [(role, pids[0]) for role, pids in roles.items()]:
            path = os.readlink(f'/proc/{pid}/exe')
            kind, table = program_headers(path)
            relro, = [entry for entry in table if entry[0] == RELRO]
            # Of one that lies anywhere its headers come first.
            base = 0 if kind == FIXED else min(
                first for first, _, _, name in spans(pid) if name == path)
            first = base + relro[3]
            last = base + (relro[3] + relro[6]) // PAGE * PAGE
            assert first < last, role
            found = [(begin, end, rights)
                     for begin, end, rights, _ in spans(pid)
                     if begin < last and end > first]
            assert found and not [piece for piece in found
                                  if 'w' in piece[2]], (role, found)


def is_linked_for_huge_pages(path):
    """Is it static, and are its segments apart by a huge page?"""
    _, table = program_headers(path)
    kinds = [entry[0] for entry in table]
    return 3 not in kinds and all(
        entry[7] >= HUGE for entry in table if entry[0] == 1)


def makes_huge_pages():
    """Does this kernel, now?"""
    area = mmap.mmap(-1, 2 * HUGE,
                     flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    here = ctypes.addressof(ctypes.c_char.from_buffer(area))
    start = -(-here // HUGE) * HUGE
    ctypes.memset(start, 1, HUGE)
    return ctypes.CDLL(None).madvise(
        ctypes.c_void_p(start), ctypes.c_size_t(HUGE), COLLAPSE) == 0


@pytest.mark.root
def test_code_in_huge_pages(start):
    """A session has the nursery's code without a page fault."""
    server = start()
    nursery = server.pid('nursery')
    if not is_linked_for_huge_pages(os.path.realpath(
            f'{os.path.dirname(server.arguments[0])}/ucspissl-nursery')):
        pytest.skip('the nursery is not linked for huge pages')
    if not makes_huge_pages():
        pytest.skip('this kernel makes no huge page now')
    with server.connect() as client:
        client.echo(b'x')
        for pid in (nursery, server.pid('session')):
            code = [(name, huge) for rights, name, huge in mappings(pid)
                    if 'x' in rights and not name.startswith('[')]
            assert code and all(name == '' and huge > 0
                                for name, huge in code), code


def has_arena(pid):
    """Then its stack lies above a gap of 64 KiB."""
    return any(rights.startswith('---') and end - begin == 64 << 10
               and not name for begin, end, rights, name in spans(pid))


def private_kib(pid):
    """Pages that nobody shares."""
    return sum(int(line.split()[1]) for line in read_text(
        f'/proc/{pid}/smaps_rollup').splitlines()
        if line.startswith('Private_Dirty:'))


@pytest.mark.root
@pytest.mark.skipif(SANITIZED, reason='a sanitizer keeps what is freed')
def test_an_idle_session_gives_memory_back(start):
    """What it relayed is not what it keeps."""
    server = start()
    with server.connect() as client:
        client.echo(os.urandom(1 << 20))
        session = server.pid('session')
        if not has_arena(session):
            pytest.skip('the nursery was built without its allocator')
        wait_for(lambda: private_kib(session) < 160, 30, 'memory comes back')
        client.echo(os.urandom(1 << 20))
        assert private_kib(session) > 200
        wait_for(lambda: private_kib(session) < 160, 30, 'and again')
