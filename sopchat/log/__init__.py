"""The room log: every accepted frame on disk, in the room's order (docs/room-log.md).

errors.py    why a room log cannot be used
page.py      64 KiB of the log as pure bytes: frames, and what is kept beside them
files.py     the files of a log by name, and the pages of one
reader.py    what a log holds, from any place on, and its end
tail.py      where a file's records end, and cutting off what is torn
writer.py    the one who writes: lock, append, rotate, sync
repair.py    making a damaged log whole again
export.py    a record as a line, as JSON, as CSV
room_log.py  the watcher of the room, which never blocks it
"""
