"""A bot that rolls dice: `!roll 2d6` is answered with the sum of two dice with six sides.

SOPCHAT_KEY=key python dice.py localhost 9000 dice
"""

import os
import re
import secrets
import sys

import trio
from sopchat_client import ChatError, connect


async def main() -> None:
    host, port, name = sys.argv[1:]
    async with connect(host, int(port), name, os.environ.get("SOPCHAT_KEY")) as chat:
        async for message in chat:
            if asked := re.fullmatch(r"!roll ([1-9]\d?)d([1-9]\d{0,2})", message.text):
                dice, sides = int(asked[1]), int(asked[2])
                rolled = [secrets.randbelow(sides) + 1 for _ in range(dice)]
                await chat.send(f"{message.name} rolls {sum(rolled)}: {rolled}")


try:
    trio.run(main)
except (ChatError, ValueError) as error:
    sys.exit(f"dice: {error}")
