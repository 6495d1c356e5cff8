"""Job that sends failed events again, at the request of staff or a client.

A lease lets one worker run it. It works on all marked endpoints in turn, a part at a time, so none
waits for the million events of another.
"""

from bson import ObjectId

from documents.concurrency.lease import hold_lease
from documents.outgoing.resend import ResendPass, list_resending
from documents.storage import shutdown

RESEND_LEASE = "resend"


def step() -> bool:
    """Resend the failed deliveries of all marked endpoints. Return whether there were any."""
    marked = list_resending()
    if not marked:
        return False
    passes: dict[ObjectId, ResendPass] = {}
    with hold_lease(RESEND_LEASE) as lease:
        while lease is not None and marked and not lease.is_lost() and not shutdown.has_begun():
            for endpoint in marked:
                one = passes.setdefault(endpoint.id, ResendPass(endpoint))
                if not one.resend_part():
                    del passes[endpoint.id]
            marked = list_resending()
    return True
