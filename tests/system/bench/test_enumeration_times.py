"""Short form of the comparison of times: it must run, and each answer must be as expected."""

from pathlib import Path

from documents.mail.mail import Mail
from tools.bench.enumeration_times import (
    CLOCKS,
    FORMS,
    KINDS,
    compare_times,
    format_differences,
    run_application,
    store_people,
)


def test_each_form_and_each_kind_of_address_is_measured(memory_path: Path) -> None:
    with run_application(memory_path) as (client, pid):
        store_people(2)
        found = list(compare_times(client, pid, 2))
        assert Mail.objects(kind="password_reset").count() > 2 * len(KINDS)
    assert [(one.form, one.kind) for one in found] == [
        (form, kind) for form in FORMS for kind in KINDS
    ]
    for one in found:
        assert all(one.typical[clock] > 0 for clock in CLOCKS)
        assert all(one.interval[clock][0] <= one.interval[clock][1] for clock in CLOCKS)
    assert format_differences(found).count("\n") == len(found) + 1
