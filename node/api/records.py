"""Claims, members, plans and organisations: records of the claims application, with proofs on request."""

from __future__ import annotations

from aiohttp import hdrs, web

from node.api.backend import BadParameter
from node.api.call import Call, etag, found, origin_headers
from node.api.shapes import (
    ApplicationPath,
    ApplicationsQuery,
    ClaimFhirPath,
    ClaimPath,
    ClaimsQuery,
    JuryBallotPath,
    JuryDrawPath,
    MemberPath,
    MembersQuery,
    Nothing,
    OrganisationPath,
    PageQuery,
    PlanPath,
    PlanTermsPath,
    ProposalPath,
    ProveQuery,
    ReportQuery,
    StatementQuery,
)
from node.claims.ids import member_id
from node.fhir.export import FHIR_JSON, fhir_bytes


async def claims(call: Call[Nothing, ClaimsQuery, None]) -> web.Response:
    query = call.query
    records, following = call.backend.claims(
        status=query.status,
        plan=query.plan,
        member=query.member,
        organisation=query.organisation,
        cursor=query.cursor,
        limit=call.limit(query.limit),
    )
    return call.page(records, following)


async def claim(call: Call[ClaimPath, ProveQuery, None]) -> web.Response:
    name = call.path.id
    record = found(call.backend.claim(name), "claim", name)
    proof = call.backend.prove_state(call.backend.record_key("claim", name)) if call.query.prove else None
    return call.record(record, proof=proof)


async def claim_fhir(call: Call[ClaimFhirPath, Nothing, None]) -> web.Response:
    """The bare resource, as FHIR tools take it; the block it was read from is in the headers."""
    name = call.path.id
    record = found(call.backend.claim(name), "claim", name)
    plan = found(call.backend.plan(record["plan"]), "plan", record["plan"])
    body = fhir_bytes(call.path.resource, record, plan, call.backend.genesis()["digest"])
    headers = origin_headers(call.as_of) | {hdrs.ETAG: etag(call.as_of), hdrs.CACHE_CONTROL: "no-cache"}
    return web.Response(body=body, content_type=FHIR_JSON, headers=headers)


async def jury(call: Call[ClaimPath, Nothing, None]) -> web.Response:
    name = call.path.id
    return call.record(found(call.backend.jury("case", name), "jury of claim", name))


async def jury_draw(call: Call[JuryDrawPath, Nothing, None]) -> web.Response:
    path = call.path
    record = call.backend.jury("draw", path.id, int(path.round), int(path.attempt))
    return call.record(found(record, "draw", f"{path.attempt} of round {path.round} of {path.id}"))


async def jury_ballot(call: Call[JuryBallotPath, Nothing, None]) -> web.Response:
    path = call.path
    record = call.backend.jury("ballot", path.id, int(path.round), member_id(path.member))
    return call.record(found(record, "ballot", f"of {path.member} in round {path.round} of {path.id}"))


async def juror(call: Call[MemberPath, Nothing, None]) -> web.Response:
    name = call.path.id
    return call.record(found(call.backend.jury("juror", name), "juror", name))


async def plan_jury(call: Call[PlanPath, Nothing, None]) -> web.Response:
    code = call.path.code
    return call.record(found(call.backend.jury("plan", code), "plan", code))


async def members(call: Call[Nothing, MembersQuery, None]) -> web.Response:
    query = call.query
    records, following = call.backend.members(
        plan=query.plan, organisation=query.organisation, cursor=query.cursor, limit=call.limit(query.limit)
    )
    return call.page(records, following)


async def member(call: Call[MemberPath, ProveQuery, None]) -> web.Response:
    name = call.path.id
    record = found(call.backend.member(name), "member", name)
    proof = call.backend.prove_state(call.backend.record_key("member", name)) if call.query.prove else None
    return call.record(record, proof=proof)


async def applications(call: Call[Nothing, ApplicationsQuery, None]) -> web.Response:
    query = call.query
    records, following = call.backend.applications(
        status=query.status,
        plan=query.plan,
        organisation=query.organisation,
        cursor=query.cursor,
        limit=call.limit(query.limit),
    )
    return call.page(records, following)


async def application(call: Call[ApplicationPath, ProveQuery, None]) -> web.Response:
    name = call.path.id
    record = found(call.backend.application(name), "application", name)
    proof = call.backend.prove_state(call.backend.record_key("application", name)) if call.query.prove else None
    return call.record(record, proof=proof)


async def statement(call: Call[MemberPath, StatementQuery, None]) -> web.Response:
    """The proof covers the whole statement, whichever page is asked for."""
    name, query = call.path.id, call.query
    record = found(call.backend.statement(name, cursor=query.cursor, limit=call.limit(query.limit)), "member", name)
    return call.record(record, proof=call.backend.prove_statement(name) if query.prove else None)


async def plans(call: Call[Nothing, Nothing, None]) -> web.Response:
    return call.page(call.backend.plans(), "")


async def plan(call: Call[PlanPath, ProveQuery, None]) -> web.Response:
    name = call.path.code
    record = found(call.backend.plan(name), "plan", name)
    proof = call.backend.prove_state(call.backend.record_key("plan", name)) if call.query.prove else None
    return call.record(record, proof=proof)


async def plan_terms(call: Call[PlanTermsPath, Nothing, None]) -> web.Response:
    code, version = call.path.code, int(call.path.version)
    return call.record(found(call.backend.plan_terms(code, version), "version of the plan", f"{code} {version}"))


async def proposals(call: Call[Nothing, PageQuery, None]) -> web.Response:
    before = call.query.cursor or "0"
    if not before.isdigit():
        raise BadParameter("cursor must be the `next` of an earlier page")
    records, following = call.backend.proposals(int(before), call.limit(call.query.limit))
    return call.page(records, following)


async def proposal(call: Call[ProposalPath, Nothing, None]) -> web.Response:
    id = call.path.id
    return call.record(found(call.backend.proposal(int(id[2:])), "proposal", id))


async def report(call: Call[PlanPath, ReportQuery, None]) -> web.Response:
    answer = call.backend.report(call.path.code, call.query.first, call.query.last)
    return call.record(found(answer, "plan", call.path.code))


async def cycles(call: Call[PlanPath, PageQuery, None]) -> web.Response:
    query = call.query
    answer = call.backend.cycles(call.path.code, cursor=query.cursor, limit=call.limit(query.limit))
    records, following = found(answer, "plan", call.path.code)
    return call.page(records, following)


async def organisations(call: Call[Nothing, Nothing, None]) -> web.Response:
    return call.page(call.backend.organisations(), "")


async def organisation(call: Call[OrganisationPath, Nothing, None]) -> web.Response:
    name = call.path.name
    return call.record(found(call.backend.organisation(name), "organisation", name))


async def worklist(call: Call[OrganisationPath, PageQuery, None]) -> web.Response:
    """What waits for this organisation, most urgent first."""
    query = call.query
    answer = call.backend.worklist(call.path.name, cursor=query.cursor, limit=call.limit(query.limit))
    records, following = found(answer, "organisation", call.path.name)
    return call.page(records, following)


async def programme(call: Call[Nothing, Nothing, None]) -> web.Response:
    return call.record(call.backend.programme())


async def evidence(call: Call[Nothing, PageQuery, None]) -> web.Response:
    records, following = call.backend.evidence(cursor=call.query.cursor, limit=call.limit(call.query.limit))
    return call.page(records, following)
