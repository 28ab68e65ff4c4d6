"""Statements: every governance fact as one DSSE envelope. Start with `envelope`.

`payloads` says what all statements have in common, `decisions` what people sign, `run_statements`,
`result_statements` and `registers` what sites sign, `signatures` and `keys` how. All of it is pure.
"""
