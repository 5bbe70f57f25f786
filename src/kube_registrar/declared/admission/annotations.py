"""What is wrong with annotations, in CEL: a rule for each thing that can be told without their registry.

Not told: what needs the pod or a registry (whether a service is there, how many attributes are left), JSON that is more
than one object of texts without a backslash, for CEL has no parser of it, and the shorthand of `service-registries`,
which is a grammar in a grammar. Values with characters beyond ASCII are left to the operator too, for CEL cannot show
them as it does. What is left is admitted.
"""

import json
from dataclasses import dataclass
from typing import Final

from kube_registrar.declared import annotations, attributes, ports, references, service_registries, templates
from kube_registrar.declared.admission.cel import (
    at_most,
    is_plain,
    let,
    matches,
    nearest,
    python_pattern,
    quoted,
    said,
    shown,
    text,
    texts,
    thousands,
)
from kube_registrar.model.attributes import RESERVED_KEYS, RESERVED_PREFIXES
from kube_registrar.model.records import ANNOTATION_PREFIX

MOST_CHARACTERS: Final = 65_536
"""A longer value is left to the operator, for the API server gives each rule so much time and no more."""
MOST_ATTRIBUTE_CHARACTERS: Final = 8_192
MOST_ATTRIBUTES: Final = 50


@dataclass(frozen=True, slots=True)
class Rule:
    """What must hold, and what is said if it does not; both CEL."""

    expression: str
    message: str


def _of(*said_of: object) -> str:
    """Return the message of the only problem that a reader told."""
    (problem,) = said_of
    return str(problem)


def _read(**pairs: str) -> str:
    """Return what is said of a Service with these annotations; `_` stands for a hyphen."""
    found = annotations.read_annotations({key.replace("_", "-"): each for key, each in pairs.items()}, of_service=True)
    return _of(*found.problems)


def value(key: str) -> str:
    """Return an annotation of ours, which must be there."""
    return f"variables.annotations[{text(ANNOTATION_PREFIX + key)}]"


def _has(key: str) -> str:
    return f"{text(ANNOTATION_PREFIX + key)} in variables.annotations"


# The shorthand of attributes (see `declared.shorthand`): a comma after a backslash is none, and quotes hold anything.
_KEY: Final = r"\s*[^\s=,\"']+\s*=\s*"
_QUOTED: Final = r"\"(?:[^\"\\]|\\[\s\S])*\"\s*|'(?:[^'\\]|\\[\s\S])*'\s*"
_BARE: Final = r"(?:(?:[^\s,\"'\[{\\]|\\+[^,\\]|\\+,)(?:[^,\\]|\\+[^,\\]|\\+,)*)?"
_PAIR: Final = rf"{_KEY}(?:{_QUOTED}|{_BARE}\\*)"
# JSON, as far as it is a regular language: an object whose keys and values are texts, with nothing to unescape in them.
_JSON_TEXT: Final = r"[ \t\n\r]*\"[^\"\\\t\n\r]*\"[ \t\n\r]*"
_JSON_PAIR: Final = rf"{_JSON_TEXT}:{_JSON_TEXT}"
_JSON_OBJECT: Final = rf"[ \t\n\r]*\{{{_JSON_PAIR}(?:,{_JSON_PAIR})*\}}[ \t\n\r]*"
_EMPTY_LIST: Final = r"\s*(?:\[\s*\]\s*)?"
_FORMS: Final = r"\$\$\(|\$\([^)]*\)?"
_FIELDS: Final = "|".join(form[2:-1].replace(".", "[.]") for form in templates.FORMS if "KEY" not in form)
_FORM: Final = rf"\$\((?:{_FIELDS}|metadata[.]labels\['[^']+'\])\)"


