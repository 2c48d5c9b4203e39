"""`weal verify` and `weal jury verify-draw --proof`: the question that was asked, and files that were changed."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from msgspec.structs import replace

from consensus.block import Header
from consensus.messages import CommitCertificate, Phase
from consensus.types import Digest, Height, ReplicaId, View
from node import merkle
from node.claims import keys
from node.claims.genesis import Genesis
from node.claims.jury.terms import JuryMode
from node.cli.app import weal
from node.cli.base import CommandError
from node.cli.jury_verify_command import FORMAT as DRAW_FORMAT
from node.cli.jury_verify_command import check_bundles
from node.genesis import domain, dump_genesis, genesis_header, member_set
from node.proofs import FORMAT, ProofBundle, RecordProof, encode_bundle, prove_record, prove_transaction, to_json
from tests.factories import MemoryState
from tests.unit.claims.jury_life import RULES, JuryLife
from tests.unit.node.ledgers import ACCOUNT_KEYS, NODE_KEYS, Ledger, ledger_genesis, transfer

SENDER = keys.sender(ACCOUNT_KEYS[0].public)


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    ledger = Ledger(tmp_path / "ledger")
    ledger.step(transfer(0, 1), transfer(1, 1))
    (tmp_path / "genesis.json").write_text(dump_genesis(ledger_genesis()), encoding="utf-8")
    yield ledger
    ledger.close()


def verify(folder: Path, bundle: ProofBundle, *arguments: str) -> tuple[int, Any]:
    """(exit code, answer) of the command."""
    path = folder / "proof.json"
    path.write_text(json.dumps(to_json(bundle)), encoding="utf-8")
    command = ["verify", str(path), "--genesis", str(folder / "genesis.json"), "--json", *arguments]
    result = CliRunner().invoke(weal, command)
    return result.exit_code, json.loads(result.stdout or result.stderr)


def test_an_absence_has_to_be_asked_for_by_its_name(ledger: Ledger, tmp_path: Path) -> None:
    bundle = prove_record(ledger.state, ledger.blocks, keys.claim(9))
    code, answer = verify(tmp_path, bundle)
    assert code == 2 and "--claim ID or --state-key HEX" in json.dumps(answer)
    for named in (("--claim", "C-000009"), ("--state-key", keys.claim(9).hex())):
        code, answer = verify(tmp_path, bundle, *named)
        assert code == 0 and (answer["record"]["claim"], answer["record"]["exists"]) == ("C-000009", False)
    for other in (("--claim", "C-000008"), ("--state-key", SENDER.hex())):
        assert verify(tmp_path, bundle, *other)[0] == 3
    assert verify(tmp_path, bundle, "--transaction", "00" * 32)[0] == 2


def test_what_is_there_can_be_asked_for_or_just_be_shown(ledger: Ledger, tmp_path: Path) -> None:
    bundle = prove_record(ledger.state, ledger.blocks, SENDER)
    for named in ((), ("--state-key", SENDER.hex())):
        code, answer = verify(tmp_path, bundle, *named)
        assert code == 0 and answer["record"]["key"] == SENDER.hex()
    for other in (("--claim", "1"), ("--state-key", SENDER.hex()[:-2]), ("--transaction", "00" * 32), ("--statement",)):
        assert verify(tmp_path, bundle, *other)[0] == 3
    for nonsense in (("--state-key", "no hex"), ("--claim", "x"), ("--state-key", SENDER.hex(), "--claim", "1")):
        assert verify(tmp_path, bundle, *nonsense)[0] == 2


def test_a_transaction_is_the_one_that_was_asked_for(ledger: Ledger, tmp_path: Path) -> None:
    id = transfer(0, 1).id
    bundle = prove_transaction(ledger.executor, ledger.blocks, id)
    assert bundle is not None
    for named in ((), ("--transaction", id.hex()), ("--transaction", id.hex().upper())):
        assert verify(tmp_path, bundle, *named)[0] == 0
    for other in (("--transaction", transfer(1, 1).id.hex()), ("--claim", "1"), ("--state-key", SENDER.hex())):
        assert verify(tmp_path, bundle, *other)[0] == 3


def certified(genesis: Genesis, root: bytes) -> tuple[Header, CommitCertificate]:
    """A block after which the state has this root, and a quorum that signed it."""
    members = member_set(genesis)
    below = genesis_header(genesis, members, bytes(32))
    header = replace(below, height=Height(1), parent=below.digest, state_root=Digest(root))
    words = domain(genesis, members)
    signatures = tuple(
        (place, NODE_KEYS[place].sign(words.vote(Phase.COMMIT, View(0), Height(1), header.digest, place)))
        for place in map(ReplicaId, range(3))
    )
    return header, CommitCertificate(view=View(0), height=Height(1), digest=header.digest, signatures=signatures)


class Draw:
    """A panel that was drawn, and the proofs of its records, made from a state in memory."""

    def __init__(self) -> None:
        life = JuryLife(replace(RULES, mode=JuryMode.PANEL), node_keys=[key.public for key in NODE_KEYS])
        life.answered().drawn()
        self.genesis, self.panel = life.chain.genesis, life.round.panel
        self._state: MemoryState = life.chain.state
        self._trie = merkle.TrieUpdate(self._no_page, lambda name: None)
        self._top = self._trie.apply(self._state.records.items(), merkle.EMPTY)
        self._certified = certified(self.genesis, merkle.root_of(self._top))
        dealings = (keys.jury_dealing(1, 1, 1, dealer) for dealer in life.draw.dealers)
        self.bundles = [self.prove(key) for key in (keys.jury_round(1, 1), keys.jury_draw(1, 1, 1), *dealings)]

    @staticmethod
    def _no_page(name: str, expected: bytes) -> bytes:
        raise KeyError(name)

    def prove(self, key: bytes) -> bytes:
        proof = merkle.prove(key, self._top, lambda name, expected: self._trie.pages[name], self._trie.inner.get)
        header, certificate = self._certified
        fact = RecordProof(key=key, value=self._state.get(key), proof=proof)
        return encode_bundle(ProofBundle(format=FORMAT, header=header, certificate=certificate, fact=fact))

    def refused(self, *bundles: bytes) -> bool:
        try:
            check_bundles(self.genesis, list(bundles), 1, 1)
        except CommandError as error:
            return error.exit_code == 3
        return False


@pytest.fixture(scope="module")
def draw() -> Draw:
    return Draw()


def test_a_draw_is_shown_by_its_own_proofs_and_no_others(draw: Draw) -> None:
    first, second, *dealings = draw.bundles
    assert check_bundles(draw.genesis, draw.bundles, 1, 1)["verified"] and len(dealings) == 4
    absent = draw.prove(keys.jury_dealing(1, 1, 1, 9))
    for bundles in (
        [],
        draw.bundles[:-1],
        [first, *dealings],
        [second, first, *dealings],
        [first, second, *dealings[::-1]],
        [*draw.bundles, dealings[0]],
        [*draw.bundles, absent],
        [first, second, *dealings[:-1], absent],
    ):
        assert draw.refused(*bundles)


def test_no_changed_byte_of_a_draws_proofs_is_accepted(draw: Draw) -> None:
    """Each of them is a bundle, of which another test changes every byte; here one in fifty, others in each run."""
    for number, bundle in enumerate(draw.bundles):
        for at in range(random.randrange(50), len(bundle), 50):
            changed = bundle[:at] + bytes([bundle[at] ^ random.randrange(1, 256)]) + bundle[at + 1 :]
            assert draw.refused(*draw.bundles[:number], changed, *draw.bundles[number + 1 :]), (number, at, changed[at])


def test_a_file_of_a_draw_has_one_form(draw: Draw, tmp_path: Path) -> None:
    (tmp_path / "genesis.json").write_text(dump_genesis(draw.genesis), encoding="utf-8")
    path = tmp_path / "draw.json"
    document = {"format": DRAW_FORMAT, "bundles": [bundle.hex() for bundle in draw.bundles]}
    command = [
        "jury",
        "verify-draw",
        "C-000001",
        "1",
        "--proof",
        str(path),
        "--genesis",
        str(tmp_path / "genesis.json"),
    ]
    for content, code in (
        (document, 0),
        (document | {"bundles": [bundle.hex().upper() for bundle in draw.bundles]}, 2),
        (document | {"more": 1}, 2),
        (document | {"bundles": document["bundles"][:-1]}, 3),
    ):
        path.write_text(json.dumps(content), encoding="utf-8")
        assert CliRunner().invoke(weal, command).exit_code == code
