"""What is taken for granted and is not so: "cancel my booking" where there is none."""

from dialog.task.commands import Cancel, Command, Resume
from dialog.tracker.situation import Situation
from dialog.tracker.task_intents import stem
from dialog.tracker.words import split


def aimed_at(situation: Situation, command: Command) -> Command:
    """Return a cancel or resume with the task that the words name, be it open or not.

    With a task that is not open the state answers that there is nothing to cancel; the words do not
    fall through to something else.
    """
    if not isinstance(command, Cancel | Resume) or command.task:
        return command
    said = {stem(word) for word in split(situation.text)}
    best, most = "", 0
    for task in situation.tasks:
        name = {stem(word) for word in split(task.name.replace("_", " "))}
        score = 2 * len(name & said) + task.is_open
        if name & said and score > most:
            best, most = task.name, score
    if not best:
        return command
    return type(command)(task=best, p=command.p)
