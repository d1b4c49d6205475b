"""The exercise's first three stages, each a program by itself, from the parts of the fourth.

stage1.py  accepts one client and closes
stage2.py  authenticates one client and reads five frames
stage3.py  relays between many clients

Stage 4 is the server itself: server.py. docs/frame-protocol.md, "The four stages".
"""
