"""The commands: arguments and exit status, nothing else.

sop_chat.py  sop-chat PORT KEY
"""
