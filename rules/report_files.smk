# Paths of figures and tables with their captions for the report; defines no rules.
import inspect

from sitenet.evaluation.figures import ATTENTION_FIGURES, maps_of_trial
from sitenet.evaluation.report import front_page
from sitenet.files import write_text


def attention_figures():
    """The figures of the analysis of attention."""
    names = trial_names(benchmark.trials)
    maps = [maps_of_trial((trial, names[trial])) for trial in benchmark.analysed[0]]
    return [*ATTENTION_FIGURES, *maps]


def generated_caption(name, text):
    """Path of a caption of the report that is made here; it is written only when it changes."""
    path = Path(f".snakemake/captions/{name}.rst")
    if not path.exists() or path.read_text("utf-8") != text:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_text(path, text)
    return str(path.resolve())


def report_front():
    """Path of the text that the report begins with; when one is asked for, the leaderboard is in it."""
    introduction = Path(workflow.basedir, "captions/workflow.rst")
    if not any(argument.split("=")[0] == "--report" for argument in sys.argv):
        return str(introduction)
    leaderboard = Path(TABLES, "leaderboard.json")
    text = checked(front_page, introduction.read_text("utf-8"), leaderboard)
    return generated_caption("workflow", text)


def labels(name, caption):
    """What the report's list of results shows of one: its name, and the first sentence of its caption."""
    first = " ".join(caption.split()).partition(". ")[0].rstrip(".")
    return {"result": name.replace("_", " "), "shows": first}


def figure(kind):
    """Paths of a figure: SVG, for the report, and PNG; also writes its caption for the report."""
    caption = benchmark.task.words(kind.caption)
    vector = report(
        f"{FIGURES_FOLDER}/{kind.name}.svg",
        caption=generated_caption(kind.name, inspect.cleandoc(caption) + "\n"),
        category="Figures",
        labels=labels(kind.name, caption),
    )
    return [vector, f"{FIGURES_FOLDER}/{kind.name}.png"]


def reported(name):
    """Path of a CSV table for the report, with its caption."""
    text = Path(workflow.basedir, f"captions/{name}.rst").read_text("utf-8")
    caption = benchmark.task.words(text)
    return report(
        f"{TABLES}/{name}.csv",
        caption=generated_caption(f"table_{name}", caption),
        category="Tables",
        labels=labels(name, caption),
    )


def table(name):
    """Paths of a table: CSV, for the report, and Markdown."""
    return [reported(name), f"{TABLES}/{name}.md"]