def variables() -> dict[str, str]:
    """Return what the rules share, by name, in CEL; none is reckoned before it is asked for."""
    register = value(annotations.REGISTER)
    references_of = f"{value(references.KEY)}.split(',').map(i, i.trim())"
    port = f"{value(ports.KEY)}.trim()"
    given = value(attributes.KEY)
    is_read = f"variables.isRead && {_has(attributes.KEY)}"
    is_short = f"{given}.size() <= {MOST_ATTRIBUTE_CHARACTERS} && {is_plain(given)}"
    is_shorthand = f"{is_short} && {given}.trim() != '' && !{given}.trim().startsWith('{{')"
    is_json = f"{is_short} && {matches(given, _JSON_OBJECT)}"
    return {
        "registers": f"!({_has(annotations.REGISTER)}) || {register}.trim() in ['true', 'false']",
        "isRead": f"variables.registers && !({_has(references.KEY)} && {_has(service_registries.KEY)})",
        "references": (
            f"variables.isRead && {_has(references.KEY)} && {value(references.KEY)}.size() <= {MOST_CHARACTERS} ? "
            f"{references_of} : ['x']"
        ),
        "wrongReferences": (
            f"variables.references.size() > {references.MAX_REFERENCES} ? [] : "
            f"variables.references.filter(i, {is_plain('i')} && !({_reference('i')}))"
        ),
        "port": f"variables.isRead && {_has(ports.KEY)} && {is_plain(value(ports.KEY))} ? {port} : '1'",
        "portName": "variables.port.substring(variables.port.lastIndexOf(':') + 1)",
        "container": (
            "variables.port.lastIndexOf(':') < 0 ? '' : variables.port.substring(0, variables.port.lastIndexOf(':'))"
        ),
        "attributes": f"{is_read} && {is_shorthand} ? {given} : 'x='",
        "good": f"variables.attributes.find({text(f'^(?:{_KEY}(?:{_QUOTED}|{_BARE}),)*')})",
        "rest": "variables.attributes.substring(variables.good.size())",
        "isSyntax": matches("variables.rest", _PAIR),
        "key": f"variables.rest.find({text(f'^{_KEY}')})",
        "value": "variables.rest.substring(variables.key.size())",
        "written": f"variables.isSyntax ? variables.attributes.findAll({text(f'{_PAIR}(?:,|$)')}) : []",
        "json": f"{is_read} && {is_json} ? {given}.findAll({text(_JSON_PAIR)}) : []",
        "pairs": (
            f"variables.written.size() > {MOST_ATTRIBUTES} || variables.json.size() > {MOST_ATTRIBUTES} ? [] : "
            f"variables.json.size() > 0 ? variables.json.map(p, {_json_pair('p')}) : "
            f"variables.written.map(p, {_pair('p')})"
        ),
        "named": f"variables.pairs.filter(p, {_is_key('p.key')} && !{_is_reserved('p.key')})",
    }


def _reference(item: str) -> str:
    """Whether an item of `service` can be read (see `references.read_reference`)."""
    service = let(
        "s", f"{item}.substring({item}.lastIndexOf('/') + 1)", f"s.size() <= 127 && {_pattern('s', 'SERVICE')}"
    )
    visible = "^[!-~]+$"
    rest = let("r", "n.substring(n.indexOf(':') + 1)", f"r.size() <= 1024 && r.matches({text(visible)})")
    whole = f"n.size() <= 1024 && n.matches({text(visible)})"
    registry = f"n.matches({text(f'^{references.REGISTRY.pattern}:')}) && {rest}"
    namespace = let("n", f"{item}.substring(0, {item}.lastIndexOf('/'))", f"({whole}) || ({registry})")
    local = f"{item}.size() <= 253 && {_pattern(item, 'OBJECT')}"
    arn = _pattern(item, "ARN")
    return f"{item}.startsWith('arn:') ? {arn} : {item}.contains('/') ? {service} && {namespace} : {local}"


def _pattern(of: str, name: str) -> str:
    return matches(of, python_pattern(getattr(references, name)))


