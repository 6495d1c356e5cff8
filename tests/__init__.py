"""The tests say what is set, and nobody else: before anything of ours reads the environment."""

import base64
import os

for name in [name for name in os.environ if name.startswith("MATCHBACK_")]:
    del os.environ[name]

# The same one in every process of the tests, also in those that are started by others of them.
os.environ["MATCHBACK_MASTER_KEYS"] = base64.urlsafe_b64encode(bytes(32)).decode()
