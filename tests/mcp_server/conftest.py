"""Fixtures of the MCP door's tests: both eras of the protocol, on asyncio."""

from __future__ import annotations

import pytest

from doors import ERAS


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(params=ERAS)
def era(request: pytest.FixtureRequest) -> str:
    return str(request.param)
