"""Commands of risk: run, account, halt, resume, cancel-all, check, submit, tail, replay."""

from collections.abc import Iterator
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import click
from typing_extensions import override

from components.runtime.cli import json_option, print_result, usage_error
from components.runtime.journal import reader

if TYPE_CHECKING:
    from components.contracts.decisions import (
        CheckResult,
        Decision,
        DecisionMessage,
        OperatorAction,
        RiskReply,
        RiskRequest,
    )

REPLY_TIMEOUT_MS = 2_000


class DecimalNumber(click.ParamType[Decimal]):
    """A decimal option, parsed exactly as typed."""

    name = "number"

    @override
    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Decimal:
        """Parse the text as Decimal, never through a float."""
        try:
            number = Decimal(value)
        except InvalidOperation:
            self.fail(f"{value!r} is not a number", param, ctx)
        return number if number.is_finite() else self.fail(f"{value!r} is not a number", param, ctx)


@click.group(help="The only gate between a wish and an order.")
def cli() -> None:
    """Group the commands."""


@cli.command()
def run() -> None:
    """Serve until SIGTERM."""
    from components.risk.wiring import risk
    from components.runtime.process.process import run_process

    with run_process("risk") as process:
        risk(process)


@cli.command()
@json_option
def account(*, as_json: bool) -> None:
    """Show positions, orders, P&L and trading state of the running risk process."""
    from components.contracts.decisions import AccountQuery, AccountSnapshot

    found = _request(AccountQuery(_new_id()))
    if not isinstance(found, AccountSnapshot):
        usage_error(f"risk answered with {type(found).__name__}")
    facts = {name: getattr(found, name) for name in found.__struct_fields__ if name != "request_id"}
    facts["holdings"] = {one.symbol: [one.quantity, one.average_price] for one in found.positions}
    print_result(facts, as_json=as_json)


@cli.command()
@click.option("--reason", required=True, help="What the log will say.")
@json_option
def halt(reason: str, *, as_json: bool) -> int:
    """Halt trading: refuse new orders, withdraw unsent orders, cancel working orders."""
    from components.contracts.decisions import OperatorAction

    return _operate(OperatorAction.HALT, reason, as_json=as_json)


@cli.command()
@click.option("--reason", default="", help="Why it is safe; without it, only what would be cleared is shown.")
@json_option
def resume(reason: str, *, as_json: bool) -> int:
    """Clear the latched causes; exit 1 if a cause still blocks it."""
    from components.contracts.decisions import OperatorAction

    return _operate(OperatorAction.RESUME, reason, as_json=as_json)


@cli.command("cancel-all")
@click.option("--reason", default="the operator asked", show_default=True, help="What the log will say.")
@json_option
def cancel_all(reason: str, *, as_json: bool) -> int:
    """Cancel every working order; trading continues."""
    from components.contracts.decisions import OperatorAction

    return _operate(OperatorAction.CANCEL_ALL, reason, as_json=as_json)


@cli.command()
@click.argument("file", type=click.File())
@click.option("--bid", type=DecimalNumber(), help="Without bid and ask there is no quote.")
@click.option("--ask", type=DecimalNumber())
@click.option("--quote-age-ms", type=click.IntRange(min=0), default=0, show_default=True)
@click.option(
    "--position", type=DecimalNumber(), default="0", show_default=True, help="What is held; negative when short."
)
@click.option("--cause", "causes", multiple=True, help="A cause that is present, as unreconciled; may be repeated.")
@json_option
def check(*, file: IO[str], as_json: bool, **made_up: Any) -> int:  # noqa: ANN401 -- the options above type them
    """Check an order from a JSON file (- reads stdin) against the configured limits; exit 1 if it is refused.

    No process needs to run: the options set the quote, the position and the causes.
    """
    checked = _evaluate(file.read(), **made_up)
    allowed = all(one.passed for one in checked)
    print_result(
        {"allowed": allowed, "checked": [_fields(one) for one in checked]}, as_json=as_json, text=_table(checked)
    )
    return 0 if allowed else 1


@cli.command()
@click.argument("file", type=click.File())
@json_option
def submit(file: IO[str], *, as_json: bool) -> int:
    """Submit an order from a JSON file (- reads stdin) to the running risk process; exit 1 if it is refused.

    The order is checked and, if every check passes, traded like any other: {"symbol": "SPY", "side": "buy", "quantity":
    1}. Its id is new on each call unless the file contains a signal_id: the same id gets the same reply again.
    """
    from components.contracts.decisions import ApprovalReply, ApprovalRequest
    from components.risk.commands.order_file import parse_intent
    from components.runtime.clock import SystemClock

    intent = parse_intent({"signal_id": _new_id(), **_parse_json_object(file.read())}, SystemClock().now_ns())
    told = _request(ApprovalRequest(intent))
    if not isinstance(told, ApprovalReply):
        usage_error(f"risk answered with {type(told).__name__}: {getattr(told, 'detail', '')}")
    facts = {"intent_id": told.intent_id, "allowed": told.allowed, "checked": [_fields(one) for one in told.checks]}
    head = f"{told.intent_id}: {'approved' if told.allowed else 'refused'} (record {told.sequence} of risk's log)"
    print_result({**facts, "sequence": told.sequence}, as_json=as_json, text=f"{head}\n{_table(told.checks)}")
    return 0 if told.allowed else 1


