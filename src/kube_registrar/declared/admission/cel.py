"""Small pieces of CEL, as text, that stand for functions of ours in Python."""

import json
import re
from collections import Counter
from collections.abc import Sequence

from kube_registrar.declared.problems import ALIKE_PERCENT, SHOWN_CHARACTERS

_PLAIN = r"^[\t\n\r -~]*$"
_ESCAPES = (("\\", "\\\\"), ("\n", "\\n"), ("\r", "\\r"), ("\t", "\\t"))


def text(value: str) -> str:
    """Return a literal; JSON's escapes are CEL's too."""
    return json.dumps(value)


def texts(values: Sequence[str]) -> str:
    """Return a list of literals."""
    return f"[{', '.join(map(text, values))}]"


def let(name: str, value: str, body: str) -> str:
    """Return `body` with `name` for a value: CEL knows no other way within an expression."""
    return f"[{value}].map({name}, {body})[0]"


def matches(value: str, pattern: str) -> str:
    """Whether all of a text matches; the syntax is RE2's."""
    return f"{value}.matches({text(f'^(?:{pattern})$')})"


def is_plain(value: str) -> str:
    """Whether a text can be shown by CEL: characters beyond ASCII are shown as escapes, which it cannot make."""
    return f"{value}.matches({text(_PLAIN)})"


def quoted(value: str) -> str:
    """As `ascii` does it with a plain text."""
    escaped = "u"
    for found, written in _ESCAPES:
        escaped = f"{escaped}.replace({text(found)}, {text(written)})"
    other = f"""'"' + {escaped} + '"'"""
    usual = f""""'" + {escaped}.replace("'", "\\\\'") + "'\""""
    return let("u", value, f"""(u.contains("'") && !u.contains('"') ? {other} : {usual})""")


def shown(value: str) -> str:
    """As `problems.shown` does it with a plain text."""
    more = f"(t.size() <= {SHOWN_CHARACTERS} ? '' : '... (' + {thousands('t.size()')} + ' characters)')"
    return let("t", value, f"{quoted(at_most('t', SHOWN_CHARACTERS))} + {more}")


def thousands(number: str) -> str:
    """Show a number below a million as Python's `,` does."""
    groups = "string(n / 1000) + ',' + string(1000 + n % 1000).substring(1)"
    return let("n", number, f"(n < 1000 ? string(n) : {groups})")


def at_most(value: str, characters: int) -> str:
    """Return the beginning of a text."""
    return f"({value}.size() <= {characters} ? {value} : {value}.substring(0, {characters}))"


def nearest(word: str, known: Sequence[str]) -> str:
    """As `problems.nearest` does it with an ASCII word."""
    scores = ", ".join(_alike(each) for each in known)
    best = f"(s.max() >= {ALIKE_PERCENT} ? {texts(known)}[s.indexOf(s.max())] : '')"
    return let("w", f"{word}.lowerAscii().split('')", let("s", f"[{scores}]", best))


def _alike(known: str) -> str:
    """How much of the characters `w` is the same as of a known word, in percent."""
    counts = Counter(known.lower())
    parts = []
    for times in range(1, max(counts.values()) + 1):
        letters = texts(sorted(each for each, count in counts.items() if count >= times))
        parts.append(f"{letters}.filter(l, w.filter(x, x == l).size() >= {times}).size()")
    return f"200 * ({' + '.join(parts)}) / (w.size() + {len(known)})"


def said(message: str, *puts: tuple[str, str]) -> str:
    """Return what was said of an example, with CEL in the place of what was found: pairs of that and of CEL, in order.

    Raises ValueError where the message does not hold it.
    """
    parts = []
    for found, expression in puts:
        before, there, message = message.partition(found)
        if not there:
            raise ValueError(f"{found!r} is not in {message!r}")
        parts += [text(before), expression]
    return " + ".join([*parts, text(message)])


def python_pattern(pattern: re.Pattern[str]) -> str:
    """Return a pattern of ours for RE2, which knows no looking ahead: that part is for whoever asks."""
    return re.sub(r"\(\?=[^()]*\)", "", pattern.pattern)
