"""The kernel: mailboxes, turns and commits of all actors of a hub, one synchronous step at a time.

It knows no Trio, no thread and no clock of its own: whoever drives it (the runtime; a simulation) decides when
a turn runs, when a batch is committed and when timers fire.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import msgspec

import durio.entities.keys as keys
from durio.entities.address import is_entity
from durio.entities.blobs import Vault
from durio.entities.catalog import Activation, Catalog
from durio.entities.changes import Batch, CancelJob, Ended, Offer, Output, Reply, StartJob, View
from durio.entities.commands import Commands
from durio.entities.jobs import Jobs
from durio.entities.kinds import ActorKind, Deferred, Taken
from durio.entities.letters import Letters
from durio.entities.limits import ACTIVATIONS_MAX, REQUEST_DEDUPE_S, TIMER_BATCH_MAX, TURN_MESSAGES_MAX
from durio.entities.mailbox import Mailbox, readable, waiting_mail
from durio.entities.messages import CONTROL_LANE, MAIL_LANE, REQUEST_TOKEN, Answer, Message, Timer, encode_record
from durio.entities.parking import Parking
from durio.entities.poison import Poison
from durio.entities.posts import Posts
from durio.entities.requests import Requests
from durio.entities.runqueue import RunQueue
from durio.entities.settlement import Settlement
from durio.entities.timers import Timers
from durio.entities.tombstones import Tombstones
from durio.storage import CorruptRecord, Store

logger = logging.getLogger("durio.entities")


class Kernel:
    """Runs the turns of all actors of one hub.

    Guarantees: one turn of an actor at a time (G1); what a turn consumes, writes and sends goes into one batch (G2);
    a message is consumed by the one turn that settles it (G3); a mailbox keeps the order in which messages were
    taken in (G4); outputs leave with their batch, never before it is durable (G5).
    """

    def __init__(
        self,
        store: Store,
        entities: ActorKind,
        instances: ActorKind,
        now_us: Callable[[], int],
        *,
        activations_max: int = ACTIVATIONS_MAX,
        dedupe_s: float = REQUEST_DEDUPE_S,
        poison: Callable[[View], Poison] = Poison,
        vault: Vault | None = None,
    ) -> None:
        self.vault = vault or Vault(store, store.epoch)
        self.vault.recover()
        self.view = View(store, self.vault)
        self.catalog = Catalog(activations_max)
        self.timers = Timers(self.view)
        self.requests = Requests(self.view, dedupe_s)
        self.posts = Posts(self.view, self.requests)
        self.counters: Counter[str] = Counter()
        self.held: dict[str, Exception] = {}
        self.commands = Commands()
        self._entities = entities
        self._instances = instances
        self._now_us = now_us
        self._arrivals = store.epoch << 40  # the epoch is durable, so no number comes twice, and none goes back
        self.queue = RunQueue()
        self.poison = poison(self.view)
        self.jobs = Jobs(self.view, self.poison)
        self.letters = Letters(self.view, self.arrival, self.deliver, self._kind)
        self.commands.add("retry_dead_letter", self.letters.retry)
        self.commands.add("drop_dead_letter", self.letters.drop)
        self._parking = Parking(self.view, self.poison, self.letters, self._settlement)
        self.tombstones = Tombstones(self.view, self.arrival)
        self._recover()

    def _recover(self) -> None:
        """Everything durable that waits gets its turn (G9)."""
        for address, lane in waiting_mail(self.view):
            self._wake(address, None)
            if lane == CONTROL_LANE:
                self.queue.urge(address)
        for address in self.poison.due:
            self._wake(address, None)
        for result in self.jobs.recover(self._now_us()):
            self.job_done(*result)

    def succeed(self, other: Kernel) -> None:
        """Go on after a kernel of the same owner whose last batches were void: no arrival number comes twice (G4)."""
        self._arrivals = other._arrivals
        self.counters = other.counters

    # What comes in

    def arrival(self) -> int:
        """The next arrival number: one order for everything that the hub takes in."""
        self._arrivals += 1
        return self._arrivals

    def deliver(self, address: str, message: Message, lane: int = MAIL_LANE) -> None:
        """Take a message in: durably with the batch that fills, behind all others of its lane."""
        activation = self.catalog.get(address)
        prefix = keys.mailbox(address) if activation is None else activation.mailbox.prefix
        key = keys.mail(prefix, lane, self.arrival())
        self.view.filling.insert(prefix, key, message)
        if activation is not None:
            activation.mailbox.push(key, message)
            activation.batch = self.view.filling.number
        if lane == CONTROL_LANE:
            self.queue.urge(address)
        self._wake(address, activation)

    def admit(self, address: str, token: str, digest: bytes) -> bool:
        """Whether a client's message is to be taken in. False: its request id is known, and its answer will come.

        A token that starts with `r` names a request id. Changes nothing but that a known answer is given again.
        Raises `RequestIdReused` and `RequestExpired`, and why the receiver is held, if it is.
        """
        if address in self.held:
            raise self.held[address]
        if not token.startswith(REQUEST_TOKEN):
            return True
        known = self.requests.check(token[1:], digest, self._now_us())
        if known is not None and known.answer is not None:
            self.view.filling.tokens.append(token)
            self.view.filling.outputs.append(Reply(token, known.answer))
        return known is None

    def submit(
        self,
        address: str,
        message: Message,
        lane: int,
        token: str,
        *,
        tell: bool,
        digest: bytes = b"",
        due_us: int | None = None,
    ) -> None:
        """Take in what a client tells or asks; the reply comes under `token`. With `due_us` it is delivered then.

        What is sent to the address "" is asked of the hub itself.
        """
        self.view.filling.tokens.append(token)
        if token.startswith(REQUEST_TOKEN):
            self.requests.take(token[1:], digest, self._now_us())
        if not address:
            self.reply(token, self.commands.run(message))
            return
        objection = self._instances.object_to(self.view, address, message)
        if objection is not None:
            self.reply(token, objection)
            return
        if due_us is None:
            self.deliver(address, message, lane)
        else:
            self.timers.schedule(keys.timer(due_us, self.arrival()), Timer(address, encode_record(message)))
        if tell:
            self.reply(token, Answer())

    def reply(self, token: str, answer: Answer) -> None:
        """Answer a client once the batch that fills is durable (G5)."""
        if token.startswith(REQUEST_TOKEN):
            self.requests.answer(token[1:], answer, self._now_us())
        self.view.filling.outputs.append(Reply(token, answer))

    def job_done(self, key: bytes, address: str, message: Message) -> None:
        """A job ended: its row goes and its result comes, in one commit. A late result is dropped (G24)."""
        if not self.jobs.finish(key):
            self.counters["results dropped: the job was cancelled"] += 1
            return
        self.view.filling.results.append((key, address, message))
        self.deliver(address, message)

    def fire_due(self, now_us: int) -> int:
        """Turn timers that are due into messages, a bounded number; returns how many."""
        due = self.timers.due(now_us, TIMER_BATCH_MAX)
        for key, timer in due:
            self.view.filling.delete(keys.TIMER, key)
            self.deliver(timer.address, readable(timer.message, self._kind(timer.address).decode))
        return len(due)

    # Turns

    @property
    def runnable(self) -> bool:
        """Whether an actor waits for its turn."""
        return bool(self.queue)

    @property
    def waiting(self) -> tuple[str, ...]:
        """The actors that wait for their turn, who waits longest first."""
        return self.queue.waiting

    def run_turn(self, address: str | None = None) -> str:
        """Give one of those that wait its turn, who waits longest if none is named; returns its address."""
        address = self.queue.take(address)
        if address not in self.held and not self.poison.must_wait(address):
            with self._holding(address):
                activation = self._activate(address)
                activation.runnable = False
                if activation.pinned is None:
                    self._run(activation)
        return address

    def run_urgent(self) -> None:
        """Give an actor that has control mail one turn, and let everything else wait (G32)."""
        address = self.queue.take_urgent()
        if address in self.held or self.poison.must_wait(address):
            return
        with self._holding(address):
            activation = self._activate(address)
            if activation.pinned is not None or not self._parking.done(activation, self._apply):
                return
            if not activation.kind.prepare(activation.actor) or self._turn(activation, 1) is not None:
                if activation.mailbox.peek_control() is not None:
                    self.queue.urge(address)

    def settle_offer(self, address: str, number: int, decision: Any) -> bool:
        """Settle a turn that was decided outside. False: the offer is not in force any more, nothing changed."""
        activation = self.catalog.get(address)
        if activation is None or activation.pinned is None or activation.offer != number:
            return False
        taken, activation.pinned = activation.pinned, None
        self.view.filling.outcomes.append((address, taken.mails[0][0], decision))
        with self._holding(address):
            self._settle(activation, taken, decision)
            if activation.mailbox:
                self._wake(address, activation)
        return True

    def pinned(self, address: str, number: int) -> tuple[Any, Any] | None:
        """The actor and what its offered turn works on, if that offer is in force."""
        activation = self.catalog.get(address)
        if activation is None or activation.pinned is None or activation.offer != number:
            return None
        return activation.actor, activation.pinned

    @contextmanager
    def _holding(self, address: str) -> Iterator[None]:
        """An actor whose rows cannot be read is held alone. Reads come before changes, so nothing is half done."""
        try:
            yield
        except (CorruptRecord, msgspec.MsgspecError) as error:
            self.held[address] = error
            self.catalog.drop(address)
            logger.exception("%s is held: what is on disk cannot be read", address)

    def _run(self, activation: Activation) -> None:
        kind, left = activation.kind, TURN_MESSAGES_MAX
        while left > 0:
            ready = self._parking.done(activation, self._apply) and kind.prepare(activation.actor)
            if not ready or not self.vault.is_loaded(activation.mailbox.peek):
                self._wake(activation.address, activation)
                return
            turn = self._turn(activation, left)
            if turn is None and activation.mailbox.unreadable:
                continue
            if turn is None:
                return
            taken, yields = turn
            left -= len(taken.mails) or left  # a turn without mail is one of its own
            if yields or taken.full or activation.address in self.poison.careful:
                break
        if activation.mailbox:
            self._wake(activation.address, activation)
        if activation.mailbox.peek_control() is None:
            self.queue.calm(activation.address)

    def _turn(self, activation: Activation, messages_max: int) -> tuple[Taken[Any], bool] | None:
        """Take, decide, settle: what was taken, and whether the actor yields. None: nothing is, or it is offered."""
        kind = activation.kind
        taken = kind.take(activation.actor, activation.mailbox, messages_max)
        if taken is None:
            return None
        decision = kind.decide(activation.actor, taken, self._now_us())
        if type(decision) is Deferred:
            activation.pinned = taken
            activation.offer = self.arrival()
            activation.batch = self.view.filling.number
            self.view.filling.outputs.append(Offer(activation.address, activation.offer))
            return None
        return taken, self._settle(activation, taken, decision)

    def _settle(self, activation: Activation, taken: Any, decision: Any) -> bool:
        settlement = self._settlement(activation.address)
        activation.kind.settle(activation.actor, taken, decision, settlement)
        self._apply(activation, settlement)
        self.catalog.touch(activation, settlement.now_us)
        return settlement.yields

    def _settlement(self, address: str) -> Settlement:
        return Settlement(address, self._now_us(), self.arrival)

    def _apply(self, activation: Activation, settlement: Settlement) -> None:
        cut = [(start, stop, self.tombstones.rows(start, stop)) for start, stop in settlement.cuts]  # reads come first
        for output in settlement.outputs:
            if type(output) is Reply and output.token.startswith(REQUEST_TOKEN):
                self.requests.find(output.token[1:])
        batch, group, box = self.view.filling, settlement.group, activation.mailbox.prefix
        activation.batch = batch.number
        for key in settlement.consumed:
            batch.delete(box, key)
        self.poison.settled(activation.address, settlement.consumed)
        for start, stop, rows in cut:
            self.tombstones.cut(start, stop, rows)
        batch.write(group, settlement.written)
        for table, record in settlement.listed:
            batch.put(table, table + group[1:], record)
        for key, present in settlement.indexed:
            batch.index(key, present)
        for key, timer in settlement.timers:
            self.timers.schedule(key, timer)
        for key in settlement.timers_cancelled:  # one of this turn may be among them
            batch.delete(keys.TIMER, key)
            self.timers.discard(key)
        for arrival, message in settlement.returned:
            batch.put(box, keys.mail(box, MAIL_LANE, *arrival), message)
        for output in settlement.outputs:
            self._output(batch, output)
        for address, lane, message in settlement.sent:
            self.deliver(address, message, lane)
        self.counters.update(settlement.counted)
        if settlement.rewind:
            activation.mailbox.rewind()

    def _output(self, batch: Batch, output: Output) -> None:
        if type(output) is StartJob:
            self.jobs.schedule(batch, output)
        elif type(output) is CancelJob:
            self.jobs.cancel(batch, output)
        else:
            if type(output) is Reply and output.token.startswith(REQUEST_TOKEN):
                self.requests.answer(output.token[1:], output.answer, self._now_us())
            elif type(output) is Ended:
                batch.outputs.extend(self.posts.ended(output, self._now_us()))
            batch.outputs.append(output)

    def _activate(self, address: str) -> Activation:
        activation = self.catalog.get(address)
        if activation is None:
            kind = self._kind(address)
            mailbox = Mailbox(self.view, address, kind.decode)
            activation = Activation(address, kind, kind.load(self.view, address), mailbox)
            activation.batch = self.view.filling.number
            self.catalog.add(activation, self.view.undurable)
        return activation

    def _wake(self, address: str, activation: Activation | None) -> None:
        self.queue.wake(address)
        if activation is not None:
            activation.runnable = True

    def _kind(self, address: str) -> ActorKind:
        return self._entities if is_entity(address) else self._instances

    # Commits

    @property
    def void(self) -> list[Batch]:
        """What is lost with this kernel: all batches that are not durable, the oldest first."""
        return [*self.view.in_flight, self.view.filling]

    def seal(self) -> Batch:
        """Close the batch that fills; commit its `seal()` and then call `committed`."""
        return self.view.seal()

    def committed(self, batch: Batch) -> list[Output]:
        """The batch is durable: its outputs may leave."""
        self.view.durable(batch)
        for result in self.jobs.recover(self._now_us()):
            self.job_done(*result)
        for address in self.poison.released():
            self._wake(address, self.catalog.get(address))
        if not batch.dropped:
            return batch.outputs
        return [o for o in batch.outputs if type(o) is not StartJob or o.key not in batch.dropped]

    def collect(self, idle_us: int) -> int:
        """Drop idle actors from memory; returns how many."""
        now_us = self._now_us()
        return self.catalog.collect(self.view.undurable, now_us, idle_us)

    def close(self) -> None:
        """Drop every activation: user code gets its cleanup, and nothing of it is durable any more."""
        for activation in self.catalog:
            self.catalog.drop(activation.address)