def _pair(pair: str) -> str:
    """Return key and value of a pair of the shorthand."""
    key = "k.substring(0, k.indexOf('=')).trim()"
    unescaped = "q.split('\\\\\\\\').map(b, b.replace('\\\\' + v.substring(0, 1), v.substring(0, 1))).join('\\\\')"
    inner = let("q", "v.substring(1, v.size() - 1)", unescaped)
    bare = "v.replace('\\\\,', ',')"
    is_quoted = """(v.startsWith('"') || v.startsWith("'"))"""
    ended = "r.endsWith(',') && !r.endsWith('\\\\,') ? r.substring(0, r.size() - 1).trim() : r.trim()"
    found = let("v", ended, f"{is_quoted} ? {inner} : {bare}")
    rest = let("r", f"{pair}.substring(k.size())", found)
    return let("k", f"{pair}.find({text(f'^{_KEY}')})", f"{{'key': {key}, 'value': {rest}}}")


def _json_pair(pair: str) -> str:
    """Return key and value of a pair of JSON: what stands in the first and in the second two quotes."""
    return let("t", f"{pair}.split('\"')", "{'key': t[1], 'value': t[3]}")


def _is_key(key: str) -> str:
    """Whether it is a key at all: visible, without a comma, and not too long."""
    return f"({key}.size() <= {attributes.MAX_KEY_CHARACTERS} && {matches(key, '[!-+--~]+')})"


def _is_reserved(key: str) -> str:
    return f"({key} in {texts(sorted(RESERVED_KEYS))} || {texts(RESERVED_PREFIXES)}.exists(b, {key}.startsWith(b)))"


def malformed() -> tuple[Rule, ...]:
    """Return the rules whose breach holds what asks, so that it may be refused."""
    return (_register(), _both(), *_references(), _empty_registries(), *_ports(), *_attributes(), _publish())


def _register() -> Rule:
    key = annotations.REGISTER
    told = said(_read(register="no"), ("'no'", shown(value(key))))
    return Rule(f"variables.registers || !{is_plain(value(key))}", told)


def _both() -> Rule:
    both = f"{_has(references.KEY)} && {_has(service_registries.KEY)}"
    return Rule(f"!(variables.registers && {both})", text(_read(service="a/b", service_registries="registry=a/b")))


def _publish() -> Rule:
    key = annotations.PUBLISH
    known = tuple(annotations.Publish)
    given = f"{value(key)}.trim()"
    is_read = f"object.kind == 'Service' && variables.isRead && {_has(key)} && {is_plain(value(key))}"
    found = shown(value(key))
    none = said(_read(publish="x"), ("'x'", found))
    likely = said(_read(publish="endpoint"), ("'endpoint'", found), ("Endpoints?", "m + '?'"))
    return Rule(
        f"!({is_read}) || {given} in {texts(known)}", let("m", nearest(given, known), f"(m == '' ? {none} : {likely})")
    )


def _references() -> tuple[Rule, ...]:
    count = references.MAX_REFERENCES
    many = said(
        _read(service=",".join(["a/b"] * (count + 1))), (str(count + 1), thousands("variables.references.size()"))
    )
    return (
        Rule(f"variables.references.size() <= {count}", many),
        Rule("variables.wrongReferences.size() == 0", let("i", "variables.wrongReferences[0]", _wrong_reference())),
    )


def _wrong_reference() -> str:
    """Return what is said of the item `i`."""
    whole = value(references.KEY)
    absent = said(_read(service=""), ("''", "\"''\""))
    empty = said(_read(service="a/b,"), ("'a/b,'", shown(whole)))
    nothing = f"({whole} == '' ? {absent} : {is_plain(whole)} ? {empty} : '')"
    arn = said(_read(service="arn:a"), ("'arn:a'", shown("i")))
    named = said(_read(service="a/b c"), ("'a/b c'", shown("i")), ("'b c'", shown("s")))
    spaced = said(
        _read(service="a b/c"), ("'a b/c'", shown("i")), ("'a b'", shown("i.substring(0, i.lastIndexOf('/'))"))
    )
    is_service = f"s.size() <= 127 && {_pattern('s', 'SERVICE')}"
    names = let("s", "i.substring(i.lastIndexOf('/') + 1)", f"{is_service} ? {spaced} : {named}")
    local = said(_read(service="A B"), ("'A B'", shown("i")))
    return f"i == '' ? {nothing} : i.startsWith('arn:') ? {arn} : i.contains('/') ? {names} : {local}"


