"""Errors that people read: what is wrong, where, and how to mend it."""


class MofmdError(Exception):
    """Base of every error that mofmd raises on purpose."""


class InputError(MofmdError, ValueError):
    """A value, file or option given by the user cannot be used."""


class InputWarning(UserWarning):
    """Something in the user's input that people should know; it can be used all the same."""


class MissingFileError(MofmdError, FileNotFoundError):
    """A file that is needed does not exist."""


class BuildError(MofmdError, RuntimeError):
    """Compiling the plugin or LAMMPS failed, or what is there does not fit the environment."""


class EnvironmentSetupError(MofmdError, RuntimeError):
    """An isolated model environment cannot be created or used."""


class RunError(MofmdError, RuntimeError):
    """LAMMPS stopped before the run was complete."""


class StoppedError(MofmdError, RuntimeError):
    """A run was asked to stop; its state is saved and it can be resumed."""
