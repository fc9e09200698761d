"""Tables in Markdown and plots in SVG, of what bench/run measured."""

from xml.sax.saxutils import escape

COLOURS = ['#1f5f99', '#c4572e', '#4a8f3c', '#7a5ca8', '#8a6d1f', '#557788']


TITLES = {'tcpserver': 'tcpserver (no TLS)',
          'sslserver-dynamic': 'sslserver, dynamic nursery',
          'stunnel': 'stunnel (exec)',
          'tlswrapper': 'tlswrapper under tcpserver',
          'nginx': 'nginx (no program)', 'haproxy': 'haproxy (no program)'}


def title(name):
    """A server, as tables and plots show it."""
    return TITLES.get(name, name)


def table(head, rows):
    """A Markdown table; None is an empty cell."""
    text = [['' if cell is None else str(cell) for cell in row]
            for row in [head, *rows]]
    widths = [max(len(row[i]) for row in text) for i in range(len(head))]
    lines = ['| ' + ' | '.join(cell.ljust(width) for cell, width in
                               zip(row, widths)) + ' |' for row in text]
    lines.insert(1, '|' + '|'.join('-' * (width + 2) for width in widths)
                 + '|')
    return '\n'.join(lines) + '\n'


def document(width, height, parts):
    return (f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" '
            f'height="{height}" viewBox="0 0 {width} {height}" '
            'font-family="sans-serif" font-size="13">\n'
            f'<rect width="{width}" height="{height}" fill="white"/>\n'
            + '\n'.join(parts) + '\n</svg>\n')


def words(x, y, text, anchor='start', extra=''):
    return (f'<text x="{x:.0f}" y="{y:.0f}" text-anchor="{anchor}"{extra}>'
            f'{escape(text)}</text>')


def line(x1, y1, x2, y2, colour='#cccccc', width=1):
    return (f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" '
            f'y2="{y2:.1f}" stroke="{colour}" stroke-width="{width}"/>')


def bars(title, unit, rows):
    """Horizontal bars: rows of name, value, is_ours."""
    left, right, step = 190, 90, 26
    width, height = 640, 56 + step * len(rows)
    top = max(value for _, value, _ in rows)
    scale = (width - left - right) / top
    parts = [words(10, 22, title, extra=' font-weight="bold"')]
    for i, (name, value, is_ours) in enumerate(rows):
        y = 40 + i * step
        parts += [
            words(left - 8, y + 14, name, 'end'),
            f'<rect x="{left}" y="{y}" width="{value * scale:.1f}" '
            f'height="{step - 8}" fill="{COLOURS[0 if is_ours else 5]}"/>',
            words(left + value * scale + 6, y + 14, f'{value:.2f} {unit}'.rstrip())]
    return document(width, height, parts)


def ticks(top):
    """Four or five round numbers up to top."""
    step = 10 ** (len(str(int(top))) - 1)
    while top / step < 4:
        step /= 2
    return [step * i for i in range(int(top / step) + 1)]


def curves(title, unit, places, rows):
    """One curve for each (name, values); places are names on the x axis."""
    left, bottom, width, height = 70, 50, 640, 380
    top = 1.1 * max(value for _, values in rows for value in values
                    if value is not None)
    across = (width - left - 130) / max(1, len(places) - 1)

    def at(i, value):
        return (left + i * across,
                height - bottom - value / top * (height - bottom - 50))

    parts = [words(10, 22, title, extra=' font-weight="bold"')]
    for value in ticks(top):
        _, y = at(0, value)
        parts += [line(left, y, width - 120, y),
                  words(left - 8, y + 4, f'{value:g}', 'end')]
    parts.append(words(10, 44, unit, extra=' fill="#555555"'))
    for i, place in enumerate(places):
        parts.append(words(at(i, 0)[0], height - bottom + 20, place,
                           'middle'))
    for number, (name, values) in enumerate(rows):
        colour = COLOURS[number % len(COLOURS)]
        points = [at(i, value) for i, value in enumerate(values)
                  if value is not None]
        parts += [line(*a, *b, colour, 2)
                  for a, b in zip(points, points[1:])]
        parts += [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3.5" '
                  f'fill="{colour}"/>' for x, y in points]
        if points:
            x, y = points[-1]
            parts.append(words(x + 8, y + 4, name,
                               extra=f' fill="{colour}"'))
    return document(width, height, parts)