def _empty_registries() -> Rule:
    """Tell a list without an item; every other mistake in it is left to the operator."""
    given = value(service_registries.KEY)
    is_empty = f"{given}.size() <= 100 && {is_plain(given)} && {matches(given, _EMPTY_LIST)}"
    told = said(_read(service_registries=""), ("''", shown(given)))
    return Rule(f"!(variables.isRead && {_has(service_registries.KEY)} && {is_empty})", told)


def _ports() -> tuple[Rule, ...]:
    container = f"variables.port.lastIndexOf(':') < 0 || {matches('variables.container', ports.CONTAINER.pattern)}"
    is_number = matches("variables.portName", "[0-9]+")
    is_low = (
        f"variables.portName.size() <= 5 && int(variables.portName) >= 1 && int(variables.portName) <= {ports.MAX_PORT}"
    )
    name = (
        "variables.portName.size() <= 15 && variables.portName.matches('[a-z]') && "
        f"{matches('variables.portName', python_pattern(ports.NAME))}"
    )
    port = shown("variables.port")
    named = said(_read(port="C:80"), ("'C:80'", port), ("'C'", shown("variables.container")))
    return (
        Rule("variables.port != ''", said(_read(port=" "), ("' '", shown(value(ports.KEY))))),
        Rule(f"variables.port == '' || {container}", named),
        Rule(f"!({container}) || !{is_number} || ({is_low})", said(_read(port="0"), ("'0'", port))),
        Rule(
            f"variables.port == '' || !({container}) || {is_number} || ({name})", said(_read(port="P"), ("'P'", port))
        ),
    )


def _attributes() -> tuple[Rule, ...]:
    key = shown("p.key")
    visible = matches("p.key", attributes.KEY_PATTERN.pattern)
    is_short = f"p.key.size() <= {attributes.MAX_KEY_CHARACTERS}"
    comma = json.dumps({"a,b": ""})
    return (
        Rule("variables.isSyntax", _syntax()),
        _each(
            "variables.pairs.filter(o, o.key == p.key).size() < 2",
            said(_read(attributes="k=,k="), ("'k'", key)),
        ),
        _each("p.key != ''", text(_read(attributes='{"": ""}'))),
        _each(is_short, said(_read(attributes=f"{'k' * 256}="), (f"'{'k' * 100}'... (256 characters)", key))),
        _each(f"p.key == '' || !({is_short}) || {visible}", said(_read(attributes='{"a b": ""}'), ("'a b'", key))),
        _each(f"!({is_short}) || !{visible} || !p.key.contains(',')", said(_read(attributes=comma), ("'a,b'", key))),
        _each(
            f"!{_is_key('p.key')} || !{_is_reserved('p.key')}",
            said(_read(attributes="REGION="), ("'REGION'", key)),
        ),
        *_values(),
    )


def _syntax() -> str:
    """Return what is said of shorthand that cannot be read: `rest` begins with the first pair that is wrong."""
    whole = shown("variables.attributes")
    at = "string(variables.good.size() + 1)"
    after = "variables.good.size() + variables.key.size()"
    ended = said(_read(attributes="a=,"), ("'a=,'", whole))
    begins = said(_read(attributes="x"), ("'x'", whole), ("1", at), ("'x'", quoted(at_most("variables.rest", 30))))
    nested = said(_read(attributes="a=["), ("'a=['", whole), ("3", f"string({after} + 1)"))
    opened = said(
        _read(attributes='a="'),
        ("'a=\"'", whole),
        ("3", f"string({after} + 1)"),
        ('"', "variables.value.substring(0, 1)"),
    )
    quote = f"variables.value.find({text(f'^(?:{_QUOTED})')})"
    more = said(_read(attributes='a=""x'), ("'a=\"\"x'", whole), ("5", f"string({after} + {quote}.size() + 1)"))
    is_nested = "variables.value.startsWith('[') || variables.value.startsWith('{')"
    return (
        f"variables.rest.trim() == '' ? {ended} : variables.key == '' ? {begins} : {is_nested} ? {nested} : "
        f"{quote} == '' ? {opened} : {more}"
    )


