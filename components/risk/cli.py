"""Commands of risk: run, account, halt, resume, cancel-all, check, submit, tail, replay."""

from collections.abc import Iterator
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import click
from typing_extensions import override

from components.runtime.cli import json_option, print_result, usage_error

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


@click.group(help="Pre-trade checks, approvals, account and trading state.")
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
    """Show positions, orders, P&L and trading state."""
    from components.contracts.decisions import AccountQuery, AccountSnapshot

    snapshot = _request(AccountQuery(_new_id()))
    if not isinstance(snapshot, AccountSnapshot):
        usage_error(f"risk replied with {type(snapshot).__name__}")
    facts = {name: getattr(snapshot, name) for name in snapshot.__struct_fields__ if name != "request_id"}
    facts["positions"] = {one.symbol: [one.quantity, one.average_price] for one in snapshot.positions}
    print_result(facts, as_json=as_json)


@cli.command()
@click.option("--reason", required=True, help="Reason stored in the log.")
@json_option
def halt(reason: str, *, as_json: bool) -> int:
    """Halt trading and cancel all orders.

    Unsent orders are withdrawn and working orders cancelled. Until `resume`, new orders are refused, except stops and
    orders that flatten a position.
    """
    from components.contracts.decisions import OperatorAction

    return _operate(OperatorAction.HALT, reason, as_json=as_json)


@cli.command()
@click.option("--reason", default="", help="Why it is safe to resume; without it, only list what would be cleared.")
@json_option
def resume(reason: str, *, as_json: bool) -> int:
    """Clear the latched causes; exit code 1 if they were not cleared."""
    from components.contracts.decisions import OperatorAction

    return _operate(OperatorAction.RESUME, reason, as_json=as_json)


@cli.command("cancel-all")
@click.option("--reason", default="operator request", show_default=True, help="Reason stored in the log.")
@json_option
def cancel_all(reason: str, *, as_json: bool) -> int:
    """Cancel every working order; trading continues."""
    from components.contracts.decisions import OperatorAction

    return _operate(OperatorAction.CANCEL_ALL, reason, as_json=as_json)


@cli.command()
@click.argument("file", type=click.File())
@click.option("--bid", type=DecimalNumber(), help="Best bid; without --bid and --ask there is no quote.")
@click.option("--ask", type=DecimalNumber(), help="Best ask.")
@click.option("--quote-age-ms", type=click.IntRange(min=0), default=0, show_default=True, help="Age of the quote.")
@click.option(
    "--position", type=DecimalNumber(), default="0", show_default=True, help="Quantity held; negative when short."
)
@click.option("--cause", "causes", multiple=True, help="Cause to treat as active, such as unreconciled; repeatable.")
@json_option
def check(*, file: IO[str], as_json: bool, **made_up: Any) -> int:  # noqa: ANN401 -- the options above type them
    """Check an order file against the configured limits.

    FILE is JSON (- reads stdin). No process needs to run: the options set the quote, the position and the causes.
    Exit code 1 if a check fails.
    """
    from components.risk.commands.order_file import dry_run

    checks = dry_run(file.read(), **made_up)
    allowed = all(one.passed for one in checks)
    print_result({"allowed": allowed, "checks": [_fields(one) for one in checks]}, as_json=as_json, text=_table(checks))
    return 0 if allowed else 1


@cli.command()
@click.argument("file", type=click.File())
@json_option
def submit(file: IO[str], *, as_json: bool) -> int:
    """Submit an order file to the running risk process.

    FILE is JSON (- reads stdin). The order is checked and, if every check passes, traded like any other. Each call
    creates a new id unless the file contains a signal_id; a repeated id gets the first reply again. Exit
    code 1 if the order is refused.

    Example of a file: {"symbol": "SPY", "side": "buy", "quantity": 1}
    """
    from components.contracts.decisions import ApprovalReply, ApprovalRequest
    from components.risk.commands.order_file import parse_intent, parse_json_object
    from components.runtime.clock import SystemClock

    intent = parse_intent({"signal_id": _new_id(), **parse_json_object(file.read())}, SystemClock().now_ns())
    reply = _request(ApprovalRequest(intent))
    if not isinstance(reply, ApprovalReply):
        usage_error(f"risk replied with {type(reply).__name__}: {getattr(reply, 'detail', '')}")
    facts = {"intent_id": reply.intent_id, "allowed": reply.allowed, "checks": [_fields(one) for one in reply.checks]}
    summary = f"{reply.intent_id}: {'approved' if reply.allowed else 'refused'} (record {reply.sequence} of risk's log)"
    print_result({**facts, "sequence": reply.sequence}, as_json=as_json, text=f"{summary}\n{_table(reply.checks)}")
    return 0 if reply.allowed else 1


