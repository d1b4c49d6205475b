"""The commands: arguments and exit status, nothing else.

sop_chat.py     sop-chat PORT KEY
sop_chat_log.py sop-chat-log FILE
chat_server.py  chat-server PORT
talk_server.py  talk-server [-v] [-p PORT]
running.py      what they share: running until a signal, the console
"""