@cli.command()
@click.option("--refused", "only_refused", is_flag=True, help="Only what was refused.")
@click.option("--count", type=click.IntRange(min=1), help="Stop after so many.")
@json_option
def tail(count: int | None, *, only_refused: bool, as_json: bool) -> None:
    """Follow the decisions of the running risk process, each with its failed checks."""
    from itertools import islice

    for sequence, decision in islice(_decisions(only_refused=only_refused), count):
        intent, against = decision.intent, [f"{one.name} {one.observed}" for one in decision.failed_checks]
        wish = f"{intent.side} {intent.quantity} {intent.symbol} at {intent.limit_price or 'market'}"
        verdict = f"refused: {'; '.join(against)}" if against else "approved"
        facts = {"sequence": sequence, "intent_id": intent.intent_id, "wish": wish, "refusals": against}
        text = f"{sequence:>8}  {intent.intent_id:<32} {wish:<32} {verdict}"
        print_result({**facts, "allowed": decision.allowed}, as_json=as_json, text=text)


@cli.command()
@click.argument("folder", required=False, type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.option("--verify", is_flag=True, help="Judge every decision again, from the log alone.")
@json_option
def replay(folder: Path | None, *, verify: bool, as_json: bool) -> int:
    """Replay a log (the account's own, or that of FOLDER); exit 65 if a decision does not follow from it."""
    from components.risk.core.checks.evaluation import audit_log

    found = audit_log(_records(folder or _own_log()), re_evaluate_decisions=verify)
    print_result({"ok": found.ok, "verified": verify, **_fields(found)}, as_json=as_json)
    return 0 if found.ok else 65


def _own_log() -> Path:
    from components.runtime.config.settings import load_settings

    folder = load_settings().paths.journal("risk")
    return folder if folder.is_dir() else usage_error(f"{folder}: no log yet; risk has not run")


def _records(folder: Path) -> "Iterator[tuple[int, DecisionMessage]]":
    from components.risk.wiring import read_log

    return read_log(reader.read_records(folder))


def _evaluate(text: str, *, causes: tuple[str, ...], position: Decimal, **quote: Any) -> "tuple[CheckResult, ...]":  # noqa: ANN401
    from components.contracts.market import BookState
    from components.contracts.trading import Cause
    from components.risk.commands.order_file import made_up_inputs, made_up_state, parse_intent
    from components.risk.config import RiskConfig
    from components.risk.core.checks.evaluation import evaluate
    from components.runtime.clock import SystemClock
    from components.runtime.config.settings import load_settings

    written = _parse_json_object(text)
    try:
        present = tuple(Cause(one) for one in causes)
    except ValueError as error:
        usage_error(str(error))
    limits = load_settings({"risk": RiskConfig}).table("risk", RiskConfig).limits
    now_ns = SystemClock().now_ns()
    intent = parse_intent(written, now_ns)
    facts = made_up_inputs(**quote, book=BookState.SYNCED, causes=present, now_ns=now_ns)
    return evaluate(intent, facts, limits, made_up_state(limits, intent.symbol, position))


def _parse_json_object(text: str) -> dict[str, Any]:
    import json

    try:
        written = json.loads(text, parse_float=Decimal)
    except ValueError as error:
        usage_error(f"an intent is a JSON object: {error}")
    if not isinstance(written, dict):
        usage_error("an intent is a JSON object")
    return written


def _decisions(*, only_refused: bool) -> "Iterator[tuple[int, Decision]]":
    from components.contracts.decisions import Decision
    from components.contracts.errors import PeerUnreachable
    from components.contracts.streams import DECISIONS
    from components.runtime.bus.bus import follow
    from components.runtime.config.settings import load_settings
    from components.runtime.process.manifest import read_manifest

    places = load_settings().paths
    if read_manifest(places, "risk") is None:
        raise PeerUnreachable(f"risk is not running ({places.manifest('risk')})")
    for heard in follow(places.run, DECISIONS):
        if isinstance(heard.body, Decision) and not (only_refused and heard.body.allowed):
            yield heard.header.sequence, heard.body


def _operate(action: "OperatorAction", reason: str, *, as_json: bool) -> int:
    from components.contracts.decisions import OperatorCommand, OperatorReply
    from components.contracts.values import CommandId

    told = _request(OperatorCommand(CommandId(_new_id()), action, reason))
    if not isinstance(told, OperatorReply):
        usage_error(f"risk answered with {type(told).__name__}")
    print_result({"done": told.done, "detail": told.detail}, as_json=as_json, text=told.detail)
    return 0 if told.done else 1


def _request(request: "RiskRequest") -> "RiskReply":
    from components.contracts.streams import RISK_REQUESTS
    from components.runtime.bus.bus import request_once
    from components.runtime.config.settings import load_settings

    reply: RiskReply = request_once(load_settings().paths.run, RISK_REQUESTS, request, REPLY_TIMEOUT_MS)
    return reply


def _new_id() -> str:
    from components.runtime.clock import SystemClock

    return f"op-{SystemClock().now_ns():x}"


def _fields(found: Any) -> dict[str, Any]:  # noqa: ANN401 -- any struct
    return {name: getattr(found, name) for name in found.__struct_fields__}


def _table(checked: "tuple[CheckResult, ...]") -> str:
    return "\n".join(
        f"{'holds' if one.passed else 'REFUSES':<8} {one.name:<16} {one.observed:<28} limit {one.limit}"
        for one in checked
    )
