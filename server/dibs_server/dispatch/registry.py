"""The rows that dispatching adds to the table of tools, and the table with them."""

from __future__ import annotations

from dibs.registry import TOOLS, Profile, Tool, offered

PACKAGE = "dibs_server.dispatch"
DISPATCH_TOOLS: tuple[Tool, ...] = (
    Tool("run_wave", "wave start", "Run wave", "coordinator", idempotent=True, package=PACKAGE),
    Tool("get_wave", "wave show", "Read wave", "coordinator", read_only=True, package=PACKAGE),
)
ALL_TOOLS = (*TOOLS, *DISPATCH_TOOLS)


def tools_of(profile: Profile) -> tuple[Tool, ...]:
    """The tools a server of this profile offers."""
    return offered(ALL_TOOLS, profile)