def _values() -> tuple[Rule, ...]:
    """Return the rules for values: their forms, and without forms their length and characters."""
    forms = f"p.value.findAll({text(_FORMS)}).filter(f, !f.startsWith('$$'))"
    wrong = f"{forms}.filter(f, !{matches('f', _FORM)})"
    unknown = said(
        _read(attributes="k=$(x)"),
        ("'$(x)'", shown("p.value")),
        ("'k'", shown("p.key")),
        ("'$(x)'", quoted("'$(' + " + at_most("f.substring(2, f.size() - 1)", 80) + " + ')'")),
    )
    unclosed = said(
        _read(attributes="k=$(x"),
        ("'$(x'", shown("p.value")),
        ("'k'", shown("p.key")),
        ("'$(x'", quoted(at_most("f", 40))),
    )
    literal = "p.value.replace('$$(', '$(')"
    long = said(_read(attributes=f"k={'x' * 1025}"), ("1,025", thousands(f"{literal}.size()")), ("'k'", shown("p.key")))
    odd = said(_read(attributes="k=' x'"), ("' x'", shown(literal)), ("'k'", shown("p.key")))
    limit = attributes.MAX_VALUE_CHARACTERS
    is_visible = matches(literal, attributes.VALUE.pattern)
    return (
        _each(f"{wrong}.size() == 0", let("f", f"{wrong}[0]", f"f.endsWith(')') ? {unknown} : {unclosed}"), of="named"),
        _each(f"{forms}.size() > 0 || {literal}.size() <= {limit}", long, of="named"),
        _each(f"{forms}.size() > 0 || {literal}.size() > {limit} || {is_visible}", odd, of="named"),
    )


def _each(holds: str, message: str, *, of: str = "pairs") -> Rule:
    """Return a rule for every pair `p`, or for those with a good key; the first one that breaks it is told."""
    return Rule(f"variables.{of}.all(p, {holds})", let("p", f"variables.{of}.filter(p, !({holds}))[0]", message))


def unknown() -> tuple[Rule, ...]:
    """Return the rules for keys with our prefix that nothing reads: only told, for a newer version may read them."""
    none = "variables.unknown.size() == 0"
    return (
        Rule(f"object.kind == 'Service' || {none}", _first_unknown(of_service=False)),
        Rule(f"object.kind != 'Service' || {none}", _first_unknown(of_service=True)),
    )


def unknown_keys() -> str:
    """Return the keys that `unknown` is about, without their prefix, in CEL."""
    known = f"(object.kind == 'Service' ? {texts(annotations.KNOWN_ON_SERVICES)} : {texts(annotations.KNOWN)})"
    prefix = text(ANNOTATION_PREFIX)
    rest = f"k.substring({len(ANNOTATION_PREFIX)})"
    return f"variables.annotations.filter(k, k.startsWith({prefix}) && !({rest} in {known})).map(k, {rest})"


def _first_unknown(*, of_service: bool) -> str:
    return let("k", "variables.unknown.min()", _unknown(of_service=of_service))


def _unknown(*, of_service: bool) -> str:
    """Return what is said of the unknown key `k`, without its prefix."""
    known = annotations.KNOWN_ON_SERVICES if of_service else annotations.KNOWN

    def told(key: str, *puts: tuple[str, str]) -> str:
        found = annotations.read_annotations({key: "x"}, of_service=of_service)
        return said(_of(*found.problems), (f"{ANNOTATION_PREFIX}{key} ", f"{text(ANNOTATION_PREFIX)} + k + ' '"), *puts)

    likely = told("servic", (f"{ANNOTATION_PREFIX}service?", f"{text(ANNOTATION_PREFIX)} + m + '?'"))
    words = let("m", nearest("k", known), f"(m == '' ? {told('zzz')} : {likely})")
    if of_service:
        return words
    return f"(k == {text(annotations.PUBLISH)} ? {told(annotations.PUBLISH)} : {words})"
