"""How the recogniser's reading weighs the moves that a model chooses from."""

from dialog.task.commands import Command, Set, Start
from dialog.tracker.moves import INFORM, Move
from dialog.tracker.priors import ALMOST_NONE, move_priors

VALUES: tuple[Command, ...] = (Set(slot="area", task="hotel", value="north", p=0.9),)
BEGINS: tuple[Command, ...] = (Start(task="hotel", p=0.8), *VALUES)
GIVES, STARTS = Move(text=INFORM, command=None), Move(text=" starts", command=Start(task="hotel"))


def test_values_begin_their_task_where_it_can_be_begun() -> None:
    assert move_priors([GIVES, STARTS], BEGINS) == [ALMOST_NONE, 0.8]


def test_values_alone_are_given_where_there_is_no_task_to_begin() -> None:
    """As in a corpus: the values must not be lost with a move that nobody can choose."""
    assert move_priors([GIVES], BEGINS) == [0.5]
    assert move_priors([GIVES, STARTS], VALUES) == [0.5, ALMOST_NONE]
    assert move_priors([GIVES], ()) == [ALMOST_NONE]
