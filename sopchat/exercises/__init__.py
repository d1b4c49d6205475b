"""The sister exercises, each a server by itself, from the parts of the room.

line.py  chat-server: lines between telnet and nc users, every step told on standard output
talk.py  talk-server: the Python course's chat
"""
