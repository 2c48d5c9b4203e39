"""Client of a node's API: `Client` (asynchronous), `SyncClient`, `Account` (a key and its sequences)."""

from node.client.account import Account
from node.client.client import Client, OperatorClient, Outcome
from node.client.errors import (
    ClientError,
    NodeUnavailable,
    NotFinal,
    NotFound,
    Rejected,
    RequestRefused,
    VerificationFailed,
)
from node.client.events import Event
from node.client.sync import SyncAccount, SyncClient
from node.client.verify import verified_record, verified_transaction

__all__ = [
    "Account",
    "Client",
    "ClientError",
    "Event",
    "NodeUnavailable",
    "NotFinal",
    "NotFound",
    "OperatorClient",
    "Outcome",
    "Rejected",
    "RequestRefused",
    "SyncAccount",
    "SyncClient",
    "VerificationFailed",
    "verified_record",
    "verified_transaction",
]
