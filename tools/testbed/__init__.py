"""What tests and tools share: the named cast, real servers, and views of what is stored.

Importing this package resets the settings, before anything reads the environment.
"""

import base64
import os

for name in [name for name in os.environ if name.startswith("MATCHBACK_")]:
    del os.environ[name]

# Every process that a test starts gets the same key.
os.environ["MATCHBACK_MASTER_KEYS"] = base64.urlsafe_b64encode(bytes(32)).decode()
