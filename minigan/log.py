"""log.csv: a row for every step of a run, in which a step occurs once, however often the run was stopped."""
import csv
import io

from minigan.files import write_whole

COLUMNS = ("step", "loss_D", "loss_G", "score_real", "score_fake")


class Log:
    """The log at `path`; rows are numbers, one for each of COLUMNS."""

    def __init__(self, path):
        self.path, self.waiting = path, []

    def begin(self, last=0):
        """A file with the rows up to step `last`, which are kept as they are, and none behind."""
        rows = self.read(last) if last else []
        text = io.StringIO(newline="")
        csv.writer(text).writerows([COLUMNS, *rows])
        write_whole(self.path, text.getvalue().encode())

    def add(self, row):
        self.waiting.append(row)

    def flush(self):
        """Write the rows that wait."""
        with open(self.path, "a", newline="") as file:
            csv.writer(file).writerows([(row[0], *(f"{value:.9g}" for value in row[1:])) for row in self.waiting])
        self.waiting = []

    def read(self, last):
        """The rows up to step `last`, as lists of strings; a half-written line at the end does not count."""
        with open(self.path, newline="") as file:
            rows = [row for row in csv.reader(file) if len(row) == len(COLUMNS) and row[0].isdigit()]
        return [row for row in rows if int(row[0]) <= last]
