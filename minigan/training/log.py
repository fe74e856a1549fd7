"""log.csv: a row for every step of a run, in which a step occurs once, however often the run was stopped."""
import math
import os
import zlib

from minigan.engine import once_per_run
from minigan.files import naming, write_whole

COLUMNS = ("step", "loss_D", "loss_G", "score_real", "score_fake")


def text_of(rows):
    return "".join(",".join(row) + "\r\n" for row in rows).encode()      # the line ends of RFC 4180


def is_row(row, step) -> bool:
    """Whether these strings are what `flush` writes for this step: its number, and a finite one for each other column."""
    try:
        return (row[0] == str(step) and len(row) == len(COLUMNS)
                and all(f"{float(value):.9g}" == value and math.isfinite(float(value)) for value in row[1:]))
    except ValueError:
        return False


class Log:
    """The log at `path`; rows are numbers, one for each of COLUMNS. `size` and `checksum` are of what is written so far."""

    def __init__(self, path):
        self.path, self.waiting, self.size, self.checksum = path, [], 0, 0

    def begin(self, rows=()) -> None:
        """A new file, with these rows of `read`."""
        text = text_of([COLUMNS, *rows])
        write_whole(self.path, text)
        self.waiting, self.size, self.checksum = [], len(text), zlib.crc32(text)

    def has_begun(self) -> bool:
        """Whether there is more in the file than its first line."""
        return self.path.exists() and self.path.read_bytes() != text_of([COLUMNS])

    def add(self, row):
        self.waiting.append(row)

    def flush(self, sync=False) -> None:
        """Write the rows that wait; with `sync`, they are on the disk on return."""
        text = text_of([str(step), *(f"{value:.9g}" for value in values)] for step, *values in self.waiting)
        self.append(text, sync)
        self.waiting, self.size, self.checksum = [], self.size + len(text), zlib.crc32(text, self.checksum)

    @once_per_run
    def append(self, text, sync):
        with naming(self.path), open(self.path, "r+b") as file:
            file.seek(self.size)                       # behind it may be half of these rows, if the disk was full
            file.truncate()
            file.write(text)
            if sync:
                file.flush()
                os.fsync(file.fileno())

    def rows(self, last, checksum=None) -> list:
        """`read`, and ValueError if one of the rows is missing, or if they have another checksum."""
        rows = self.read(last) if last else []
        if len(rows) < last:
            raise ValueError(f"{self.path}: the row of step {len(rows) + 1} is missing or damaged; the checkpoint is of step "
                             f"{last}")
        if checksum is not None and zlib.crc32(text_of([COLUMNS, *rows])) != checksum:
            raise ValueError(f"{self.path}: the rows up to step {last} are not those that belong to the checkpoint")
        return rows

    def read(self, last) -> list:
        """The rows of the steps 1, 2 ... `last`, as lists of strings, as far as each is there, whole and in its place. What
        comes behind, half a line or the zeros of a power cut, does not count.

        Errors    ValueError if this is no log;  OSError. Both name the file
        """
        try:
            first, *lines = self.path.read_bytes().decode("ascii").split("\n")
        except UnicodeDecodeError as error:
            raise ValueError(f"{self.path}: damaged, byte {error.start} is no text") from None
        if first.removesuffix("\r") != ",".join(COLUMNS):
            raise ValueError(f"{self.path}: its first line is not {','.join(COLUMNS)}")
        rows: list = []
        for text in lines[:last][:len(lines) - 1]:     # the last line has no end: if anything is there, it is half a row
            row = text.removesuffix("\r").split(",")
            if not is_row(row, len(rows) + 1):
                break
            rows.append(row)
        return rows
