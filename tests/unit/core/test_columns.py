"""What columns are asked, beside the same asked value by value."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from tenure.core.columns import is_among

WHOLE = st.integers(-(2**63), 2**63 - 1) | st.integers(0, 5)


@given(st.lists(WHOLE, max_size=20), st.lists(WHOLE, max_size=20))
def test_is_among_is_in(values: list[int], few: list[int]) -> None:
    assert is_among(np.array(values, dtype=np.int64), few).tolist() == [value in few for value in values]
