"""Shared parts of tests and tools: the named cast, real servers, and views of stored data.

Importing this package resets the settings, before other imports read the environment.
"""

import base64
import os

for name in [name for name in os.environ if name.startswith("MATCHBACK_")]:
    del os.environ[name]

# Every process that a test starts gets the same key.
os.environ["MATCHBACK_MASTER_KEYS"] = base64.urlsafe_b64encode(bytes(32)).decode()
