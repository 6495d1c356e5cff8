"""The entrances at which someone could learn whether an address has an account."""

import hashlib
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from html import unescape
from urllib.parse import urlencode

import pytest
from bson import ObjectId
from falcon import testing

from config.settings import get_settings
from documents.access.staff import Staff
from documents.organization import Organization
from documents.sign_on.sign_on_provider import SignOnProvider
from service.sign_on.back_channel import LOGOUT_EVENT
from tests.integration.service.enumeration_scene import NEWCOMER_NAME, Scene
from tests.integration.service.sign_on.conftest import LEAVING_PATTERN
from tools.testbed.identity_provider import CLIENT_ID
from tools.testbed.pages import Browser

STAFF_PAGE = "/dashboard/settings/staff"
SIGN_IN_PAGE = "/dashboard/sign-in"
WRONG_PASSWORD = "wrong horse battery"
Results = list[testing.Result]


def sign_in(scene: Scene, email: str) -> Results:
    return [Browser(scene.client).sign_in(email, WRONG_PASSWORD)]


def sign_in_to_one(scene: Scene, email: str) -> Results:
    """Sign in to an organization that the session lacks, after a switch to it."""
    browser, organization = Browser(scene.client), str(Organization.objects.first().id)
    page = browser.get(SIGN_IN_PAGE, query_string=f"organization={organization}")
    fields = {"email": email, "password": WRONG_PASSWORD, "organization": organization}
    return [page, browser.send(SIGN_IN_PAGE, fields)]


def lead_by_domain(scene: Scene, email: str, *, places: Sequence[str]) -> Results:
    """Enter an address without a password, if these universities have its domain."""
    for name in ("Alma", "Sso"):
        set_domains(scene, name, ["example.edu"] if name in places else [])
    scene.commands.sent.clear()
    browser = Browser(scene.client)
    browser.get(SIGN_IN_PAGE)
    return [browser.send(SIGN_IN_PAGE, {"email": email})]


def lead_from_one_page(scene: Scene, email: str) -> Results:
    """Continue on the page of an organization that requires single sign-on."""
    browser, organization = Browser(scene.client), str(scene.places["Sso"])
    page = browser.get(SIGN_IN_PAGE, query_string=f"organization={organization}")
    fields = {"email": email, "organization": organization}
    return [page, browser.send(SIGN_IN_PAGE, fields)]


def reset(scene: Scene, email: str) -> Results:
    browser = Browser(scene.client)
    page = browser.get("/dashboard/password")
    answer = browser.send("/dashboard/password", {"email": email})
    return [page, answer, browser.get("/dashboard/password", query_string="done=sent")]


def reset_twice(scene: Scene, email: str) -> Results:
    return [*reset(scene, email), *reset(scene, email)]


def invite(scene: Scene, email: str) -> Results:
    scene.carl.get("/dashboard/account")
    fields = {"email": email, "name": NEWCOMER_NAME, "role": "viewer"}
    return [scene.carl.send(STAFF_PAGE, fields), scene.carl.get(STAFF_PAGE)]


def invite_without_mail(scene: Scene, email: str) -> Results:
    """Invite a person, and make a second link."""
    with no_mail_server():
        answers = invite(scene, email)
        path = f"{STAFF_PAGE}/{find_newcomer(scene).id}/link"
        return [*answers, scene.carl.send(path)]


def invite_and_manage(scene: Scene, email: str) -> Results:
    """Invite a person, and change the role, end the sessions and remove the person."""
    answers, path = invite(scene, email), f"{STAFF_PAGE}/{find_newcomer(scene).id}"
    for action, fields in (("role", {"role": "editor"}), ("end", {}), ("remove", {})):
        answers += [scene.carl.send(f"{path}/{action}", fields), scene.carl.get(STAFF_PAGE)]
    return answers


def come_back_as_invited(scene: Scene, email: str) -> Results:
    """Invite a person, assert the address by the own provider, and look around."""
    invite(scene, email)
    set_rules(scene, admission="invited")
    browser = Browser(scene.client)
    answers = [come_back(scene, browser, email), browser.get("/dashboard")]
    return [*answers, *switch(scene, browser)]


