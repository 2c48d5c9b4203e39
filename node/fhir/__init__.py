"""HL7 FHIR R4 in and out. In: Patient, Coverage, Condition and Claim resources become members and claims of a plan.

`split` cuts a stream into resources, `resources` reads the fields that matter, `mapping` turns clinical
codes into listed ailments, `spool` holds everything in a temporary database so that order and size of the
input do not matter, `judge` decides about every resource, `families` says who pays for whom, and `report`
accounts for each of them. Nothing here talks to a node: `importer` gives members and claims, the command
line submits them.

Out: `export` makes a ClaimResponse or an ExplanationOfBenefit of any claim, `outcomes` is its table of statuses.
"""
