"""Check of the audit log: it holds every change and removal, and its chain is complete."""

from collections import Counter

from bson import ObjectId

from documents.access import audit
from documents.access.audit import AuditEntry, OpenAct

Acts = Counter[tuple[str, str]]  # verb and record


def compare_audit(organization_id: ObjectId, acknowledged: Acts) -> list[str]:
    """Return the acknowledged acts that are missing from the audit log."""
    chain = audit.verify_chain(organization_id)
    if chain.broken_at is not None:
        return [f"the audit is broken at {chain.broken_at}"]
    noted: Acts = Counter()
    # Workers link open acts to the chain meanwhile. So read the open acts first: an act may then be
    # in both lists, but never in neither.
    acts = {act.id: act for act in (*OpenAct.objects, *AuditEntry.objects)}
    for act in acts.values():
        noted[act.action.split()[0], act.record] += 1
    missing = acknowledged - noted
    return [f"not in the audit: {verb} {record} ({n})" for (verb, record), n in missing.items()]
