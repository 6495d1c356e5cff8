"""The end of listening, without a client that has sent a request to nobody.

A connection is made by the kernel. Closing a listener resets those that nobody has accepted yet,
and those of which the last packet of the handshake is still on its way, though to their clients
both are connections like any other.
"""

import contextlib
import ctypes
import socket
import struct

SO_ATTACH_FILTER = 26  # from Linux's asm-generic/socket.h; sparc and parisc have another
# Of each packet to the listener: load the byte of TCP's flags; drop it if SYN is among them; else
# let it pass.
# Source: Linux's Documentation/networking/filter.rst; RFC 9293, 3.1.
STEPS = ((0x30, 0, 0, 13), (0x45, 0, 1, 0x02), (0x06, 0, 0, 0), (0x06, 0, 0, 0xFFFFFFFF))


def begin_no_more(listener: socket.socket) -> None:
    """Let handshakes that were begun end, and none begin.

    Who is not heard tries again after a second, and is refused then, if nobody listens any more:
    after a refusal load balancers try another host. Where there are no such filters this does
    nothing.
    """
    steps = b"".join(struct.pack("HBBI", *step) for step in STEPS)
    kept = ctypes.create_string_buffer(steps)
    program = struct.pack("HP", len(STEPS), ctypes.addressof(kept))
    if hasattr(socket, "SO_REUSEPORT"):
        with contextlib.suppress(OSError):
            listener.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, program)
