"""The verbs of risk: run it, ask it, stop it, and look over its shoulder."""

from collections.abc import Iterator
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import click
from typing_extensions import override

from components.runtime.cli import answer, json_option, refuse_usage

if TYPE_CHECKING:
    from components.contracts.decisions import Action, Checked, Decision, DecisionMessage, JudgeReply, JudgeRequest

ANSWER_MS_MAX = 2_000


class Number(click.ParamType[Decimal]):
    """A decimal number, exactly as it was typed."""

    name = "number"

    @override
    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Decimal:
        """Read it without a detour over binary fractions."""
        try:
            number = Decimal(value)
        except InvalidOperation:
            self.fail(f"{value!r} is not a number", param, ctx)
        return number if number.is_finite() else self.fail(f"{value!r} is not a number", param, ctx)


@click.group(help="The only gate between a wish and an order.")
def cli() -> None:
    """Group the verbs."""


@cli.command()
def run() -> None:
    """Serve until SIGTERM."""
    from components.risk.wiring import risk
    from components.runtime.process import running

    with running("risk") as process:
        risk(process)


@cli.command()
@json_option
def account(*, as_json: bool) -> None:
    """Show positions, orders, result and trading state as risk sees them."""
    from components.contracts.decisions import Account, ShowAccount

    found = _ask(ShowAccount(_new_id()))
    if not isinstance(found, Account):
        refuse_usage(f"risk answered with {type(found).__name__}")
    facts = {name: getattr(found, name) for name in found.__struct_fields__ if name != "request_id"}
    facts["holdings"] = {one.symbol: [one.quantity, one.average_price] for one in found.holdings}
    answer(facts, as_json=as_json)


@cli.command()
@click.option("--reason", required=True, help="What the log will say.")
@json_option
def halt(reason: str, *, as_json: bool) -> int:
    """Stop everything: no new orders, what is unsent is withdrawn, what works is cancelled."""
    from components.contracts.decisions import Action

    return _operate(Action.HALT, reason, as_json=as_json)


@cli.command()
@click.option("--reason", default="", help="Why it is safe; without it, only what would be cleared is shown.")
@json_option
def resume(reason: str, *, as_json: bool) -> int:
    """Clear what is latched, once the evidence is good; exit 1 where it was not cleared."""
    from components.contracts.decisions import Action

    return _operate(Action.RESUME, reason, as_json=as_json)


@cli.command("cancel-all")
@click.option("--reason", default="the operator asked", show_default=True, help="What the log will say.")
@json_option
def cancel_all(reason: str, *, as_json: bool) -> int:
    """Cancel every working order; trading goes on."""
    from components.contracts.decisions import Action

    return _operate(Action.CANCEL_ALL, reason, as_json=as_json)


@cli.command()
@click.argument("file", type=click.File())
@click.option("--bid", type=Number(), help="Without bid and ask there is no quote.")
@click.option("--ask", type=Number())
@click.option("--quote-age-ms", type=click.IntRange(min=0), default=0, show_default=True)
@click.option("--position", type=Number(), default="0", show_default=True, help="What is held; negative when short.")
@click.option("--cause", "causes", multiple=True, help="A cause that is present, as unreconciled; may be repeated.")
@json_option
def check(*, file: IO[str], as_json: bool, **made_up: Any) -> int:  # noqa: ANN401 -- the options above type them
    """Judge an intent from a JSON file (- reads it here) by the configured limits; exit 1 where it is refused.

    Nothing needs to run: the quote, the position and the causes are made up by the options.
    """
    checked = _judged(file.read(), **made_up)
    allowed = all(one.holds for one in checked)
    answer({"allowed": allowed, "checked": [_row(one) for one in checked]}, as_json=as_json, text=_table(checked))
    return 0 if allowed else 1


@cli.command()
@click.argument("file", type=click.File())
@json_option
def submit(file: IO[str], *, as_json: bool) -> int:
    """Hand an intent from a JSON file (- reads it here) to the running risk; exit 1 where it is refused.

    It is judged and, where every check holds, traded like any other: {"symbol": "SPY", "side": "buy", "quantity": 1}.
    Its id is new each time, unless the file gives a signal_id: the same id again gets the same answer.
    """
    from components.contracts.decisions import Judge, Verdict
    from components.risk.core.handmade import intent_of
    from components.runtime.clock import SystemClock

    intent = intent_of({"signal_id": _new_id(), **_written(file.read())}, SystemClock().now_ns())
    told = _ask(Judge(intent))
    if not isinstance(told, Verdict):
        refuse_usage(f"risk answered with {type(told).__name__}: {getattr(told, 'detail', '')}")
    facts = {"intent_id": told.intent_id, "allowed": told.allowed, "checked": [_row(one) for one in told.checked]}
    head = f"{told.intent_id}: {'approved' if told.allowed else 'refused'} (record {told.sequence} of risk's log)"
    answer({**facts, "sequence": told.sequence}, as_json=as_json, text=f"{head}\n{_table(told.checked)}")
    return 0 if told.allowed else 1