@cli.command()
@click.option("--refused", "only_refused", is_flag=True, help="Show refused intents only.")
@click.option("--count", type=click.IntRange(min=1), help="Stop after this many.")
@json_option
def tail(count: int | None, *, only_refused: bool, as_json: bool) -> None:
    """Follow the decisions of the running risk process.

    Each line shows the order and the checks that failed.
    """
    from itertools import islice

    for sequence, decision in islice(_decisions(only_refused=only_refused), count):
        intent, failed = decision.intent, [f"{one.name} {one.observed}" for one in decision.failed_checks]
        order = f"{intent.side} {intent.quantity} {intent.symbol} at {intent.limit_price or 'market'}"
        outcome = f"refused: {'; '.join(failed)}" if failed else "approved"
        facts = {"sequence": sequence, "intent_id": intent.intent_id, "order": order, "failed_checks": failed}
        text = f"{sequence:>8}  {intent.intent_id:<32} {order:<32} {outcome}"
        print_result({**facts, "allowed": decision.allowed}, as_json=as_json, text=text)


@cli.command()
@click.argument("folder", required=False, type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.option("--verify", is_flag=True, help="Evaluate every decision again from the log alone.")
@json_option
def replay(folder: Path | None, *, verify: bool, as_json: bool) -> int:
    """Replay a decision log.

    Without FOLDER the configured account's log is replayed. With --verify, exit code 65 if a decision does not follow
    from the log before it.
    """
    from components.risk.core.checks.evaluation import audit_log

    audit = audit_log(_records(folder or _own_log()), re_evaluate_decisions=verify)
    print_result({"ok": audit.ok, "verified": verify, **_fields(audit)}, as_json=as_json)
    return 0 if audit.ok else 65


def _own_log() -> Path:
    from components.runtime.config.settings import load_settings

    folder = load_settings().paths.journal("risk")
    return folder if folder.is_dir() else usage_error(f"{folder}: no log yet; risk has not run")


def _records(folder: Path) -> "Iterator[tuple[int, DecisionMessage]]":
    from components.risk.wiring import read_log
    from components.runtime.journal.reader import read_records

    return read_log(read_records(folder))


def _decisions(*, only_refused: bool) -> "Iterator[tuple[int, Decision]]":
    from components.contracts.decisions import Decision
    from components.contracts.errors import PeerUnreachable
    from components.contracts.streams import DECISIONS
    from components.runtime.bus.bus import follow
    from components.runtime.config.settings import load_settings
    from components.runtime.process.manifest import read_manifest

    paths = load_settings().paths
    if read_manifest(paths, "risk") is None:
        raise PeerUnreachable(f"risk is not running ({paths.manifest('risk')})")
    for message in follow(paths.run, DECISIONS):
        if isinstance(message.body, Decision) and not (only_refused and message.body.allowed):
            yield message.header.sequence, message.body


def _operate(action: "OperatorAction", reason: str, *, as_json: bool) -> int:
    from components.contracts.decisions import OperatorCommand, OperatorReply
    from components.contracts.values import CommandId

    reply = _request(OperatorCommand(CommandId(_new_id()), action, reason))
    if not isinstance(reply, OperatorReply):
        usage_error(f"risk replied with {type(reply).__name__}")
    print_result({"done": reply.done, "detail": reply.detail}, as_json=as_json, text=reply.detail)
    return 0 if reply.done else 1


def _request(request: "RiskRequest") -> "RiskReply":
    from components.contracts.streams import RISK_REQUESTS
    from components.runtime.bus.bus import request_once
    from components.runtime.config.settings import load_settings

    reply: RiskReply = request_once(load_settings().paths.run, RISK_REQUESTS, request, REPLY_TIMEOUT_MS)
    return reply


def _new_id() -> str:
    from components.runtime.clock import SystemClock

    return f"op-{SystemClock().now_ns():x}"


def _fields(struct: Any) -> dict[str, Any]:  # noqa: ANN401 -- any struct
    return {name: getattr(struct, name) for name in struct.__struct_fields__}


def _table(checks: "tuple[CheckResult, ...]") -> str:
    return "\n".join(
        f"{'passes' if one.passed else 'FAILS':<8} {one.name:<16} {one.observed:<28} limit {one.limit}"
        for one in checks
    )
