"""The dashboard's style sheets and scripts."""

from functools import cache

import falcon

from service.dashboard.render import ASSETS_FOLDER, compute_asset_digest

ASSET_MEDIA_TYPES = {
    "dashboard.css": "text/css",
    "live.js": "text/javascript",
    "icon.svg": "image/svg+xml",
}
ASSET_MAX_AGE_SECONDS = 365 * 24 * 3600


class Assets:
    """/dashboard/assets/{version}/{name}"""

    def on_get(self, req: falcon.Request, resp: falcon.Response, version: str, name: str) -> None:
        if name not in ASSET_MEDIA_TYPES or version != compute_asset_digest(name):
            raise falcon.HTTPNotFound
        resp.content_type = f"{ASSET_MEDIA_TYPES[name]}; charset=utf-8"
        # Not `data`, because content that never changes needs no ETag.
        resp.text = _read(name)
        resp.set_header("Cache-Control", f"public, max-age={ASSET_MAX_AGE_SECONDS}, immutable")


@cache
def _read(name: str) -> str:
    return (ASSETS_FOLDER / name).read_text()