@cli.command()
@click.option("--refused", "only_refused", is_flag=True, help="Only what was refused.")
@click.option("--count", type=click.IntRange(min=1), help="Stop after so many.")
@json_option
def tail(count: int | None, *, only_refused: bool, as_json: bool) -> None:
    """Follow the verdicts of a running risk, each with the reasons against it."""
    from itertools import islice

    for sequence, decision in islice(_verdicts(only_refused=only_refused), count):
        intent, against = decision.intent, [f"{one.code} {one.observed}" for one in decision.refusals]
        wish = f"{intent.side} {intent.quantity} {intent.symbol} at {intent.limit_price or 'market'}"
        verdict = f"refused: {'; '.join(against)}" if against else "approved"
        facts = {"sequence": sequence, "intent_id": intent.intent_id, "wish": wish, "refusals": against}
        text = f"{sequence:>8}  {intent.intent_id:<32} {wish:<32} {verdict}"
        answer({**facts, "allowed": decision.allowed}, as_json=as_json, text=text)


@cli.command()
@click.argument("folder", required=False, type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.option("--verify", is_flag=True, help="Judge every decision again, from the log alone.")
@json_option
def replay(folder: Path | None, *, verify: bool, as_json: bool) -> int:
    """Fold a log (the account's own, or a FOLDER's) into a state; exit 65 where a decision does not follow from it."""
    from components.risk.core.audit import audit

    found = audit(_records(folder or _own_log()), judge_again=verify)
    answer({"ok": found.ok, "verified": verify, **_row(found)}, as_json=as_json)
    return 0 if found.ok else 65


def _own_log() -> Path:
    from components.runtime.config import load

    folder = load().places.journal("risk")
    return folder if folder.is_dir() else refuse_usage(f"{folder}: no log yet; risk has not run")


def _records(folder: Path) -> "Iterator[tuple[int, DecisionMessage]]":
    from components.risk.wiring import read_log
    from components.runtime import journal

    return read_log(journal.read(folder))


def _judged(text: str, *, causes: tuple[str, ...], position: Decimal, **quote: Any) -> "tuple[Checked, ...]":  # noqa: ANN401
    from components.contracts.market import BookState
    from components.contracts.trading import Cause
    from components.risk.config import RiskConfig
    from components.risk.core.handmade import facts_of, intent_of, state_of
    from components.risk.core.judge import judge
    from components.runtime.clock import SystemClock
    from components.runtime.config import load

    written = _written(text)
    try:
        present = tuple(Cause(one) for one in causes)
    except ValueError as error:
        refuse_usage(str(error))
    limits = load({"risk": RiskConfig}).table("risk", RiskConfig).limits
    now_ns = SystemClock().now_ns()
    intent = intent_of(written, now_ns)
    facts = facts_of(**quote, book=BookState.SYNCED, causes=present, now_ns=now_ns)
    return judge(intent, facts, limits, state_of(limits, intent.symbol, position))


def _written(text: str) -> dict[str, Any]:
    import json

    try:
        written = json.loads(text, parse_float=Decimal)
    except ValueError as error:
        refuse_usage(f"an intent is a JSON object: {error}")
    if not isinstance(written, dict):
        refuse_usage("an intent is a JSON object")
    return written


def _verdicts(*, only_refused: bool) -> "Iterator[tuple[int, Decision]]":
    from components.contracts.decisions import Decision
    from components.contracts.errors import PeerUnreachable
    from components.contracts.topics import DECISIONS
    from components.runtime.bus import tail as follow
    from components.runtime.config import load
    from components.runtime.manifest import read_manifest

    places = load().places
    if read_manifest(places, "risk") is None:
        raise PeerUnreachable(f"risk is not running ({places.manifest('risk')})")
    for heard in follow(places.run, DECISIONS):
        if isinstance(heard.body, Decision) and not (only_refused and heard.body.allowed):
            yield heard.header.sequence, heard.body


def _operate(action: "Action", reason: str, *, as_json: bool) -> int:
    from components.contracts.decisions import Operate, Operated
    from components.contracts.values import CommandId

    told = _ask(Operate(CommandId(_new_id()), action, reason))
    if not isinstance(told, Operated):
        refuse_usage(f"risk answered with {type(told).__name__}")
    answer({"done": told.done, "detail": told.detail}, as_json=as_json, text=told.detail)
    return 0 if told.done else 1


def _ask(request: "JudgeRequest") -> "JudgeReply":
    from components.contracts.topics import JUDGE
    from components.runtime.bus import ask
    from components.runtime.config import load

    reply: JudgeReply = ask(load().places.run, JUDGE, request, ANSWER_MS_MAX)
    return reply


def _new_id() -> str:
    from components.runtime.clock import SystemClock

    return f"op-{SystemClock().now_ns():x}"


def _row(found: Any) -> dict[str, Any]:  # noqa: ANN401 -- any struct
    return {name: getattr(found, name) for name in found.__struct_fields__}


def _table(checked: "tuple[Checked, ...]") -> str:
    return "\n".join(
        f"{'holds' if one.holds else 'REFUSES':<8} {one.code:<16} {one.observed:<28} limit {one.limit}"
        for one in checked
    )
