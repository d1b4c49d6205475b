"""Pure bytes to messages and back: no I/O, no clock, no Trio.

frame.py    the frame and the buffer that cuts a byte stream into frames
display.py  how bytes from the network may be shown on a terminal
"""
