"""Pure bytes to messages and back: no I/O, no clock, no Trio.

frame.py    the frame and the buffer that cuts a byte stream into frames
line.py     lines, as telnet and nc send them
talk.py     `<name> says: <text>`
tls.py      TLS: bytes to encrypted bytes and back
fingerprint.py
            how people write which certificate it is
display.py  how bytes from the network may be shown on a terminal
"""
