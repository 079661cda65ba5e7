"""What the commands of the shell explain."""

from __future__ import annotations

TEXTS: dict[str, str] = {
    "shell.example": "Example",
    "shell.exit_codes": "Exit codes",
    "shell.exit_0": "It is done.",
    "shell.exit_1": "It is refused, nothing was found, or something has to be put right.",
    "shell.exit_2": "An option is wrong or missing.",
    "shell.database": "The database says: {error}. `flask scim check` says what may be the matter.",
    # explain
    "explain.tree": "Filter",
    "explain.sql": "SQL",
    "explain.values": "Values",
    "explain.plan": "The database's plan",
    "explain.nothing": "Reads nothing: no row can satisfy this.",
    "explain.found": "Uses the index {index}.",
    "explain.found_small": "Uses the index {index} as soon as it is worth it: {table} is still so "
    "small that the database does without.",
    "explain.range": "Reads a part of the index {index}.",
    "explain.range_small": "Reads a part of the index {index} as soon as it is worth it: {table} "
    "is still so small that the database does without.",
    "explain.account": "Reads the whole account: the index {index} finds only whose rows they are.",
    "explain.table": "Reads the whole table {table}, the rows of all accounts.",
    "explain.cure_index": "Add to {model}:",
    "explain.cure_hybrid": "    an index that begins with {account} and goes on with the SQL "
    "expression of the hybrid {attribute}",
    "explain.cure_none": "No index helps: only eq, gt, ge, lt and le on what is kept find rows by "
    "one. Microsoft Entra asks with eq.",
    "explain.cure_split": "Each part has its index, but the database does not join them: ask for "
    "each part by itself.",
    "explain.cure_related": "No index helps: memberships are looked up for each row of the "
    "account. Microsoft Entra reads a group, or names its id as well.",
    "explain.unknown_database": "The plans of {name} are not understood here, only those of "
    "SQLite and PostgreSQL.",
}
