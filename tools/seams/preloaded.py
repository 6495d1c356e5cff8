"""Everything that a killed process needs before it connects.

The fork server imports this module once. Its children do not collect these objects as garbage,
because that would copy their memory and free nothing.
"""

import gc

from tools.seams.child import build_client

build_client()
gc.collect()
gc.freeze()
