"""A minimal browser with forms and cookies, for tests of pages that need no real browser."""

import html
import io
import re
from dataclasses import dataclass, field
from typing import Any
from unittest.mock import patch
from urllib.parse import urlencode

from argon2 import PasswordHasher
from bson import ObjectId
from falcon import testing

from documents.access import password as hashing
from documents.access.staff import Staff
from documents.imports.file_import import FileImport

STAFF_PASSWORD = "correct horse battery"
CHEAP_HASHER = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
FORM_TOKEN_PATTERN = re.compile(r'name="form_token" value="([0-9a-f]{64})"')


@dataclass
class Browser:
    """A browser that keeps cookies, and the token of the last page's forms."""

    client: testing.TestClient
    cookies: dict[str, str] = field(default_factory=dict)
    token: str = ""

    def get(self, path: str, **more: Any) -> testing.Result:
        """Load a page, without following redirects."""
        return self._took(self.client.simulate_get(path, cookies=self.cookies, **more))

    def send(self, path: str, fields: dict[str, Any] | None = None, **more: Any) -> testing.Result:
        """Send a form of the last page."""
        sent = {"form_token": self.token, **(fields or {})}
        headers = {"Content-Type": "application/x-www-form-urlencoded", **more.pop("headers", {})}
        return self._took(
            self.client.simulate_post(
                path,
                body=urlencode(sent, doseq=True),
                headers=headers,
                cookies=self.cookies,
                **more,
            )
        )

    def upload(
        self, path: str, content: bytes, fields: dict[str, str], filename: str = "file.csv"
    ) -> testing.Result:
        """Send a form of the last page with a file."""
        boundary = "a-boundary"
        parts = [
            f'Content-Disposition: form-data; name="{name}"\r\n\r\n{value}'.encode()
            for name, value in {"form_token": self.token, **fields}.items()
        ]
        head = f'Content-Disposition: form-data; name="file"; filename="{filename}"\r\n\r\n'
        parts.append(head.encode() + content)
        body = b"".join(b"--%s\r\n%s\r\n" % (boundary.encode(), part) for part in parts)
        return self._took(
            self.client.simulate_post(
                path,
                body=body + f"--{boundary}--\r\n".encode(),
                headers={"Content-Type": f"multipart/form-data; boundary={boundary}"},
                cookies=self.cookies,
            )
        )

    def sign_in(self, email: str, password: str = STAFF_PASSWORD, back: str = "") -> testing.Result:
        self.get("/dashboard/sign-in")
        return self.send("/dashboard/sign-in", {"email": email, "password": password, "back": back})

    def _took(self, result: testing.Result) -> testing.Result:
        for name, cookie in result.cookies.items():
            if not cookie.value:
                self.cookies.pop(name, None)
            else:
                self.cookies[name] = cookie.value
        is_page = result.headers.get("content-type", "").startswith("text/html")
        if is_page and (found := FORM_TOKEN_PATTERN.search(result.text)):
            self.token = found[1]
        return result


def add_staff(
    organization_id: str, email: str, role: str = "admin", password: str = STAFF_PASSWORD
) -> Staff:
    """Add a staff member whose password is hashed cheaply, so that each check is cheap, too."""
    name = email.partition("@")[0].title()
    with patch.object(hashing, "_hasher", CHEAP_HASHER):
        return Staff.add(ObjectId(organization_id), name, email, role, password)


def sign_in_staff(
    client: testing.TestClient, organization_id: str, email: str, role: str = "admin"
) -> Browser:
    """Add a staff member, and return a browser in which they are signed in."""
    add_staff(organization_id, email, role)
    browser = Browser(client)
    browser.sign_in(email)
    browser.get("/dashboard/account")
    return browser


def upload_file(organization_id: str, filename: str = "people.csv") -> str:
    """Store the file of an import, as an upload does. Return the import's ID."""
    new = FileImport.upload(
        ObjectId(organization_id),
        io.BytesIO(b"email,name\nbob@example.edu,Bob\nnobody,Nobody\n"),
        records="users",
        filename=filename,
    )
    new.begin_check()
    return str(new.id)


def extract_text(result: testing.Result) -> str:
    """Return the text of a page, without its markup."""
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", result.text)).split())
