"""The audit log as a file: written page by page from a daemon, and checked by anybody who has it, without a daemon or a store.

The file says what `tenure.wire.chain` lets it say. Invariants: an export holds every row that the daemon still has after its beginning,
also where the log itself does not hold, and then says so; a check passes only for a file whose every byte the chain accounts for.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, NamedTuple

from tenure.client.errors import TenureError, usage
from tenure.wire.chain import Chain, MarkLine, RowLine, line_of, mark_of, read_line, row_of

if TYPE_CHECKING:
    from tenure.client.people import People
    from tenure.wire.people import AuditReply

LONGEST = 64 * 1024 * 1024
"""Bytes of a line: as long as the longest request."""
_COMPARE = "compare it with another copy, or with the log of the daemon: tenure audit export"


class Extent(NamedTuple):
    """What a file of the log holds: so many rows after row ``after``, the last one's number, moment and hash."""

    rows: int
    after: int
    last: int
    last_ms: int
    hash: str


def broken(about: str) -> TenureError:
    """The error for a log that is not as it was written."""
    return TenureError("audit_broken", about, _COMPARE)


class Export:
    """One export: `lines` goes through the log after row ``after``, then `extent` says what it was and `wrong` what did not hold."""

    def __init__(self, people: People, after: int = 0) -> None:
        self._people = people
        self._after = after
        self.extent = Extent(0, after, after, 0, "")
        self.wrong = ""

    def lines(self) -> Iterator[bytes]:
        """The lines of the file. Raises `TenureError` where the log cannot be read, or not from where it was asked for."""
        page = self._people.audit_after(self._after)
        chain = self._beginning(page)
        yield line_of(mark_of(chain))
        rows, after, last_ms = 0, chain.seq, 0
        while page.entries:
            for line in map(row_of, page.entries):
                wrong = chain.follow(line.row(), line.hash)
                self.wrong = self.wrong or (wrong and f"row {line.seq}: {wrong}")
                last_ms = line.at_ms
                yield line_of(line)
            rows += len(page.entries)
            page = self._people.audit_after(chain.seq)
            if chain.seq < page.floor.seq:
                raise TenureError("audit_pruned", "rows became too old while they were read", "export again")
        if (chain.seq, chain.hash) != (page.last.seq, page.last.hash):
            self.wrong = self.wrong or f"row {page.last.seq}: the log ends with row {chain.seq}, and not as it was left"
        self.extent = Extent(rows, after, chain.seq, last_ms, chain.hash)
        yield line_of(mark_of(chain))

    def _beginning(self, page: AuditReply) -> Chain:
        """Where the chain stands before the first row of the export. Raises `TenureError`."""
        floor, last = page.floor.seq, page.last.seq
        if self._after <= floor:
            if 0 < self._after < floor:
                raise usage(f"the rows up to {floor} are no longer kept", f"export what is kept: --after {floor}")
            return Chain(floor, page.floor.hash)
        before = self._people.audit_after(self._after - 1, 1).entries
        if self._after > last or not before or before[0].seq != self._after:
            raise usage(f"there is no row {self._after}: the last one is {last}", "name the last row of the export before this one")
        return Chain(self._after, before[0].hash)


def check(lines: Iterable[bytes], *, head: str = "", begins: str = "") -> Extent:
    """What a file holds, if all of it holds. ``head``: a hash that was noted earlier and must be that of a row in it, or of its
    beginning; ``begins``: the hash after which it must begin. Raises `TenureError` that names the first entry which does not hold."""
    chain: Chain | None = None
    rows, after, last_ms, number = 0, 0, 0, 0
    is_seen, line = not head, None
    for number, text in enumerate(lines, 1):
        line = _read(number, text)
        if chain is None:
            chain = _begun(line, begins)
            after = chain.seq
        elif isinstance(line, RowLine):
            if wrong := chain.follow(line.row(), line.hash):
                raise broken(f"line {number}, row {line.seq}: {wrong}")
            rows, last_ms = rows + 1, line.at_ms
        elif (line.seq, line.hash) != (chain.seq, chain.hash):
            raise broken(f"line {number}: the chain does not stand at row {line.seq} here, but at row {chain.seq}")
        is_seen = is_seen or chain.hash == head
    if chain is None or not isinstance(line, MarkLine) or number < 2:
        raise broken(f"line {number + 1}: the mark that ends an export is missing, so the file was cut off")
    if not is_seen:
        raise broken(
            f"line {number + 1}: the row with the hash {head} should have come, so the log was cut off before it or written anew"
        )
    return Extent(rows, after, chain.seq, last_ms, chain.hash)


def _read(number: int, text: bytes) -> MarkLine | RowLine:
    if len(text) > LONGEST:
        raise broken(f"line {number}: the line is longer than any row")
    try:
        return read_line(text)
    except ValueError as error:
        raise broken(f"line {number}: {error}") from None


def _begun(line: MarkLine | RowLine, begins: str) -> Chain:
    """The chain as the first line has it. Raises `TenureError`."""
    if isinstance(line, RowLine):
        raise broken(f"line 1, row {line.seq}: the mark that begins an export is missing, so the file lost its beginning")
    if bool(line.seq) != bool(line.hash):
        raise broken("line 1: the first row follows none, so nothing can stand before it")
    if begins and line.hash != begins:
        raise broken(f"line 1: the file begins after row {line.seq} with another hash than {begins}, so rows are missing before it")
    return Chain(line.seq, line.hash)
