"""One family of errors whose message is a sentence for a person: what was wrong, and what to do.

Pages show it as it is; the command line prints it on one line and exits with 2.
"""


class LabError(Exception):
    """The request cannot be met as it stands. The message is complete; no traceback is needed to understand it."""


class ConfigError(LabError):
    """A setting is unknown or out of its range."""


class DataError(LabError):
    """A dataset is unknown, missing or damaged."""


class CheckpointError(LabError):
    """A checkpoint is missing, damaged, or its card and weights disagree."""


class DrawingError(LabError):
    """A picture cannot be read as a drawing: no picture, empty, or too large."""


class RunError(LabError):
    """A run cannot be started, found, or told what to do."""


class RunFailedError(RunError):
    """A run began and did not reach its end: the request was right, the work was not done."""


class ProcessesError(RunFailedError):
    """Another process of the same training has ended or does not answer."""
