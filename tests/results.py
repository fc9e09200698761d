"""Read what tests left behind: JUnit files (pytest), JSON lines (meson's
testlog.json) and directories of TAP files (NAME.taps).

A file may have a companion, NAME.again.EXT: the second look that
tests/scenarios takes at what failed (see there).
"""

import collections
import json
import os
import re
import xml.etree.ElementTree as ElementTree

# unit: what can be run again by that name, a scenario or a whole program.
Result = collections.namedtuple('Result', 'unit name outcome reason')

TAP_LINE = re.compile(
    r'^(?:# skip: (.*)\n)?(not )?ok\b[ \d]*(?:- )?([^#\n]*)(# *SKIP *(.*))?',
    re.M | re.I)


def read_program(unit, name, output, is_good, problem):
    """Yield the result of each test a unit test printed.

    A program that speaks TAP counts once per test of its own, and once
    more as failed when it ended badly without saying so.  cmocka gives a
    skip no reason: tests print "# skip: why" before it.
    """
    lines = TAP_LINE.findall(output)
    for why, bad, case, skip, rest in lines:
        outcome = 'skipped' if skip else 'failed' if bad else 'passed'
        yield Result(unit, f'{name} {case.strip() or rest}', outcome,
                     why or 'see its source')
    if is_good and not lines:
        yield Result(unit, name, 'passed', '')
    if not is_good and not any(
            bad and not skip for _, bad, _, skip, _ in lines):
        yield Result(unit, name, 'failed', problem)


def _read_meson(path):
    """The results of a testlog.json; meson's JUnit file loses crashes."""
    with open(path, encoding='utf-8') as file:
        programs = [json.loads(line) for line in file]
    for program in programs:
        yield from read_program(
            program['name'], program['name'], program.get('stdout') or '',
            program['result'] == 'OK',
            f'{program["result"]}: status {program["returncode"]}')


def _read_directory(path):
    """The results of a directory of NAME.tap; the last line is the status."""
    for name in sorted(os.listdir(path)):
        with open(os.path.join(path, name), encoding='utf-8') as file:
            output = file.read()
        status = output.rpartition('# status ')[2].strip()
        yield from read_program(
            name[:-4], f'{os.path.basename(path)} {name[:-4]}', output,
            status == '0', f'status {status}')


def _read_junit(path):
    suite = os.path.basename(path)[:-4]
    for case in ElementTree.parse(path).iter('testcase'):
        place, name = case.get('classname'), case.get('name')
        outcome, reason = 'passed', ''
        for child in case:
            text = child.get('message') or (child.text or '').strip()
            if child.tag in ('failure', 'error'):
                outcome, reason = 'failed', text
            elif child.tag == 'skipped' and outcome == 'passed':
                outcome, reason = 'skipped', text
        # As pytest names it on its command line.
        yield Result(f'{place}.py::{name}',
                     ' '.join(part for part in (suite, place, name) if part),
                     outcome, reason)


def read_file(path):
    """The results of one file, a list that is never empty: a file that is
    missing, damaged or empty is a failure.
    """
    readers = {'.json': _read_meson, '.taps': _read_directory,
               '.xml': _read_junit}
    try:
        found = list(readers[os.path.splitext(path)[1]](path))
        problem = 'no test ran'
    except (OSError, ValueError, KeyError,
            ElementTree.ParseError) as error:
        found, problem = [], str(error)
    return found or [Result(None, os.path.basename(path), 'failed', problem)]


def failed_units(results):
    """What to run again, in order, each once; None: cannot be."""
    return list(dict.fromkeys(result.unit for result in results
                              if result.outcome == 'failed'))


def again_path(path):
    """Where the results of the second look lie."""
    root, extension = os.path.splitext(path)
    return root + '.again' + extension


def read_both(path):
    """As read_file; what failed and passed at the second look, the whole
    program where it is one, is unsteady, with the reason of the first time.
    """
    outcomes = collections.defaultdict(set)
    if os.path.exists(again_path(path)):
        for result in read_file(again_path(path)):
            outcomes[result.unit].add(result.outcome)
    for result in read_file(path):
        second = outcomes[result.unit]
        if (result.outcome == 'failed' and result.unit is not None
                and 'passed' in second and 'failed' not in second):
            result = result._replace(outcome='unsteady')
        yield result
