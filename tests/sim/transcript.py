"""A small language for scenarios, message by message, with the trace they leave.

A transcript is text. Lines with `#` are for the reader. Lines with `>` are commands. The indented lines
below a command are what the replicas said and did because of it. Commands:

    > replicas 4 window 4 faulty 3 rotate 2     the cluster; all but the number may be left out
    > start                                     everybody starts and meets everybody
    > start 0 1 2                               only these start, and meet
    > submit a to 0 1 2 3                       a client's transaction
    > deliver WHAT                              what is under way now
    > settle WHAT                               until nothing of it is under way
    > drop WHAT
    > timeout 1 2 3                             progress timers fire
    > resend 1                                  resend timers fire
    > crash 1; restart 1; wipe 1                wipe: crash, and lose the disk
    > connect 1 2                               both learn of a new connection
    > status                                    height, view and voting of every replica
    > pass 20000                                milliseconds on every clock
    > block b on a                              a block made by the script
    > 3 proposes b in view 3 to 0 1             what a faulty replica says
    > 3 votes prepare b at 2 in view 3 to 0 1
    > 3 asks for view 3 to 0                    a view change that admits nothing
    > 3 opens view 3 from 0 1 3 to 0 1          a new view from what these have said

WHAT is `all`, or any of: a kind of message, `of REPLICAS`, `to REPLICAS`, `height H`, `view V`; a `-` before a
command's WHAT means all but that.
"""

from __future__ import annotations

from collections.abc import Callable

from consensus.events import Timer
from consensus.messages import Phase
from tests.sim.checks import Violation
from tests.sim.stage import Stage, Wanted, wants

PHASES = {"pre-prepare": Phase.PRE_PREPARE, "prepare": Phase.PREPARE, "commit": Phase.COMMIT}
StageType = Callable[..., Stage]


class TranscriptError(ValueError):
    """A transcript says something that is not in the language."""


def _numbers(words: list[str]) -> list[int]:
    found = []
    while words and words[0].isdigit():
        found.append(int(words.pop(0)))
    if not found:
        raise TranscriptError("a replica's number is missing")
    return found


def _what(words: list[str]) -> Wanted:
    if words and words[0] == "-":
        unwanted = _what(words[1:])
        return lambda letter: not unwanted(letter)
    words = list(words)
    kind = senders = receivers = height = view = None
    while words:
        word = words.pop(0)
        if word == "of":
            senders = _numbers(words)
        elif word == "to":
            receivers = _numbers(words)
        elif word == "height":
            height = _numbers(words)[0]
        elif word == "view":
            view = _numbers(words)[0]
        elif word != "all":
            kind = word
    return wants(kind=kind, senders=senders, receivers=receivers, height=height, view=view)


