"""The records that the tests look at."""

import time

from tools.testbed.cast import University, make_event
from tools.testbed.stack import wait_until
from tools.testbed.stripe_events import make_charge_event, post_stripe_event, set_stripe_secret

ENDPOINTS = "/dashboard/settings/webhook-endpoints"
HOSTILE = """<script>alert(1)</script>"onload='alert(2)'"""


def furnish(place: University, name: str = "Spring Giving Day") -> dict[str, str]:
    """Create a mailing to Bob, who clicked and gave, and a gift without an email."""
    place.set_webhook_key()
    spring = place.fundraiser(name, goal={"amount": 10_000, "currency": "USD"})
    mailing = place.mailing(spring, name=f"Appeal of {name}"[:200], subject=name)
    email = place.email(spring, mailing_id=mailing)
    at = int(time.time()) - 60  # a click in the second of the delivery counts as a machine's
    told = [make_event(email, "delivered", at), make_event(email, "open", at + 20)]
    place.deliver([*told, make_event(email, "click", at + 40, url="https://give.example.edu/")])
    gift = place.gift(spring, email_id=email)
    stranger = {"name": "Eve" if len(name) < 100 else name, "email": "eve@example.org"}
    lost = place.gift(spring, 4000, stranger)
    set_stripe_secret(place)
    post_stripe_event(
        place,
        make_charge_event("succeeded", billing_details={"name": name, "email": "eve@example.org"}),
    )
    url = f"https://crm.example.edu/{name}".replace(" ", "+")
    endpoint = place.make("webhook-endpoints", url=url, description=name)["id"]
    tested = place.call("POST", f"/v1/webhook-endpoints/{endpoint}/test").json["id"]
    ids = {"fundraiser": spring, "mailing": mailing, "email": email, "gift": gift, "lost": lost}
    ids |= {"endpoint": endpoint, "delivery": tested}
    wait_until(lambda: is_counted(place, spring), "everything to be counted")
    return ids | {"person": place.get(f"/v1/emails/{email}")["user_id"]}


def is_counted(place: University, fundraiser: str) -> bool:
    report = place.report(fundraiser)
    waiting = report["unsettled"]
    return report["emails"]["clicked"] == 1 and not (waiting["donations"] + waiting["deliveries"])


def paths(ids: dict[str, str]) -> dict[str, str]:
    """Return the path of every kind of page."""
    return {
        "overview": "/dashboard",
        "fundraiser": f"/dashboard/fundraisers/{ids['fundraiser']}",
        "mailing": f"/dashboard/mailings/{ids['mailing']}",
        "experiment": f"/dashboard/mailings/{ids['mailing']}/experiment",
        "person": f"/dashboard/people/{ids['person']}",
        "gifts": "/dashboard/gifts",
        "gift": f"/dashboard/gifts/{ids['gift']}",
        "lost gift": f"/dashboard/gifts/{ids['lost']}",
        "payments": "/dashboard/payments",
        "health": "/dashboard/health",
        "settings": "/dashboard/settings",
        "staff": "/dashboard/settings/staff",
        "single sign-on": "/dashboard/settings/sign-on",
        "a provider": "/dashboard/settings/providers/sendgrid",
        "a new provider": "/dashboard/settings/providers/mailgun",
        "normalised events": "/dashboard/settings/providers/events",
        "new endpoint": ENDPOINTS,
        "endpoint": f"{ENDPOINTS}/{ids['endpoint']}",
        "delivery": f"{ENDPOINTS}/{ids['endpoint']}/deliveries/{ids['delivery']}",
        "account": "/dashboard/account",
        "nothing": "/dashboard/nothing",
    }
