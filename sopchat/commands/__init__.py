"""The commands: arguments and exit status, nothing else.

sop_chat.py     sop-chat PORT KEY
chat_server.py  chat-server PORT
talk_server.py  talk-server [-v] [-p PORT]
running.py      what they share: running until a signal, the console
"""
