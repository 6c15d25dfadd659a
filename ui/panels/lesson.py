"""The lesson under way, above the page on which its step takes place."""

from __future__ import annotations

from typing import Any

import streamlit as st

from mnist_core.runs.run import Run
from mnist_core.runs.snapshot import progress
from ui import actions, address
from ui.lessons.lesson import Guess, Lesson, LessonError, Step, get_lesson, lessons
from ui.lessons.progress import ended_runs, filled, find_run, measured, outcome, validation_text
from ui.user import current_user

LOOK_SECONDS = 1.0
IN_A_ROW = 3  # lessons, where there is room
# links to the page that is shown are marked as current: here all of them would be
STYLE = """<style>
[class*="st-key-lesson-"] [data-testid="stPageLink"] a { background: transparent; }
</style>"""
FILES = {"home": "home.py"}  # others are pages/NAME.py
Outcome = tuple[bool, str]  # whether the step is done, and else what is to be done first


def file_of(page: str) -> str:
    """The script of a page."""
    return FILES.get(page, f"pages/{page}.py")


def show_lessons() -> None:
    """All lessons, each with a link that begins it; none beside the one under way. Raises LessonError."""
    if "lesson" in address.along():
        return
    st.html(STYLE)
    st.subheader("Lessons", help="Guess, try, and see: a few minutes each, with trainings of your own.")
    found = list(lessons().values())
    for start in range(0, len(found), IN_A_ROW):
        for column, lesson in zip(st.columns(IN_A_ROW), found[start : start + IN_A_ROW], strict=False):
            with column.container(border=True, height="stretch", key=f"lesson-{lesson.name}"):
                st.page_link(
                    "home.py",
                    label=f"**{lesson.title}**",
                    icon=":material/menu_book:",
                    query_params={"lesson": lesson.name},
                )
                st.caption(f"{lesson.about} {lesson.minutes} minutes.")


def show_lesson(here: str) -> None:
    """The panel; `here` is the page's name. Ends a lesson that there is not, with a sentence."""
    name, said = address.along()["lesson"], address.along().get("lesson_step", "1")
    try:
        lesson = get_lesson(name)
    except LessonError:
        leave()
        raise
    number = min(max(int(said) if said.isdecimal() else 1, 1), len(lesson.steps))
    step, runs = lesson.steps[number - 1], ended_runs(lesson, current_user())
    with st.container(border=True, key="lesson"):
        with st.container(horizontal=True, vertical_alignment="center"):
            st.badge(f"Lesson: {lesson.title}", icon=":material/menu_book:")
            st.caption(f"Step {number} of {len(lesson.steps)}")
        st.markdown(f"**{step.title}**")
        if number == 1 and lesson.runs and not current_user():
            st.caption("In a class, choose *Your name* on Train first: it tells your runs from those of others.")
        text = filled(step.text, runs)
        if step.reveal is not None:
            _reveal(lesson, step.reveal, runs)
        st.markdown(text if text is not None else _missing(lesson, runs))
        done, first = _task(lesson, step, number)
        if step.page not in (None, here):
            _link(step, lesson, runs)
        _buttons(lesson, number, here, runs, done and text is not None, first)


def leave() -> None:
    """Ends the lesson under way."""
    address.take_along(lesson=None, lesson_step=None)
    address.write(address.own())  # or the next run of the page would find it there


def _missing(lesson: Lesson, runs: dict[str, Run]) -> str:
    names = [f"“{training.title}”" for name, training in lesson.runs.items() if name not in runs]
    return f"This step tells of your own trainings, and {' and '.join(names)} is still to be made. Go back to it."


def _task(lesson: Lesson, step: Step, number: int) -> Outcome:
    if step.guess is not None:
        return _ask(lesson, step.guess, number), "Choose an answer first."
    if step.counted:
        asked = next(guess.guess for guess in lesson.steps[number - 2 :: -1] if guess.guess is not None)
        counted = asked.model_copy(update={"question": "What did you see?"})
        return _ask(lesson, counted, number), "Say what you saw first."
    if step.run is not None:
        return _train(lesson, step.run), "Train first: the next step tells of your run."
    return True, ""


def _ask(lesson: Lesson, guess: Guess, number: int) -> bool:
    key = f"lesson-{lesson.name}-{number}"
    said = st.radio(
        guess.question,
        range(len(guess.options)),
        index=st.session_state.get(f"{key}-said"),
        format_func=guess.options.__getitem__,
        key=key,
    )
    st.session_state[f"{key}-said"] = said
    return said is not None


