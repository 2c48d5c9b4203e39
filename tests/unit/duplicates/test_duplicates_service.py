"""Four services on one chain, joined by queues: values with holders that are away, lie, decline or are slow."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from consensus.codec import decode, encode
from consensus.errors import DecodeError
from consensus.types import ReplicaId
from node.claims.genesis import Role
from node.claims.mutual_aid.actions import Enrol
from node.claims.nullifiers.actions import DealKey, RefusalReason, RefuseKey
from node.claims.nullifiers.holders import ValueKind
from node.claims.nullifiers.records import KeyStatus
from node.crypto import SigningKey
from node.duplicates.key import read_epoch, verdicts
from node.duplicates.messages import MAX_ELEMENTS, DuplicatesMessage, Evaluate, Partial, Reason, signed_bytes
from node.duplicates.quota import Quota
from node.duplicates.service import MAX_AGE_MS, DuplicatesService, NoValues
from node.oprf import group
from node.oprf.ceremony import Verdict, deal
from node.oprf.values import blind, finish
from tests.factories import ORGANISATIONS, Chain, make_genesis, new_member
from tests.unit.duplicates.ceremonies import ceremony_of, confirmation, deal_action, new_dealing

NODE_KEYS = [SigningKey(bytes([1 + index]) * 32) for index in range(4)]
ACCOUNTS = [SigningKey(bytes([101 + index]) * 32) for index in range(4)]
MEMBER = SigningKey(bytes([200]) * 32)
NOW_MS = 1_800_000_000_000


class Hub:
    """Carries messages between the services; a test may change or drop them."""

    def __init__(self) -> None:
        self.services: dict[ReplicaId, DuplicatesService] = {}
        self.away: set[ReplicaId] = set()
        self.change: Callable[[ReplicaId, bytes], bytes | None] = lambda sender, payload: payload
        self.sent: list[tuple[ReplicaId, ReplicaId, bytes]] = []

    def end(self, own: ReplicaId) -> Peers:
        return Peers(self, own)


class Peers:
    def __init__(self, hub: Hub, own: ReplicaId) -> None:
        self.hub, self.own = hub, own

    def connected(self) -> Sequence[ReplicaId]:
        return [other for other in self.hub.services if other != self.own and other not in self.hub.away]

    def send(self, replica: ReplicaId, payload: bytes) -> bool:
        if replica in self.hub.away:
            return False
        self.hub.sent.append((self.own, replica, payload))
        changed = self.hub.change(self.own, payload)
        if changed is not None:
            asyncio.get_running_loop().call_soon(self.hub.services[replica].received, self.own, changed)
        return True


def make_chain(*, bad_share_for: int = 0, active: bool = True, dealers: int = 3) -> Chain:
    """A chain whose key a, b and perhaps c have dealt; `bad_share_for`: c seals that holder a wrong share."""
    genesis = make_genesis(node_keys=[key.public for key in NODE_KEYS], account_keys=[key.public for key in ACCOUNTS])
    chain = Chain(genesis)
    ceremony = ceremony_of(chain.digest, NODE_KEYS)
    for dealer in (1, 2):
        assert chain.do(ACCOUNTS[dealer - 1].public, new_dealing(ceremony, dealer)).code == 0
    if dealers < 3:
        return chain
    third, other = (deal(ceremony, 3, secrets.token_bytes) for _ in range(2))
    if bad_share_for:
        boxes = list(third.boxes)
        boxes[bad_share_for - 1] = other.boxes[bad_share_for - 1]
        third = replace(third, boxes=tuple(boxes))
    assert chain.do(ACCOUNTS[2].public, deal_action(1, third)).code == 0
    for holder in (0, 1, 2) if active else ():
        assert chain.do(ACCOUNTS[holder].public, confirmation(chain.digest, chain.state)).code == 0
    return chain


@asynccontextmanager
async def running(
    folder: Path, chain: Chain | None = None, *, per_day: int = 100, timeout_ms: int = 20_000
) -> AsyncIterator[tuple[Hub, Chain]]:
    chain, hub = make_chain() if chain is None else chain, Hub()
    for number, key in enumerate(NODE_KEYS):
        replica = ReplicaId(number)
        hub.services[replica] = DuplicatesService(
            registry=chain.application.registry,
            state=lambda: chain.state,
            names=ORGANISATIONS,
            own=replica,
            seed=key.seed,
            quota=Quota(folder / f"{number}.json", per_day),
            peers=hub.end(replica),
            now_ms=lambda: NOW_MS,
            timeout_ms=timeout_ms,
        )
    tasks = [asyncio.create_task(service.run()) for service in hub.services.values()]
    try:
        yield hub, chain
    finally:
        for task in tasks:
            task.cancel()
        for task in tasks:
            with suppress(asyncio.CancelledError):
                await task


def request(
    chain: Chain, elements: Sequence[bytes], *, key: SigningKey = ACCOUNTS[0], issued_ms: int = NOW_MS, epoch: int = 1
) -> Evaluate:
    signature = key.sign(signed_bytes(chain.digest, epoch, issued_ms, elements))
    return Evaluate(
        number=0, epoch=epoch, sender=key.public, issued_ms=issued_ms, elements=tuple(elements), signature=signature
    )


async def value(hub: Hub, chain: Chain, text: bytes, *, at: int = 0) -> bytes:
    blinded = blind(chain.digest, 1, ValueKind.PAPER, text, secrets.token_bytes)
    made = await hub.services[ReplicaId(at)].evaluate(request(chain, [blinded.element]))
    return finish(chain.digest, 1, blinded, made.results[0])


def elements(count: int = 1) -> list[bytes]:
    return [group.multiply_base(group.random_scalar(secrets.token_bytes)) for _ in range(count)]


async def test_every_node_gets_the_same_value_with_any_other_away(tmp_path: Path) -> None:
    async with running(tmp_path) as (hub, chain):
        values = {await value(hub, chain, b"paper", at=at) for at in range(4)}
        for away in range(1, 4):
            hub.away = {ReplicaId(away)}
            values.add(await value(hub, chain, b"paper"))
        assert len(values) == 1 and values != {await value(hub, chain, b"other paper")}


async def test_with_two_of_four_away_there_is_no_value(tmp_path: Path) -> None:
    async with running(tmp_path) as (hub, chain):
        hub.away = {ReplicaId(1), ReplicaId(2)}
        with pytest.raises(NoValues, match="1 more holders of the key are needed"):
            await value(hub, chain, b"paper")


async def test_a_holder_that_lies_is_named_and_another_is_asked(tmp_path: Path) -> None:
    async with running(tmp_path) as (hub, chain):
        good = await value(hub, chain, b"paper")
        liar = ReplicaId(2)

        def lie(sender: ReplicaId, payload: bytes) -> bytes:
            message: Any = decode(DuplicatesMessage, payload, 4_096)  # type: ignore[arg-type]
            if sender != liar or not isinstance(message, Partial):
                return payload
            return encode(Partial(number=message.number, results=(group.BASE,), proof=message.proof))

        hub.change = lie
        service = hub.services[ReplicaId(0)]
        for _ in range(30):
            assert await value(hub, chain, b"paper") == good
            if service.liars:
                break
        assert service.liars == {"c": service.liars["c"]} and service.liars["c"] > 0


async def test_a_holder_that_does_not_answer_is_left_out_after_a_while(tmp_path: Path) -> None:
    async with running(tmp_path, timeout_ms=300) as (hub, chain):
        good = await value(hub, chain, b"paper")
        silent = ReplicaId(1)
        hub.change = lambda sender, payload: None if sender == silent else payload
        hub.sent.clear()
        while not any(receiver == silent for _, receiver, _ in hub.sent):
            assert await value(hub, chain, b"paper") == good
        assert not hub.services[ReplicaId(0)].liars


async def test_answers_of_others_or_to_nothing_are_nobodys(tmp_path: Path) -> None:
    async with running(tmp_path) as (hub, chain):
        service = hub.services[ReplicaId(0)]
        service.received(ReplicaId(1), encode(Partial(number=99, results=(group.BASE,), proof=bytes(64))))

        def answer_for_others(sender: ReplicaId, payload: bytes) -> bytes:
            message: Any = decode(DuplicatesMessage, payload, 4_096)  # type: ignore[arg-type]
            if sender == ReplicaId(0) and isinstance(message, Evaluate):
                for other in (ReplicaId(1), ReplicaId(2), ReplicaId(3)):
                    wrong = Partial(number=message.number, results=(group.BASE,), proof=bytes(64))
                    asked = hub.sent[-1][1]
                    if other != asked:
                        service.received(other, encode(wrong))
            return payload

        hub.change = answer_for_others
        await value(hub, chain, b"paper")
        assert not service.liars


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"key": MEMBER}, Reason.NOT_AN_ORGANISATION),
        ({"key": SigningKey(bytes(32))}, Reason.NOT_AN_ORGANISATION),
        ({"issued_ms": NOW_MS - MAX_AGE_MS - 1}, Reason.NOT_NOW),
        ({"issued_ms": NOW_MS + MAX_AGE_MS + 1}, Reason.NOT_NOW),
        ({"epoch": 2}, Reason.NO_SHARE),
    ],
)
async def test_only_an_organisation_gets_values_now_and_of_the_active_key(
    tmp_path: Path, change: dict[str, Any], reason: Reason
) -> None:
    chain = make_chain()
    enrolment = Enrol(plan="critical-illness", members=(new_member(1, key=MEMBER.public),))
    assert Role.ENROLLER in chain.genesis.organisations[0].roles
    assert chain.do(ACCOUNTS[0].public, enrolment).code == 0
    async with running(tmp_path, chain) as (hub, _):
        service = hub.services[ReplicaId(0)]
        with pytest.raises(NoValues) as caught:
            await service.evaluate(request(chain, elements(), **change))
        assert caught.value.reason is reason and not service.quota.total()


async def test_a_signature_does_not_cover_other_elements(tmp_path: Path) -> None:
    async with running(tmp_path) as (hub, chain):
        forged = replace(request(chain, elements()), elements=tuple(elements()))
        with pytest.raises(NoValues) as caught:
            await hub.services[ReplicaId(0)].evaluate(forged)
        assert caught.value.reason is Reason.NOT_AN_ORGANISATION


@pytest.mark.parametrize("bad", [bytes(32), group.NEUTRAL, b"\xff" * 32])
async def test_points_outside_the_group_are_refused_before_they_count(tmp_path: Path, bad: bytes) -> None:
    async with running(tmp_path) as (hub, chain):
        service = hub.services[ReplicaId(0)]
        with pytest.raises(NoValues) as caught:
            await service.evaluate(request(chain, [*elements(), bad]))
        assert caught.value.reason is Reason.NO_ELEMENT and not service.quota.total()


async def test_a_day_has_so_many_values_at_each_holder_and_the_next_day_again(tmp_path: Path) -> None:
    async with running(tmp_path, per_day=5) as (hub, chain):
        service = hub.services[ReplicaId(0)]
        await service.evaluate(request(chain, elements(4)))
        with pytest.raises(NoValues) as caught:
            await service.evaluate(request(chain, elements(2)))
        assert caught.value.reason is Reason.QUOTA
        # It does not help to ask at another node: the same holders count.
        refusals = 0
        for at in range(1, 4):
            for _ in range(6):
                try:
                    await hub.services[ReplicaId(at)].evaluate(request(chain, elements()))
                except NoValues as error:
                    refusals += error.reason is Reason.QUOTA
        assert refusals > 0
        assert all(service.quota.used(NOW_MS)["a"] <= 5 for service in hub.services.values())
        # Another organisation is not held back.
        await service.evaluate(request(chain, elements(), key=ACCOUNTS[1]))
        assert service.quota.used(NOW_MS + 86_400_000) == {}
        assert service.quota.total() == {"a": service.quota.used(NOW_MS)["a"], "b": 1}


async def test_a_repeated_request_is_answered_and_counted_once(tmp_path: Path) -> None:
    async with running(tmp_path) as (hub, chain):
        service = hub.services[ReplicaId(0)]
        same = request(chain, elements(3))
        answers = {(await service.evaluate(same)).results for _ in range(8)}
        assert len(answers) == 1
        assert all(one.quota.total()["a"] in (0, 3) for one in hub.services.values())
        with pytest.raises(NoValues) as caught:
            await service.evaluate(same)
        assert caught.value.reason is Reason.BUSY


async def test_a_holder_that_was_dealt_badly_asks_three_others(tmp_path: Path) -> None:
    """b, holder 2, has no share; it confirmed all the same, or was outvoted."""
    async with running(tmp_path, make_chain(bad_share_for=2)) as (hub, chain):
        service = hub.services[ReplicaId(1)]
        key = service.key()
        assert key is not None and key.share is None
        assert [chain.application.registry.names[bad.accused] for bad in key.accusations] == ["c"]
        assert await value(hub, chain, b"paper", at=1) == await value(hub, chain, b"paper", at=0)
        hub.away = {ReplicaId(3)}
        with pytest.raises(NoValues):
            await value(hub, chain, b"paper", at=1)


@pytest.mark.parametrize("wrong", ["a share", "everything"])
async def test_bad_dealing_is_refused_on_the_chain_and_judged_by_everybody(tmp_path: Path, wrong: str) -> None:
    """c deals badly; b's node finds it, b puts the accusation on the chain, and all name c."""
    if wrong == "a share":
        chain = make_chain(bad_share_for=2, active=False)
    else:
        chain = make_chain(active=False, dealers=2)
        garbage = DealKey(
            epoch=1, commitments=(bytes(32),) * 3, ephemeral=b"\xff" * 32, proofs=bytes(128), shares=(bytes(48),) * 4
        )
        assert chain.do(ACCOUNTS[2].public, garbage).code == 0
    async with running(tmp_path, chain) as (hub, _):
        key = hub.services[ReplicaId(1)].key_of(1)
        assert key is not None and key.share is None and len(key.accusations) == 1
        bad = key.accusations[0]
        refusal = RefuseKey(epoch=1, reason=bad.reason, accused=bad.accused, opening=bad.opening, proof=bad.proof)
        assert chain.do(ACCOUNTS[1].public, refusal).code == 0
        onchain = read_epoch(chain.application.registry, chain.state, 1)
        assert onchain is not None and onchain.record.status is KeyStatus.ABANDONED
        assert [verdict for _, verdict in verdicts(onchain, chain.state).values()] == [Verdict.DEALER]
        # The next epoch is made without anybody's leave.
        assert chain.do(ACCOUNTS[0].public, new_dealing(ceremony_of(chain.digest, NODE_KEYS, 2), 1)).code == 0


