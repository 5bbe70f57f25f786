"""`kube-registrar registries`: what each kind of registry can do, without opening one."""

import json

from click.testing import CliRunner

from kube_registrar.cli.commands.registries import command


def test_whose_names_are_resolved_without_records_answers_dns_all_the_same() -> None:
    done = CliRunner().invoke(command, [])
    heading, *rows = [line.split() for line in done.output.splitlines()]
    assert done.exit_code == 0
    dns = {row[0]: row[heading.index("DNS")] for row in rows}
    assert dns["consul"] == "yes"
    assert dns["etcd"] == "A,AAAA,CNAME,SRV"


def test_json_has_the_settings_that_mean_something() -> None:
    done = CliRunner().invoke(command, ["-o", "json"])
    heeds = {each["Kind"]: each["Capabilities"]["Heeds"] for each in json.loads(done.output)["Registries"]}
    assert heeds["etcd"] == heeds["consul"] == []
    assert heeds["cloudmap"] == ["RecordTTLs", "SOATTL", "VPC", "WeightedRouting"]
