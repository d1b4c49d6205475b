"""The commands: arguments and exit status, nothing else.

running.py        running until a signal, the console on standard output
entrances.py      ports, a path, sockets handed over
descriptors.py    how many clients the process has room for
limit_options.py  the limits, as options and in a file
log_options.py    the room log and the history
tls_options.py    whether the room is encrypted
room.py           the whole room with what an operator puts around it
sop_chat.py       sop-chat PORT KEY
sop_chat_log.py   sop-chat-log FILE
chat_server.py    chat-server PORT
talk_server.py    talk-server [-v] [-p PORT]
"""
