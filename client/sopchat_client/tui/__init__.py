"""The client on the full screen: needs Textual, which the extra `tui` brings.

wrap.py          a text in rows of cells
scrollback.py    messages and notices, and the row of each
conversation.py  what happens in a chat, kept for a screen
theme.py         light and dark
log.py           the scrollback on the screen
terminal.py      what a terminal sends, put right
keys.py          keys that mean something at once
composer.py      the text being typed
search.py        the line in which one looks for something
screens.py       help, questions, links
app.py           all of that together
run.py           the app and the chat in one event loop
"""
