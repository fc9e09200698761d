"""What DESIGN.md (§7) asks for, beside what was seen.

A goal is a ratio wherever it can be: of F, or of another server in the same
run.  Microseconds were written down on a machine on which F was 620; on
another one, or on the same one on another day, they are as much of its F.
"""

import report

F_OF_GOALS = 620
COUNTS = ('counters', 'sslserver')


def get(results, *path):
    """What is at the end of the path, or None."""
    for name in path:
        if not isinstance(results, dict) or name not in results:
            return None
        results = results[name]
    return results


def over(value, unit):
    return None if value is None or not unit else value / unit


class Goal:
    """What, its limit, what was seen of it; each None if it was not."""

    def __init__(self, what, limit, seen, unit='', is_least=False, places=2):
        self.what, self.limit, self.seen = what, limit, seen
        self.unit, self.is_least, self.places = unit, is_least, places

    def is_met(self):
        if self.seen is None:
            return None
        return self.seen >= self.limit if self.is_least \
            else self.seen <= self.limit

    def row(self):
        sign = '≥' if self.is_least else '≤'
        return [self.what, f'{sign} {self.limit:g}{self.unit}',
                f'{self.seen:.{self.places}f}{self.unit}',
                'yes' if self.is_met() else 'no']


def of_cost(results):
    unit = get(results, 'cost', 'F_us')
    for name, what, limit in [
            ('sslserver', 'sslserver', 1.6),
            ('sslserver-dynamic', 'sslserver, dynamic nursery', 2.1),
            ('sslhandle', 'sslhandle', 1.25)]:
        yield Goal(f'{what}: full handshake', limit, over(
            get(results, 'cost', 'servers', name, 'cpu_us'), unit), ' F')


def of_counters(results):
    for kind, what, limit in [('faults', 'minor faults', 45),
                              ('calls', 'system calls', 32)]:
        yield Goal(f'session: {what}', limit,
                   get(results, *COUNTS, kind, 'session'), places=1)


def of_microseconds(results):
    """They were written down where F was 620."""
    unit = get(results, 'cost', 'F_us')
    scale = None if not unit else F_OF_GOALS / unit
    for what, limit, path in [
            ('TLS 1.3 resumed', 900,
             ('kinds', 'TLS 1.3 resumed', 'servers', 'sslserver')),
            ('TLS 1.2 resumed', 650,
             ('kinds', 'TLS 1.2 resumed', 'servers', 'sslserver')),
            ('a refusal', 25, ('refusals', 'sslserver'))]:
        seen = get(results, *path, 'cpu_us')
        yield Goal(f'{what}, as if F were {F_OF_GOALS} µs', limit,
                   None if None in (seen, scale) else seen * scale, ' µs',
                   places=1 if limit < 100 else 0)


def of_bulk(results):
    for way, what in ('give', 'to'), ('take', 'from'):
        ours, theirs = (get(results, 'bulk', name, way)
                        for name in ('sslserver', 'stunnel'))
        yield Goal(f'bulk {what} the client: throughput', 1.3,
                   over(get(ours, 'mib_s'), get(theirs, 'mib_s')),
                   ' × stunnel', True)
        yield Goal(f'bulk {what} the client: CPU per GiB', 0.7,
                   over(get(ours, 'cpu_s_per_gib'),
                        get(theirs, 'cpu_s_per_gib')), ' × stunnel')


def of_standing(results):
    """Connections that stand: round trips, memory, one more."""
    yield Goal('ping-pong, median', 2.4,
               over(*(get(results, 'trips', name, 'p50')
                      for name in ('sslserver', 'tcpserver'))), ' × tcpserver')
    idle = get(results, 'idle', 'sslserver')
    for what, field, limit in [('private memory', 'private', 130),
                               ('kernel memory', 'kernel', 110)]:
        yield Goal(f'idle, without the program: {what}', limit,
                   over(get(idle, field), 1000), ' kB', places=0)
    open_ones = get(results, 'open', 'servers', 'sslserver') or {}
    costs = dict(zip(open_ones.get('places', []),
                     open_ones.get('cpu_us', [])))
    # Where there was not quite room, what there was room for.
    most = max([10000 - 1000, *costs])
    yield Goal('one more beside 10,000: CPU', 1.1,
               over(costs.get(most), costs.get(1)), ' × the first')


def goals_of(results):
    return [goal for part in (of_cost, of_counters, of_microseconds, of_bulk,
                              of_standing) for goal in part(results)]


def text(results):
    """A table in Markdown, and what a part of the benchmark does not tell."""
    every = goals_of(results)
    rows = [goal.row() for goal in every if goal.seen is not None]
    missing = [goal.what for goal in every if goal.seen is None]
    return report.table(['goal', 'limit', 'seen', 'met'], rows) + (
        f'\nNot measured: {"; ".join(missing)}.\n' if missing else '')


def plain(results):
    """Likewise, for a file of JSON."""
    return [{'goal': goal.what, 'limit': goal.limit, 'seen': goal.seen,
             'unit': goal.unit.strip(), 'met': goal.is_met()}
            for goal in goals_of(results)]
