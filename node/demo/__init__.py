"""`weal demo`: four organisations, real node processes, a file of FHIR patients, and a claim's whole life in a minute.

`run` tells the story and checks at the end that all of it held; `desk` is the claims desk of one organisation;
`screen` shows it live or line by line; `outcome` collects the figures and the checks.
"""
