"""What the tests share.

frames.py      frames made by hand, from the specification alone
clients.py     a blocking client in plain sockets, from the specification alone
programs.py    a real process, what it prints, and a terminal for it
connection.py  a connection whose far side is played by the test
logs.py        room logs, and what is read from them
tls.py         certificates, and an encrypted room
tls_servers.py
               encrypted servers that are played for our client
tls_wrapper.py
               an encrypted room for clients that do not encrypt
streams.py     what a played server does with a Trio stream
"""