async def test_a_false_accusation_on_the_chain_convicts_who_raised_it(tmp_path: Path) -> None:
    chain = make_chain(active=False)
    lie = RefuseKey(epoch=1, reason=RefusalReason.BAD_SHARE, accused=0, opening=group.BASE, proof=bytes(64))
    assert chain.do(ACCOUNTS[3].public, lie).code == 0
    onchain = read_epoch(chain.application.registry, chain.state, 1)
    assert onchain is not None
    ((refusal, verdict),) = verdicts(onchain, chain.state).values()
    assert (refusal.accused, verdict) == (0, Verdict.ACCUSER)


async def test_without_an_active_key_nothing_is_made(tmp_path: Path) -> None:
    async with running(tmp_path, make_chain(active=False)) as (hub, chain):
        service = hub.services[ReplicaId(0)]
        assert service.key() is None
        being_made = service.key_of(1)
        assert being_made is not None and being_made.share is not None
        with pytest.raises(NoValues) as caught:
            await value(hub, chain, b"paper")
        assert caught.value.reason is Reason.NO_SHARE


async def test_what_a_peer_floods_is_declined(tmp_path: Path) -> None:
    async with running(tmp_path) as (hub, chain):
        service = hub.services[ReplicaId(0)]
        for number in range(50):
            service.received(ReplicaId(1), encode(replace(request(chain, elements()), number=number)))
        declined = [payload for sender, _, payload in hub.sent if sender == 0]
        assert len(declined) == 42


@pytest.mark.parametrize("data", [b"", b"\x90", b"\x94\x01", bytes(3_000), encode(MAX_ELEMENTS)])
async def test_nonsense_of_a_peer_is_refused(tmp_path: Path, data: bytes) -> None:
    async with running(tmp_path) as (hub, _):
        with pytest.raises(DecodeError):
            hub.services[ReplicaId(0)].received(ReplicaId(1), data)


def test_counts_outlive_the_process_and_old_days_go(tmp_path: Path) -> None:
    path, day = tmp_path / "made.json", 86_400_000
    quota = Quota(path, 10)
    assert quota.take("a", 10, NOW_MS) and not quota.take("a", 1, NOW_MS)
    again = Quota(path, 10)
    assert not again.take("a", 1, NOW_MS) and again.take("b", 1, NOW_MS)
    for number in range(1, 40):
        assert again.take("a", 1, NOW_MS + number * day)
    assert Quota(path, 10).total() == {"a": 31}
