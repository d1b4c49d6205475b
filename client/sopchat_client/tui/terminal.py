"""What comes from the terminal, put right before Textual reads it."""

import codecs
import os
import queue
import unicodedata

from textual.drivers import linux_driver
from textual.drivers.linux_driver import LinuxDriver

# Bracketed paste (xterm's control sequences).
_BEGIN, _END = "\x1b[200~", "\x1b[201~"

# So often it is looked whether a terminal that takes nothing is gone (seconds).
_WRITER_DIES = 0.1

# So many characters of a mark at the end of a read are half of it: fewer may be a key.
_HALF_BEGIN, _HALF_END = 3, 1

# Enter with Alt, Shift or Ctrl, as most terminals send it: a new line, as Ctrl-J is.
_NEW_LINES = ("\x1b\r", "\x1b[27;2;13~", "\x1b[27;5;13~")


class Terminal(LinuxDriver):
    """Textual's driver, for terminals as they are.

    By itself it ends at a byte that is not UTF-8, mixes up a paste that holds control characters,
    takes Alt-Enter for Enter, believes a size in the environment more than the terminal, and waits
    for ever to write to one that is gone.
    """

    def write(self, data: str) -> None:
        """Write, as soon as the terminal has taken enough; if it is gone, end the app."""
        writer = self._writer_thread
        while writer is not None and writer.is_alive():
            try:
                writer._queue.put(data, timeout=_WRITER_DIES)
            except queue.Full:
                continue
            return
        self._app.exit()

    def close(self) -> None:
        """End the writing, if it has not ended by itself."""
        if self._writer_thread is not None and self._writer_thread.is_alive():
            super().close()

    def _get_terminal_size(self) -> tuple[int, int]:
        """Columns and lines."""
        return os.get_terminal_size(self.fileno)

    def run_input_thread(self) -> None:
        """Read keys until the end."""
        setattr(linux_driver, "getincrementaldecoder", lambda encoding: TerminalInput)  # noqa: B010
        super().run_input_thread()


class TerminalInput(codecs.IncrementalDecoder):
    """The characters that the terminal sends; a paste in it holds no control characters."""

    def __init__(self, errors: str = "replace") -> None:
        super().__init__(errors)
        self._decoder = codecs.getincrementaldecoder("utf-8")(errors)
        self._pasting = False
        self._held = ""

    def decode(self, data: bytes, final: bool = False) -> str:  # type: ignore[override]
        """The characters that can be told by now."""
        text, self._held = self._held + self._decoder.decode(data, final), ""
        told = []
        while text:
            mark, half = (_END, _HALF_END) if self._pasting else (_BEGIN, _HALF_BEGIN)
            before, found, text = text.partition(mark)
            if not found and not final:
                before, self._held = _without_half(before, mark, half)
            told.append((_pasted if self._pasting else _typed)(before) + found)
            self._pasting ^= bool(found)
        return "".join(told)


def _without_half(text: str, mark: str, least: int) -> tuple[str, str]:
    """The text, and the beginning of the mark with which it ends, if that is long enough."""
    for size in range(len(mark) - 1, least - 1, -1):
        if text.endswith(mark[:size]):
            return text[:-size], text[-size:]
    return text, ""


def _typed(text: str) -> str:
    for keys in _NEW_LINES:
        text = text.replace(keys, "\n")
    return text


def _pasted(text: str) -> str:
    return "".join(one for one in text if one in "\r\n\t" or unicodedata.category(one) != "Cc")
