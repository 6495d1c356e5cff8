"""The alert rules and the dashboard in deploy/, as Prometheus itself reads them."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

from tools.docs.monitored import PROMETHEUS_FOLDER, list_expressions


def promtool(*arguments: str | Path) -> str:
    beside = Path(sys.executable).parent / "promtool"
    command = str(beside) if beside.exists() else shutil.which("promtool")
    assert command, "promtool is missing. Run: python -m tools.programs"
    done = subprocess.run([command, *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_prometheus_accepts_the_rules() -> None:
    assert "SUCCESS" in promtool("check", "rules", PROMETHEUS_FOLDER / "alerts.yml")
    assert "FAILED" not in promtool("check", "config", PROMETHEUS_FOLDER / "prometheus.yml")


def test_the_rules_fire_exactly_when_they_should() -> None:
    assert "SUCCESS" in promtool("test", "rules", PROMETHEUS_FOLDER / "alerts_test.yml")
    tests = (PROMETHEUS_FOLDER / "alerts_test.yml").read_text()
    for name in re.findall(r"- alert: (\w+)", (PROMETHEUS_FOLDER / "alerts.yml").read_text()):
        assert re.search(rf"{name}\b|MatchbackWebhook\.\*", tests), f"{name} has no test"


def test_every_rule_has_a_severity_and_advice() -> None:
    for rule in (PROMETHEUS_FOLDER / "alerts.yml").read_text().split("- alert: ")[1:]:
        assert re.search(r"severity: (critical|warning)}\n", rule), rule
        assert "summary: " in rule, rule
        assert "runbook: " in rule, rule


def test_prometheus_accepts_the_dashboards_queries(tmp_path: Path) -> None:
    rules = [{"record": f"asked:{at}", "expr": each} for at, each in enumerate(list_expressions())]
    assert len(rules) > 20
    asked = tmp_path / "asked.yml"  # JSON is YAML
    asked.write_text(json.dumps({"groups": [{"name": "dashboard", "rules": rules}]}))
    assert f"SUCCESS: {len(rules)} rules found" in promtool("check", "rules", asked)
