"""The door itself: lists the table's tools, runs them on threads, gives errors back as results, renews claims.

Everything of ``dibs`` is imported at the first tool request, so that ``initialize`` is answered before.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import anyio
from anyio.lowlevel import checkpoint_if_cancelled
from anyio.to_thread import run_sync
from mcp import types
from mcp.server import Server, ServerRequestContext

from dibs import __version__
from dibs_server.mcp_server.answer_text import as_text, error_text
from dibs_server.mcp_server.instructions import INSTRUCTIONS

if TYPE_CHECKING:
    from dibs.registry import Profile, Tool
    from dibs.session import Session

logger = logging.getLogger(__name__)
RENEW_SECONDS_WITHOUT_SETTINGS = 40.0
LOOKS_TOGETHER = 8


class Door:
    """One server process: one session on one tasks directory, found at the first call that needs it."""

    def __init__(self, find: Callable[[], Path], profile: Profile | None = None) -> None:
        self._find = find
        self._profile = profile
        self._session: Session | None = None
        self._opening = anyio.Lock()
        self._opened = anyio.Event()
        self._waiting = 0

    def server(self) -> Server[None]:
        return Server(
            "dibs",
            version=__version__,
            title="Dibs",
            instructions=INSTRUCTIONS,
            lifespan=self._lifespan,
            on_list_tools=self._list_tools,
            on_call_tool=self._call_tool,
            on_list_prompts=_list_prompts,
            on_get_prompt=_get_prompt,
        )

    def log_folder(self) -> Path | None:
        return None if self._session is None else self._session.store.ledger.folder / "log"

    @asynccontextmanager
    async def _lifespan(self, _: Server[None]) -> AsyncIterator[None]:
        async with anyio.create_task_group() as background:
            background.start_soon(self._renew_for_ever)
            yield
            background.cancel_scope.cancel()

    async def _renew_for_ever(self) -> None:
        await self._opened.wait()
        while self._session is not None:
            await anyio.sleep(_renew_seconds(self._session))
            if not (self._session.held() or self._session.left()):
                continue
            from dibs.renewing import renew_claims

            try:
                await run_sync(renew_claims, self._session)
            except Exception:
                logger.exception("claims could not be renewed")

    async def _list_tools(
        self, ctx: ServerRequestContext[None], params: types.PaginatedRequestParams | None
    ) -> types.ListToolsResult:
        return types.ListToolsResult(tools=[_described(tool) for tool in await self._tools()])

    async def _tools(self) -> tuple[Tool, ...]:
        from dibs_server.dispatch.registry import tools_of

        tools = tools_of(await self._profile_now())
        for tool in tools:
            tool.load()
        return tools

    async def _profile_now(self) -> Literal["worker", "coordinator"]:
        from dibs.store.errors import DibsError

        if self._profile is not None:
            return "coordinator" if self._profile == "coordinator" else "worker"
        try:
            return (await self._open("")).store.settings.profile
        except DibsError:
            return "worker"  # what is wrong is said by the first call

    async def _open(self, client: str) -> Session:
        """The session. Raises SettingsError where there is no tasks directory; looked for again at the next call."""
        from dibs.given_claim import given_claim
        from dibs.session import Session
        from dibs.store.settings import claim_file
        from dibs.store.task_store import TaskStore

        async with self._opening:
            if self._session is None:
                self._session = Session(
                    TaskStore(await run_sync(self._find)), server=True, given=given_claim(claim_file())
                )
                self._opened.set()
            if client:
                self._session.client = client
            return self._session

    async def _call_tool(
        self, ctx: ServerRequestContext[None], params: types.CallToolRequestParams
    ) -> types.CallToolResult:
        from dibs.store.errors import DibsError

        try:
            return await self._answer(ctx, params)
        except DibsError as error:
            return _error(error.to_json())
        except Exception as exc:
            logger.exception("a call of %s ended in an error of Dibs itself", params.name)
            told = f"Dibs failed in {params.name} ({type(exc).__name__}); look at the task before you call again"
            return _error({"code": "io", "message": told, "task_id": ""})

    async def _answer(
        self, ctx: ServerRequestContext[None], params: types.CallToolRequestParams
    ) -> types.CallToolResult:
        from dibs.arguments import read_arguments, told_name
        from dibs.store.errors import InvalidArguments

        tools = {tool.name: tool for tool in await self._tools()}
        tool = tools.get(params.name)
        if tool is None:
            raise InvalidArguments(f"there is no tool {told_name(params.name)}; there are {', '.join(tools)}")
        request, warnings = read_arguments(tool, params.arguments or {})
        info = ctx.session.client_params.client_info.name if ctx.session.client_params else ""
        session = await self._open(info)
        started = anyio.current_time()
        while True:
            result = await _run(tool, session, request)
            pause = tool.pause(request, result, anyio.current_time() - started)
            if pause is None:
                break
            if (progress := tool.progress(result)) is not None:
                await ctx.session.report_progress(*progress)
            together = pause * max(1, self._waiting / LOOKS_TOGETHER)
            still_waits = tool.pause(request, result, anyio.current_time() - started + together) is not None
            await self._rest(together if still_waits else pause)
        answer = result.model_dump(mode="json")
        answer["warnings"] += warnings
        return types.CallToolResult(
            content=[types.TextContent(type="text", text=as_text(answer))], structured_content=answer
        )

    async def _rest(self, seconds: float) -> None:
        """Sleep until a waiting call looks again; many together look no more often than a few would, in turn."""
        self._waiting += 1
        try:
            await anyio.sleep(seconds)
        finally:
            self._waiting -= 1


async def _list_prompts(
    ctx: ServerRequestContext[None], params: types.PaginatedRequestParams | None
) -> types.ListPromptsResult:
    from dibs_server.mcp_server.prompts import listed_prompts

    return listed_prompts()


async def _get_prompt(ctx: ServerRequestContext[None], params: types.GetPromptRequestParams) -> types.GetPromptResult:
    from dibs_server.mcp_server.prompts import filled_prompt

    return filled_prompt(params.name, params.arguments or {})


def _renew_seconds(session: Session) -> float:
    from dibs.store.errors import DibsError

    try:
        return session.store.settings.claims.renew_seconds
    except DibsError:
        return RENEW_SECONDS_WITHOUT_SETTINGS


async def _run(tool: Tool, session: Session, request: Any) -> Any:
    """Run a verb on a thread. When the client gives up, whatever the verb did is taken back, here or there."""
    from dibs.session import Call

    call = Call()
    try:
        result = await run_sync(partial(tool.run, session, request, call), abandon_on_cancel=True)
        # the client may have given up after the thread was through and before this task woke
        await checkpoint_if_cancelled()
        return result
    except anyio.get_cancelled_exc_class():
        undo = call.cancel()
        if undo is not None:
            with anyio.CancelScope(shield=True):
                await run_sync(undo)
        raise


def _error(error: dict[str, Any]) -> types.CallToolResult:
    return types.CallToolResult(
        is_error=True, content=[types.TextContent(type="text", text=error_text(error))], structured_content=error
    )


@cache
def _described(tool: Tool) -> types.Tool:
    from dibs.arguments import input_schema, output_schema

    return types.Tool(
        name=tool.name,
        description=tool.description,
        input_schema=input_schema(tool),
        output_schema=output_schema(tool),
        annotations=types.ToolAnnotations(
            title=tool.title,
            read_only_hint=tool.read_only,
            destructive_hint=tool.destructive,
            idempotent_hint=tool.idempotent,
            open_world_hint=False,
        ),
    )