def come_back_as_new(scene: Scene, email: str) -> Results:
    """Let the own provider assert an address of a domain that it admits."""
    set_rules(scene, admission="domain")
    browser = Browser(scene.client)
    answers = [come_back(scene, browser, email), browser.get("/dashboard")]
    return [*answers, *switch(scene, browser)]


def come_back_as_stranger(scene: Scene, email: str) -> Results:
    """Let the own provider assert an address that the rules do not admit."""
    set_rules(scene, admission="invited")
    return [come_back(scene, Browser(scene.client), email)]


def switch(scene: Scene, browser: Browser) -> Results:
    """Ask for the organizations that the person may belong to."""
    asked, token = [scene.places[name] for name in ("Alma", "Bolt", "Sso")], browser.token
    answers = []
    for one in [*asked, ObjectId()]:
        browser.token = token
        answers.append(browser.send("/dashboard/organization", {"organization": str(one)}))
    return answers


def log_out_by_provider(scene: Scene, email: str) -> Results:
    """Post a logout token of the own provider for a person."""
    seconds = int(time.time())
    claims = {
        "iss": scene.idp.issuer,
        "aud": CLIENT_ID,
        "iat": seconds,
        "exp": seconds + 120,
        "jti": str(ObjectId()),
        "sub": make_subject(email),
        "events": {LOGOUT_EVENT: {}},
    }
    path = f"/dashboard/sign-out/back-channel/{scene.places['Carl']}"
    return [Browser(scene.client).send(path, {"logout_token": scene.idp.sign(claims)})]


def come_back(scene: Scene, browser: Browser, email: str) -> testing.Result:
    organization = str(scene.places["Carl"])
    browser.get(SIGN_IN_PAGE)
    page = browser.send(SIGN_IN_PAGE, {"organization": organization})
    found = LEAVING_PATTERN.search(page.text)
    assert found, page.text
    claims = {"email": email, "sub": make_subject(email), "name": NEWCOMER_NAME}
    query = scene.idp.authorize(unescape(found[1]), **claims)
    return browser.get(f"{SIGN_IN_PAGE}/sso/{organization}", query_string=urlencode(query))


def make_subject(email: str) -> str:
    return hashlib.sha256(email.encode()).hexdigest()


def find_newcomer(scene: Scene) -> Staff:
    found: Staff = Staff.live(scene.places["Carl"], name=NEWCOMER_NAME).get()
    return found


def set_domains(scene: Scene, name: str, domains: list[str]) -> None:
    SignOnProvider.objects(organization_id=scene.places[name]).update_one(set__domains=domains)


def set_rules(scene: Scene, admission: str) -> None:
    """Set whom Carl's provider admits. This is not part of the cost."""
    own = SignOnProvider.objects(organization_id=scene.places["Carl"])
    own.update_one(set__admission=admission, set__domains=["example.edu"])
    scene.commands.sent.clear()


@contextmanager
def no_mail_server() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("MATCHBACK_SMTP_URL")
        get_settings.cache_clear()
        yield
    get_settings.cache_clear()


ENTRANCES: dict[str, Callable[[Scene, str], Results]] = {
    "sign-in": sign_in,
    "sign-in to one organization": sign_in_to_one,
    "lead to no provider": partial(lead_by_domain, places=[]),
    "lead to a provider": partial(lead_by_domain, places=["Sso"]),
    "lead to several providers": partial(lead_by_domain, places=["Alma", "Sso"]),
    "lead from an organization's page": lead_from_one_page,
    "reset": reset,
    "repeated reset": reset_twice,
    "logout by a provider": log_out_by_provider,
}
# An admin of another organization adds the person. A new account is one write, as is a change of a
# known one.
ADDING_ENTRANCES: dict[str, Callable[[Scene, str], Results]] = {
    "invitation by another organization": invite,
    "invitation without a mail server": invite_without_mail,
    "invitation, change and removal": invite_and_manage,
    "sign-on of an invited person": come_back_as_invited,
    "sign-on of a new person": come_back_as_new,
    "sign-on of a person who is not admitted": come_back_as_stranger,
}