class Player:
    """Plays commands on a stage and collects the trace."""

    def __init__(self, stage_type: StageType = Stage) -> None:
        self._stage_type = stage_type
        self._lines: list[str] = []
        self._stage: Stage | None = None

    @property
    def stage(self) -> Stage:
        if self._stage is None:
            raise TranscriptError("the first command must be 'replicas'")
        return self._stage

    def play(self, command: str) -> list[str]:
        """Trace lines of one command. Raises Violation or TranscriptError."""
        self._lines = []
        words = command.split()
        try:
            if words[0].isdigit():
                self._puppet(int(words[0]), words[1:])
            else:
                getattr(self, f"_do_{words[0]}")(words[1:])
        except (AttributeError, KeyError, IndexError, ValueError) as error:
            raise TranscriptError(f"cannot play '> {command}': {error!r}") from error
        return self._lines

    def _do_replicas(self, words: list[str]) -> None:
        n = _numbers(words)[0]
        options = {"window": 4, "rotate": 0}
        faulty: list[int] = []
        while words:
            word = words.pop(0)
            if word == "faulty":
                faulty = _numbers(words)
            else:
                options[word] = _numbers(words)[0]
        self._stage = self._stage_type(
            n,
            window=options["window"],
            rotate_blocks=options["rotate"],
            faulty=faulty,
            trace=self._lines_append,
        )

    def _lines_append(self, line: str) -> None:
        self._lines.append(line.removeprefix("node "))

    def _do_start(self, words: list[str]) -> None:
        if not words:
            self.stage.start()
            self._lines.clear()
            return
        chosen = _numbers(words)
        for replica in chosen:
            self.stage.nodes[replica].boot()
        for replica in chosen:
            for peer in chosen:
                if peer != replica:
                    self.stage.connect(replica, peer)
        self.stage.settle(lambda letter: True)
        self._lines.clear()

    def _do_submit(self, words: list[str]) -> None:
        self.stage.submit(words[0], _numbers(words[2:]))

    def _do_deliver(self, words: list[str]) -> None:
        if not self.stage.deliver(_what(words)):
            self._lines.append("nothing to deliver")

    def _do_settle(self, words: list[str]) -> None:
        self.stage.settle(_what(words))

    def _do_drop(self, words: list[str]) -> None:
        self._lines.append(f"{self.stage.drop(_what(words))} messages lost")

    def _do_timeout(self, words: list[str]) -> None:
        for replica in _numbers(words):
            self.stage.fire(Timer.PROGRESS, replica)

    def _do_resend(self, words: list[str]) -> None:
        for replica in _numbers(words):
            self.stage.fire(Timer.RESEND, replica)

    def _do_crash(self, words: list[str]) -> None:
        for replica in _numbers(words):
            self.stage.nodes[replica].crash()

    def _do_restart(self, words: list[str]) -> None:
        for replica in _numbers(words):
            self.stage.nodes[replica].boot()
            self.stage.run_soon()

    def _do_wipe(self, words: list[str]) -> None:
        for replica in _numbers(words):
            self.stage.nodes[replica].wipe()

    def _do_connect(self, words: list[str]) -> None:
        a, b = _numbers(words)
        self.stage.connect(a, b)
        self.stage.connect(b, a)

    def _do_pass(self, words: list[str]) -> None:
        self.stage.now += _numbers(words)[0]

    def _do_status(self, words: list[str]) -> None:
        for node in self.stage.nodes:
            if node.is_faulty:
                continue
            core = node.core
            if core is None:
                self._lines.append(f"{node.replica_id} is down")
                continue
            state = "in" if core.active else "waits for"
            tip = self.stage.name(core.tip.digest)
            listens = "" if core.voting else f", listens: {core.status().voting_reason}"
            self._lines.append(
                f"{node.replica_id} at height {core.tip.height} ({tip}), {state} view {core.view}{listens}"
            )

    def _do_block(self, words: list[str]) -> None:
        self._lines.append(f"block {self.stage.puppet_block(words[0], words[2])} on {words[2]}")

    def _puppet(self, replica: int, words: list[str]) -> None:
        stage = self.stage
        match words:
            case ["proposes", name, "in", "view", view, "to", *to]:
                stage.puppet_proposal(replica, int(view), name, _numbers(to))
            case ["votes", phase, name, "at", height, "in", "view", view, "to", *to]:
                stage.puppet_vote(replica, PHASES[phase], int(view), int(height), name, _numbers(to))
            case ["asks", "for", "view", view, "to", *to]:
                stage.puppet_view_change(replica, int(view), _numbers(to))
            case ["opens", "view", view, "from", *rest]:
                sources = _numbers(rest)
                stage.puppet_new_view(replica, int(view), sources, _numbers(rest[1:]))
            case _:
                raise TranscriptError(f"a faulty replica cannot {' '.join(words)}")


def replay(text: str, stage_type: StageType = Stage) -> str:
    """The transcript as it comes out now: comments and commands as they are, traces anew.

    A broken promise ends the transcript with a line that names it.
    """
    player = Player(stage_type)
    out: list[str] = []
    for line in text.splitlines():
        if not line.startswith((">", "#")) and line.strip():
            continue
        if not line.startswith(">"):
            if line or (out and out[-1]):
                out.append(line)
            continue
        out.append(line)
        try:
            trace = player.play(line[1:].strip())
        except Violation as violation:
            out.append(f"  VIOLATION: {violation}")
            break
        out.extend(f"  {entry}" for entry in trace)
    return "\n".join(out).rstrip() + "\n"


def play(text: str, stage_type: StageType = Stage) -> Player:
    """Play all commands of a transcript; raises Violation where a promise breaks."""
    player = Player(stage_type)
    for line in text.splitlines():
        if line.startswith(">"):
            player.play(line[1:].strip())
    return player
