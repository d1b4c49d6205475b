"""Stage 2: one authenticated client."""

from sopchat_grader.exercises.frame.trial import AUTHENTICATING, FRAME, ONE, FrameTrial, frame


@FRAME.check(
    "2.1",
    1,
    "shows the name and the key it is given",
    sentence="The server shows the name and the key of the authentication frame.",
    wire="A client sends its authentication frame with the right key.",
    seen="The name and the key on the console, in whatever wording.",
    after=["1.1"],
    programs=AUTHENTICATING,
)
async def shows_name_and_key(trial: FrameTrial) -> None:
    await trial.start()
    name = trial.word()
    await trial.settle()  # a greeting of its own may name the key, too
    before = trial.program.console.position
    await trial.offer(name, trial.key)
    await trial.expect_shown([name], "the name", before)
    await trial.expect_shown([trial.key], "the key", before)


@FRAME.check(
    "2.2",
    1,
    "sends the authentication frame back when the key fits",
    sentence="The key fits: the server sends the same 512 bytes back.",
    wire="A client sends its authentication frame with the right key.",
    seen="The same 512 bytes.",
    after=["1.1"],
    programs=AUTHENTICATING,
)
async def echoes(trial: FrameTrial) -> None:
    await trial.start()
    await trial.join(trial.word())


@FRAME.check(
    "2.3",
    0.5,
    "shows the member's frames in their order",
    sentence="It reads further frames and shows each.",
    wire="A member sends 5 frames, one after the other.",
    seen="Their texts on the console, in the same order.",
    after=["2.2"],
    programs=AUTHENTICATING,
)
async def shows_frames(trial: FrameTrial) -> None:
    (member,) = await trial.members(1)
    texts = [trial.text() for _ in range(5)]
    for text in texts:
        await member.send(frame(member.name, text))
    await trial.expect_shown(texts, "the five messages")


@FRAME.check(
    "2.4",
    0.5,
    "reads exactly five frames, then closes and ends",
    sentence="It reads 5 further frames, closes the connection and ends.",
    wire="A member sends 4 frames, waits until they are shown, and sends a fifth.",
    seen="The fifth is still read and shown; then the connection is closed and the program ends.",
    after=["2.2", "2.3"],
    programs=ONE,
)
async def reads_five(trial: FrameTrial) -> None:
    (member,) = await trial.members(1)
    texts = [trial.text() for _ in range(4)]
    for text in texts:
        await member.send(frame(member.name, text))
    await trial.expect_shown(texts, "the first four messages")
    fifth = trial.text()
    await member.send(frame(member.name, fifth))
    await trial.expect_shown([fifth], "the fifth message, read while the connection is open")
    await member.expect_closed("after the fifth frame")
    await trial.expect_end("after the fifth frame")


@FRAME.check(
    "2.5",
    0.5,
    "closes when the key is wrong, without a byte",
    sentence="The key does not fit: the server closes the connection at once, without a byte.",
    wire="A client sends an authentication frame with another key.",
    seen="The connection is closed; not a byte comes.",
    after=["2.2"],
    programs=AUTHENTICATING,
)
async def refuses(trial: FrameTrial) -> None:
    await trial.start()
    client = await trial.offer(trial.word(), f"8{trial.word()}")
    await client.expect_closed("because its key is wrong")
    if trial.setting.stage > 2:
        await trial.expect_running()


@FRAME.check(
    "2.6",
    0.5,
    "refuses keys that are nearly right",
    sentence="A key fits when it is exactly the server's: no prefix, no case folding, no number.",
    wire="Clients offer a prefix of the key, a longer one, one in other case, none at all, the"
    " number at its beginning, zeros before it, and blanks around it.",
    seen="Each connection is closed; not a byte comes.",
    after=["2.5"],
    programs=AUTHENTICATING,
)
async def refuses_near_misses(trial: FrameTrial) -> None:
    key = trial.key
    number, word = key[:4], key[4:]
    misses = {
        "a prefix of the key": key[:-1],
        "the key and one character more": f"{key}x",
        "the key in other case": key.swapcase(),
        "an empty key": "",
        "the number that the key begins with": number,
        "another word behind the same number": number + word[::-1],
        "zeros before the key": f"00{key}",
        "a blank before the key": f" {key}",
        "a blank behind the key": f"{key} ",
        "a newline behind the key": f"{key}\n",
    }
    running = False
    for what, miss in misses.items():
        if not running or trial.program.status is not None:
            await trial.start()
            running = True
        client = await trial.offer(trial.word(), miss)
        await client.expect_closed(f"because its key is {what}")
        if trial.setting.stage == 2:
            await trial.expect_end("after its client")
