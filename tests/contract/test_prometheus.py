"""What Prometheus scrapes and watches agrees with the containers, and every alert is tested."""

import re
from pathlib import Path

from components.xtrader.supervisor.processes import PROCESSES, SANDBOX

PROJECT = Path(__file__).resolve().parents[2]
PROMETHEUS = PROJECT / "docker" / "prometheus"


def read(name: str) -> str:
    return (PROMETHEUS / name).read_text()


def alerts() -> set[str]:
    return set(re.findall(r"- alert: (\w+)", read("rules.yml")))


def test_every_component_is_scraped_at_the_port_that_its_container_has() -> None:
    compose = (PROJECT / "docker" / "docker-compose.yml").read_text()
    ports = dict(re.findall(r"XTRADER_COMPONENT: (\w+)\n.*\n\s+XTRADER__RUNTIME__HEALTH_PORT: (\d+)", compose))
    scraped = re.findall(r'\["(\w+):(\d+)"\], labels: \{service: (\w+)\}', read("prometheus.yml"))
    assert {service: port for _, port, service in scraped} == ports
    assert set(ports) == {child.name for child in PROCESSES if child is not SANDBOX}
    assert all(host == service for host, _, service in scraped)


def test_every_alert_is_tested_to_fire_and_to_be_silent() -> None:
    silent, _, firing = read("rules_test.yml").partition("each failure is reported")
    assert set(re.findall(r"alertname: (\w+)", silent)) == alerts()
    assert set(re.findall(r"alertname: (\w+)", firing)) == alerts()


def test_every_alert_has_a_severity() -> None:
    severities = re.findall(r"labels: \{severity: (page|ticket)\}", read("rules.yml"))
    assert len(severities) == len(alerts())