def _said(lesson: Lesson, number: int) -> int | None:
    said: int | None = st.session_state.get(f"lesson-{lesson.name}-{number}-said")
    return said


def _train(lesson: Lesson, name: str) -> bool:
    """What has become of this training; whether it has ended. While it is under way the page looks again by itself."""
    training = lesson.runs[name]
    if not actions.changeable():
        st.info("This lab does not train for visitors, so this step can only be read.", icon=":material/visibility:")
        return True
    run = find_run(training.config, current_user())
    if run is None:
        st.info(f"Press **Run**: this is the training “{training.title}”.", icon=":material/play_arrow:")
        return False
    if run.status().active:
        st.fragment(_wait, run_every=LOOK_SECONDS)(run)
        return False
    values = measured(run)
    st.success(
        f"Your run “{training.title}” has ended: {values['train_accuracy']:.1%} of the training images are read right, "
        f"of the validation images {validation_text(values)}, with the 95 % interval.",
        icon=":material/check:",
    )
    return True


def _wait(run: Run) -> None:
    from mnist_core.runs.history import shared_reader

    status = run.status()
    if not status.active:
        st.rerun()
    shown = progress(shared_reader(run), status.state)
    st.caption(f"Your run is under way: {shown['text']}" if shown else "Your run is under way.")


def _reveal(lesson: Lesson, asked: int, runs: dict[str, Run]) -> None:
    """The guess beside what happened."""
    guess = lesson.steps[asked - 1].guess
    assert guess is not None  # the lesson was checked
    said, right = _said(lesson, asked), outcome(guess, runs)
    if right is None and guess.measure is None:  # what people counted themselves
        counts = [number for number, step in enumerate(lesson.steps, 1) if step.counted]
        right = next((_said(lesson, number) for number in counts), None)
    if right is None:
        return
    happened = f"What happened: **{guess.options[right]}**."
    if said is None:
        st.info(happened, icon=":material/lightbulb:")
    elif said == right:
        st.success(f"{happened} You guessed it.", icon=":material/check:")
    else:
        st.info(f"{happened} You had guessed: {guess.options[said]}.", icon=":material/lightbulb:")


def _parameters(lesson: Lesson, step: Step, runs: dict[str, Run]) -> dict[str, str]:
    """The page's own parameters for a step; those that need a run which is missing are left out."""
    wanted = lesson.runs[step.run].address if step.run else step.address
    found = {name: filled(value, runs) for name, value in wanted.items()}
    return {name: value for name, value in found.items() if value is not None}


def _link(step: Step, lesson: Lesson, runs: dict[str, Run]) -> None:
    assert step.page is not None
    st.page_link(
        file_of(step.page),
        label=f"This step takes place on {step.page.capitalize()}: go there",
        icon=":material/arrow_forward:",
        query_params={**_parameters(lesson, step, runs), **address.along()},
    )


def _buttons(lesson: Lesson, number: int, here: str, runs: dict[str, Run], done: bool, first: str) -> None:
    last = number == len(lesson.steps)
    with st.container(horizontal=True):
        if st.button("Back", key="lesson-back", icon=":material/arrow_back:", disabled=number == 1):
            _turn_to(lesson, number - 1, here, runs)
        common: dict[str, Any] = {"type": "primary", "disabled": not done, "help": None if done else first}
        if last and st.button("Finish", key="lesson-next", icon=":material/check:", **common):
            leave()
            st.switch_page("home.py")
        if not last and st.button("Next", key="lesson-next", icon=":material/arrow_forward:", **common):
            _turn_to(lesson, number + 1, here, runs)
        # before the page runs again: a rerun of its own would begin with the address that the browser still shows
        st.button("Leave the lesson", key="lesson-leave", type="tertiary", on_click=leave)


def _turn_to(lesson: Lesson, number: int, here: str, runs: dict[str, Run]) -> None:
    """To a step on its page, set up for it; one that is on no page in particular is shown where one is."""
    step = lesson.steps[number - 1]
    address.take_along(lesson_step=str(number))
    own = address.own() if step.page is None else _parameters(lesson, step, runs)
    st.switch_page(file_of(step.page or here), query_params={**own, **address.along()})
