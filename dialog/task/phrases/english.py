"""English; what stands in braces is filled in by `dialog.task.act_words`."""

from collections.abc import Mapping
from typing import Final

PHRASES: Final[Mapping[str, tuple[str, ...]]] = {
    "yes": ("yes",),
    "no": ("no",),
    "and": ("and",),
    "or": ("or",),
    "welcome": ("Hello!", "Hi there!", "Good to see you!"),
    "how_can_i_help": ("What can I do for you?", "How can I help?", "What would you like to do?"),
    "how_can_i_help_with": ("I can {tasks}.", "Here is what I can do: {tasks}."),
    "anything_else": (
        *("Anything else?", "Is there anything else?", "What else can I do for you?"),
        *("Can I help with something else?", "Would you like anything more?"),
    ),
    "goodbye": ("Goodbye!", "Take care!", "Bye for now!"),
    "request.date": (
        *("Which day{for_slot}?", "What day would suit you{for_slot}?", "On which date{for_slot}?"),
        "Which date shall I take{for_slot}?",
    ),
    "request.time": (
        *("At what time{for_slot}?", "What time would suit you{for_slot}?"),
        *("Which time shall I take{for_slot}?", "When exactly{for_slot}?"),
    ),
    "request.datetime": (
        *("When{for_slot}?", "Which day and time{for_slot}?", "When would suit you{for_slot}?"),
    ),
    "request.daterange": (
        *("From when to when{for_slot}?", "Which days, from and to{for_slot}?"),
        "What are the first and the last day{for_slot}?",
    ),
    "request.duration": (
        "How long{for_slot}?",
        "For how long{for_slot}?",
        "What length{for_slot}?",
    ),
    "request.integer": (
        *("How many {slot}?", "What number of {slot}?", "{slot}: how many?"),
        "How many {slot} will it be?",
    ),
    "request.number": ("What is the {slot}?", "Which {slot}?", "What number for the {slot}?"),
    "request.money": ("How much{for_slot}?", "What amount{for_slot}?", "Which sum{for_slot}?"),
    "request.person": (
        *("What name, please{for_slot}?", "Which name shall I put down{for_slot}?"),
        *("Under what name{for_slot}?", "Whose name{for_slot}?"),
    ),
    "request.email": ("What is the email address{for_slot}?", "Which email address{for_slot}?"),
    "request.phone": ("What is the phone number{for_slot}?", "Which phone number{for_slot}?"),
    "request.card": ("What is the card number?", "Which card shall I take?"),
    "request.bool": ("{slot}: yes or no?", "Is it a yes to {slot}?", "{slot}, would you say yes?"),
    "request.choice": (
        *("Which {slot}: {options}?", "What {slot} would you like: {options}?"),
        *("{slot}: {options}?", "Of {options}, which {slot}?"),
    ),
    "request.entity": (
        *("Which {slot}?", "What {slot} would you like?", "Which {slot} shall it be?"),
        "What {slot} do you have in mind?",
    ),
    "request": (
        *("What is the {slot}?", "Which {slot}, please?", "What {slot} shall I put down?"),
        "Could you tell me the {slot}?",
    ),
    "again": ("", "To go on: ", "Back to this: ", "Once more: ", "Still open: ", "As I asked: "),
    "example": ("For instance: {options}.", "It could be: {options}."),
    "confirm": (
        *("So {values}. Shall I go ahead?", "To check: {values}. Is that right?"),
        *("I have {values}. Shall I do it?", "{values}: is all of that correct?"),
        *("Let me sum up: {values}. Go ahead?", "We have {values}. Do you agree?"),
    ),
    "confirm_task": (
        *("Shall I {task} now?", "So you want me to {task}: shall I go ahead?"),
        "To {task}: do you agree?",
    ),
    "confirm.slot": (
        *("{values}, is that right?", "Did I get that right: {values}?", "{values}, correct?"),
        "Do you mean {values}?",
    ),
    "implicit_confirm": ("{values}, then.", "So {values}.", "{values}, good."),
    "clarify": ("{options}?", "Did you mean {options}?", "Which one is it: {options}?"),
    "clarify_slot": (
        *("What shall be {value}: {options}?", "{value}, is that {options}?"),
        "I am not sure what to change to {value}: {options}?",
    ),
    "clarify_task": (
        *(
            "Would you like to {options}?",
            "Do you want to {options}?",
            "Is it that you want to {options}?",
        ),
    ),
    "offer": (
        *("I found {rows}. Which one?", "There is {rows}. Which would you like?"),
        *("Here you are: {rows}. Which one shall it be?", "You could take {rows}. Which?"),
    ),
    "offer.one": (
        *("I found {rows}. Shall I take it?", "There is {rows}. Would that do?"),
        *("How about {rows}?", "What about {rows}?"),
    ),
    "count": ("There are {count}.", "I know of {count}.", "{count} would fit."),
    "none": ("I found nothing for that.", "There is nothing like that.", "Nothing fits all of it."),
    "none_relaxed": (
        *("Nothing fits all of it, but without the {options}:", "If the {options} may differ:"),
    ),
    "change_constraint": (
        *("What may I change: {options}?", "Which of these could be different: {options}?"),
        *("Shall I look with another {options}?", "Would you give up one of {options}?"),
    ),
    "change_what": (
        *("What shall I change: {options}?", "Which of it is wrong: {options}?"),
        *("What should it be instead? I have {options}.", "Tell me what to change: {options}?"),
    ),
    "success": ("Done.", "All done.", "That is done."),
    "success.chosen": ("Noted: {rows}.", "{rows}, good choice.", "{rows} it is."),
    "failed": (
        *("Sorry, that did not work{text}.", "I am sorry, it could not be done{text}."),
        "Unfortunately that failed{text}.",
    ),
    "check_failed": (
        *("That is not possible{text}.", "Sorry, that cannot be done{text}."),
        "I am afraid that will not work{text}.",
    ),
    "in_doubt": (
        *("I cannot tell whether that went through.", "I do not know whether it was done."),
    ),
    "handoff": (
        *("I am getting a colleague for you.", "A colleague will take over from here."),
        "Let me bring in a colleague.",
    ),
    "waiting": (
        *("A colleague will be with you soon.", "Please wait a moment, a colleague is coming."),
        *(
            "Your place in the queue is kept.",
            "I keep your messages for the colleague, {count} so far.",
        ),
    ),
    "offer_handoff": (
        *("Shall I get a colleague to help?", "Would you like to speak to a person?"),
        "Do you want me to call somebody in?",
    ),
    "operator": ("I am back.", "It is me again.", "Here I am again."),
    "one_moment": ("One moment, please.",),
    "hold": ("Take your time.", "No hurry.", "I am waiting, take all the time you need."),
    "idle": ("I am still here. Just write when you are ready.", "We can go on whenever you like."),
    "chitchat": (
        *("Nice of you to say.", "Good to talk.", "Indeed.", "I hear you.", "Fair enough."),
    ),
    "ack": ("Fine.", "Good.", "All right."),
    "changed": ("Changed: {values}.", "Now {values}.", "I have noted {values}."),
    "added": ("Added: {values}.", "With {values}, too.", "I have put in {values}."),
    "removed": ("Removed: {values}.", "Without {values}.", "I have taken out {values}."),
    "cleared": ("I have taken out the {slot}.", "The {slot} is open again."),
    "dropped": (
        "{value} no longer fits, so the {slot} is open again.",
        "With that, {value} does not work as the {slot} any more.",
    ),
    "back": ("Back to the {slot}.", "Let us go back to the {slot}.", "The {slot} again, then."),
    "invalid": (
        *("{value} does not work for the {slot}.", "I cannot take {value} as the {slot}."),
        "{value} is not possible as the {slot}.",
    ),
    "invalid.too_small": ("{value} is too little, it must be at least {bound}.",),
    "invalid.too_large": ("{value} is too much, it must be at most {bound}.",),
    "invalid.too_early": ("{value} is too early, it can be {bound} at the earliest.",),
    "invalid.too_late": ("{value} is too late, it can be {bound} at the latest.",),
    "invalid.end_before_start": ("The end of {value} is before its beginning.",),
    "invalid.no_such_time": ("There is no such time: the clocks change then.",),
    "invalid.not_a_choice": ("{value} is none of the choices.",),
    "invalid.no_such_row": ("I do not know {value}.",),
    "invalid.checksum": ("There must be a slip in that number.",),
    "invalid.wrong_form": ("{value} is not of the right form.",),
    "invalid.tool": ("{value} was not accepted{text}.",),
    "unclear": (
        *("Sorry, I did not get that.", "I am not sure I understood.", "I did not follow that."),
        *("Sorry, could you put that differently?", "That was not clear to me."),
    ),
    "which": ("Which one do you mean?", "There is more than one.", "I need to know which."),
    "no_more": ("That is all there is.", "I have no others.", "There are no more."),
    "out_of_scope": (
        *("I cannot help with that. I can {tasks}.", "That is beyond me; I can {tasks}."),
        "I am afraid I only know how to {tasks}.",
    ),
    "nothing_to_cancel": (
        *("There is nothing to cancel.", "I see nothing that could be cancelled."),
    ),
    "nothing_to_resume": ("There is nothing to go on with.", "Nothing is waiting."),
    "nothing_back": ("There is no earlier answer to change.", "We are at the beginning."),
    "needs": ("I cannot {task} for you at the moment.", "You may not {task} yet."),
    "cancelled": (
        *("All right, I will not {task}.", "Fine, we leave that.", "Cancelled."),
        "Good, I have dropped it.",
    ),
    "kept": ("Good, it stays as it is.", "It is kept."),
    "undo": ("Shall I cancel what I did: {task}?", "Do you want me to undo this: {task}?"),
    "resume": ("Shall we go on: {task}?", "Back to this: {task}?", "Do you want to go on: {task}?"),
    "resumed": ("Back to where we were.", "Let us go on, then.", "On with it."),
    "queued": ("After this I will {task}.", "Next I will {task}.", "I keep that for later."),
    "queue_started": ("Now to {task}.", "Next: {task}."),
    "next": ("Shall I {task}?", "Would you like to {task} now?", "Do you want to {task} as well?"),
    "restarted": ("We start again.", "From the beginning, then."),
    "why": ("I need the {slot} to {task}.", "Without the {slot} I cannot {task}."),
    "why_nothing": ("I am not asking for anything right now.",),
    "what": ("{text}.",),
    "attribute": ("{rows}: {slot} {value}.", "The {slot} of {rows}: {value}."),
    "attribute.unknown": ("I do not know the {slot} of {rows}.",),
    "answer": ("{text}",),
    "abstained": (
        *("I do not know that.", "I have nothing written down on that.", "I cannot tell."),
    ),
    "handoff_hint": ("If you like, ask me for a colleague.",),
    "language": ("We go on in English.",),
    "no_language": ("I do not speak that language.",),
    "sorry": ("Sorry, something went wrong on my side.",),
}
