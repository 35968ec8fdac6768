"""Choosing a policy, and counting what nothing else in the store remembers of it.

What a policy started is known from attempts; what was rejected and how often somebody had to be told to wait is counted with the
choice, in the transaction in which it happens. Invariant: a row is added only when the choice differs from the last one.
"""

from __future__ import annotations

from tenure.model.commands import Answer, Applied, Refused, SetPolicy
from tenure.optimize.words import read_policy
from tenure.policies.words import BadPolicy
from tenure.store.chosen import LAST_ID, last_choice
from tenure.store.intern import next_id
from tenure.store.plan_schema import policy_choice
from tenure.store.sql import Statement, insert, param
from tenure.store.tx import Transaction, to_json

INSERT_CHOICE = insert(policy_choice, "id", "policy", "by_person", "user_name", "uid", "at_ms", "first_attempt", "strategy")
SET_STRATEGY = Statement(policy_choice.update().values(strategy=param("strategy")).where(policy_choice.c.id == LAST_ID), "strategy")
COUNT = Statement(
    policy_choice.update()
    .ordered_values(
        (policy_choice.c.rejected, policy_choice.c.rejected + param("rejected")),
        (policy_choice.c.reasons, policy_choice.c.reasons + param("reasons")),
    )
    .where(policy_choice.c.id == LAST_ID),
    "rejected",
    "reasons",
)


def choose(tx: Transaction, command: SetPolicy) -> Answer:
    """Make a policy the one that plans, from this transaction on."""
    own, last, caller = tx.settings.plan, last_choice(tx.link), command.caller
    by_person = int(bool(command.policy))
    if caller.uid < 0 and not by_person and last is not None and last.by_person:
        return Applied(0, tx.event_seq, note=f"{last.user} has chosen {last.policy}")
    word = command.policy or own.policy
    try:
        read_policy(word, own)
    except BadPolicy as error:
        return Refused("unknown_policy", str(error))
    if last is not None and (last.policy, last.by_person) == (word, by_person):
        return Applied(0, tx.event_seq, note=f"the policy is {word} already")
    tx.link.write(
        INSERT_CHOICE, next_id(tx.link, policy_choice), word, by_person, caller.user, caller.uid, tx.now_ms, tx.attempt_seq + 1, ""
    )
    tx.names.forget_plan()
    before = last.policy if last is not None else ""
    tx.before = {"policy": before}
    return Applied(0, tx.emit("policy.changed", data=to_json({"policy": word, "before": before, "by": caller.user})))


def count(tx: Transaction, *, rejected: int, reasons: int) -> None:
    """Count with the present choice: decisions that were not committed, and reasons for waiting that are new."""
    if rejected or reasons:
        tx.link.write(COUNT, rejected, reasons)


def note_strategy(tx: Transaction, strategy: str) -> None:
    """Keep which strategy the plan follows, and tell when it is another one than before."""
    before = tx.names.strategy(tx.link) if strategy else ""
    if strategy != before and tx.link.write(SET_STRATEGY, strategy):
        tx.names.forget_plan()
        tx.emit("strategy.changed", data=to_json({"strategy": strategy, "before": before}))
