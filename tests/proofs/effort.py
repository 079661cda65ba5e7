"""How hard the proofs try.

A plain run takes the same examples every time, so that it fails for the change that was made
and not for its luck. ``TEST_EFFORT=50 pytest tests/proofs`` tries fifty times as many, new
ones in every run; ``--hypothesis-seed`` takes those of an earlier one again.
"""

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings

TIMES = int(os.environ.get("TEST_EFFORT", "1"))


def examples(number: int, **options: int) -> settings:
    """So many examples, or as many times more as the environment asks for.

    Nothing here is a matter of time. The host is made once for a test and not once for an
    example: whoever writes to it, cleans up first.
    """
    return settings(
        max_examples=number * TIMES,
        deadline=None,
        derandomize=TIMES == 1,
        database=None,
        suppress_health_check=[
            HealthCheck.function_scoped_fixture,
            HealthCheck.too_slow,
            HealthCheck.data_too_large,
        ],
        **options,
    )
