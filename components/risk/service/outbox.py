"""Approvals and controls that execution has not yet acknowledged."""

from collections.abc import Callable, Iterable
from functools import partial
from typing import TypeAlias

from msgspec import Struct

from components.contracts.approval import SealKey, approve, encode_approval, seal_control
from components.contracts.commands import Cancel, Control
from components.contracts.errors import InvariantError
from components.contracts.signals import ApprovalTerms, propose
from components.contracts.values import CommandId, IntentId
from components.risk.core.account_state import LiveOrder, RiskState
from components.risk.core.halts import permits
from components.risk.core.limits import Timing
from components.runtime.clock import NS_PER_MS

ControlFactory: TypeAlias = Callable[[CommandId], Control]


class PendingControl(Struct, gc=False):
    """A control that is not yet acknowledged, and when it was last sent."""

    control: Control
    sent_at_ns: int


class Outbox:
    """Seals approvals and controls and schedules their retries.

    A restart loses controls and retry times, but no approval: approvals are in the log. A control is stored under its
    subject; a newer control on the same subject replaces the older one.
    """

    def __init__(self, key: SealKey, timing: Timing) -> None:
        self._key, self._timing = key, timing
        self._retry_ns = timing.command_retry_ms * NS_PER_MS
        self._control_count = 0
        self._controls: dict[str, PendingControl] = {}
        self._sent_at_ns: dict[IntentId, int] = {}
        self._cancel_sent_at_ns: dict[str, int] = {}

    def seal_approval(self, order: LiveOrder, now_ns: int) -> bytes:
        """Return the sealed frame of an approval; the same terms give the same bytes, also after a restart."""
        if order.intent is None or order.terms is None:
            raise InvariantError("an order without an approval has no frame")
        self._sent_at_ns[order.intent.intent_id] = now_ns
        return encode_approval(approve(propose(order.intent), order.terms, self._key))

    def add_control(self, subject: str, make: ControlFactory, state: RiskState, now_ns: int) -> bytes:
        """Return the sealed frame of a new control and keep it until it is acknowledged.

        Its id is never used again, because it contains the sequence of this start's record in the log.
        """
        self._control_count += 1
        control = make(CommandId(f"c-{state.journal_id[:8]}-{state.started_sequence}-{self._control_count}"))
        self._controls[subject] = PendingControl(control, now_ns)
        return seal_control(control, self._control_terms(state, now_ns), self._key)

    def acknowledge(self, command_id: CommandId) -> None:
        """Remove a control that was accepted or rejected for good."""
        for subject, pending in self._controls.items():
            if pending.control.command_id == command_id:
                del self._controls[subject]
                return

    def retry_now(self) -> None:
        """Make every approval due at the next tick, because execution is reachable again."""
        self._sent_at_ns.clear()

    def due_frames(self, state: RiskState, now_ns: int) -> list[bytes]:
        """Return the frames that are due: controls, approvals, and cancels of orders that have worked too long."""
        controls = self._controls_due(self._control_terms(state, now_ns))
        waiting = {one.intent.intent_id for one in state.outbox if one.intent is not None}
        self._sent_at_ns = {one: at_ns for one, at_ns in self._sent_at_ns.items() if one in waiting}
        approvals = [
            self.seal_approval(one, now_ns) for one in approvals_to_send(state, now_ns) if self._is_due(one, now_ns)
        ]
        return [*controls, *approvals, *self._cancels_due(state, now_ns)]

    def _is_due(self, order: LiveOrder, now_ns: int) -> bool:
        sent_at_ns = self._sent_at_ns.get(order.intent.intent_id) if order.intent is not None else None
        return sent_at_ns is None or now_ns - sent_at_ns >= self._retry_ns

    def _controls_due(self, terms: ApprovalTerms) -> Iterable[bytes]:
        """Seal each due control again: the same command under terms that have not expired."""
        for pending in self._controls.values():
            if terms.approved_at_ns - pending.sent_at_ns >= self._retry_ns:
                pending.sent_at_ns = terms.approved_at_ns
                yield seal_control(pending.control, terms, self._key)

    def _cancels_due(self, state: RiskState, now_ns: int) -> list[bytes]:
        oldest_ns, again_ns = self._timing.order_age_ms_max * NS_PER_MS, self._timing.cancel_retry_ms * NS_PER_MS
        aged = {name: one for name, one in state.orders.items() if one.is_own_working_before(now_ns - oldest_ns)}
        self._cancel_sent_at_ns = {name: at_ns for name, at_ns in self._cancel_sent_at_ns.items() if name in aged}
        due = [name for name in aged if now_ns - self._cancel_sent_at_ns.get(name, now_ns - again_ns) >= again_ns]
        self._cancel_sent_at_ns |= dict.fromkeys(due, now_ns)
        return [self._cancel(aged[name], state, now_ns) for name in due]

    def _cancel(self, order: LiveOrder, state: RiskState, now_ns: int) -> bytes:
        if order.client_order_id is None:
            raise InvariantError("a working order must have a client order id")
        reason = f"working for more than {self._timing.order_age_ms_max} ms"
        cancel = partial(Cancel, client_order_id=order.client_order_id, reason=reason)
        return self.add_control(f"cancel {order.client_order_id}", cancel, state, now_ns)

    def _control_terms(self, state: RiskState, now_ns: int) -> ApprovalTerms:
        if state.limits is None:
            raise InvariantError("nothing can be sent before the first record of the log")
        expires_at_ns = now_ns + self._timing.approval_ttl_ms * NS_PER_MS
        return ApprovalTerms(state.account, state.limits.version, state.last_sequence, now_ns, expires_at_ns)


def approvals_to_send(state: RiskState, now_ns: int) -> list[LiveOrder]:
    """Return the approvals that should be sent to execution now.

    An approval that is no longer permitted is held back until it has expired; then it is sent, so that execution
    reports the order as never sent.
    """
    trading_state, causes = state.trading_state, state.causes
    return [
        one
        for one in state.outbox
        if one.intent is not None
        and one.terms is not None
        and (now_ns >= one.terms.expires_at_ns or permits(trading_state, one.intent.purpose, causes))
    ]
