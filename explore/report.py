"""A study as one HTML file that needs nothing beside it."""

from collections.abc import Iterable, Sequence
from html import escape
from importlib import resources

from ..driver.layers import LayerReport
from .layers import design_layers
from .metrics import METRICS, RESOURCES
from .pictures import parallel_picture, pareto_picture, sensitivity_picture
from .results import Row, front_rows, point_rows, preset_rows
from .study import Study
from .units import shown_value

__all__ = ["study_html"]

_PICTURES = (
    ("The front", pareto_picture),
    ("Parameters and results", parallel_picture),
    ("What each parameter is worth", sensitivity_picture),
)
_MOST_COLUMNS = 12
_RUNGS = (
    "<i>closed form</i>, a formula; <i>learnt</i>, the formula corrected by what was synthesised and routed before; "
    "<i>timing</i>, compiled and timed to the cycle; <i>tuned</i>, the same with schedules that were searched for; "
    "<i>rtl</i>, counted by its Verilog, which gave every bit; <i>synthesis</i>, counted in Yosys' netlist; "
    "<i>routed</i>, nextpnr's clock"
)


def study_html(study: Study) -> str:
    """The question, the front with each number's rung, pictures, and every design that was looked at."""
    question = study.question
    searched = [parameter.name for parameter in question.space.parameters]
    names = ", ".join(model.name for model in question.setting.workload.models)
    front = front_rows(question, study.front())
    parts = [
        f"<h1>{escape(names)} on {escape(question.setting.board)}</h1>",
        _facts(study),
        "<h2>Designs of the front</h2>",
        f"<p>Below each number, how it was come by: {_RUNGS}.</p>",
        _table(front, []),
        "<h2>Their parameters</h2>",
        _parameters(front, searched),
        *_presets(study),
        *_layers(study),
    ]
    if study.front() and len(question.goals) > 1:
        for heading, picture in _PICTURES:
            parts.append(f"<h2>{heading}</h2><figure>{_inline(picture(study, 'svg'))}</figure>")
    rows = point_rows(study)
    parts.append(f"<details><summary>All {len(rows):,} designs</summary>{_table(rows, searched, all_of_them=True)}")
    parts.append("</details>")
    page = resources.files(__package__).joinpath("report.html").read_text(encoding="utf-8")
    return page.replace("{{title}}", escape(f"{names} on {question.setting.board}")).replace(
        "{{body}}", "\n".join(parts)
    )


def _presets(study: Study) -> Iterable[str]:
    """What the hand-made designs cost, as far as the search looked at them."""
    rows = preset_rows(study)
    if rows:
        yield "<h2>Presets, for comparison</h2>"
        yield _table(rows, [], all_of_them=True)


def _parameters(rows: Sequence[Row], searched: Sequence[str]) -> str:
    head = "".join(f"<th>{escape(name)}</th>" for name in ("", "design", *searched))
    body = "\n".join(f"<tr>{''.join(_cells(row, (), searched, False))}</tr>" for row in rows)
    return f"<div class=wide><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>"


def _layers(study: Study) -> Iterable[str]:
    """For each model, the share of the multipliers' cycles that each layer used on each design of the front."""
    front = study.front()[:_MOST_COLUMNS]
    if not front:
        return
    yield "<h2>Multipliers used, layer by layer</h2>"
    yield "<p>The share of the multipliers' cycles that did a multiplication; below it, what bound the layer.</p>"
    found = [design_layers(study.question.setting.workload, candidate.config) for candidate in front]
    heads = "".join(
        f"<th>{number} {escape(candidate.config.name)}</th>" for number, candidate in enumerate(front, start=1)
    )
    for model in found[0]:
        names = [report.name for report in found[0][model]]
        by_name = [{report.name: report for report in each[model]} for each in found]
        rows = "\n".join(
            f"<tr><td></td><td>{escape(name)}</td>{''.join(_used(each.get(name)) for each in by_name)}</tr>"
            for name in names
        )
        head = f"<thead><tr><th></th><th>{escape(model)}</th>{heads}</tr></thead>"
        yield f"<div class=wide><table class=layers>{head}<tbody>{rows}</tbody></table></div>"


def _used(report: LayerReport | None) -> str:
    if report is None or report.utilisation is None or report.cycles is None:
        return "<td></td>"
    share, bound = report.utilisation, escape(report.bound or "")
    shade = f"background:rgba(27,120,55,{0.6 * min(share, 1):.2f})"
    return f'<td style="{shade}" title="{report.cycles:,} cycles">{share:.0%}<small>{bound}</small></td>'


def _facts(study: Study) -> str:
    question = study.question
    outcomes = ", ".join(f"{count:,} {outcome}" for outcome, count in study.counted.items() if count)
    facts = {
        "Objectives": ", ".join(map(str, question.goals)),
        "Constraints": ", ".join(map(str, question.constraints)) or "none",
        "Search": f"{question.searcher}, seed {question.setting.seed}",
        "Learnt": " ".join(study.correction.lines()) or "nothing: no design had been synthesised",
        "Trials": f"{study.trials:,}, {study.points:,} different designs: {outcomes}",
    }
    if study.unreported:
        facts["Not shown"] = f"{study.unreported:,} more designs of the front, which were not verified"
    return "<dl>" + "".join(f"<dt>{key}</dt><dd>{escape(text)}</dd>" for key, text in facts.items()) + "</dl>"


def _table(rows: Sequence[Row], searched: Sequence[str], *, all_of_them: bool = False) -> str:
    metrics = [name for name in METRICS if any(name in row.values for row in rows)]
    outcome = ("outcome", "reason") if all_of_them else ()
    heads = ("", "design", *metrics, *searched, *outcome)
    head = "".join(f"<th>{escape(name)}</th>" for name in heads)
    body = "\n".join(f"<tr>{''.join(_cells(row, metrics, searched, all_of_them))}</tr>" for row in rows)
    return f"<div class=wide><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>"


def _cells(row: Row, metrics: Sequence[str], searched: Sequence[str], outcome: bool) -> Iterable[str]:
    yield f"<td>{row.number or ''}</td><td>{escape(row.config.name)}</td>"
    for name in metrics:
        if name not in row.values:
            yield "<td></td>"
            continue
        share = f" ({row.shares[name]:.0%})" if name in RESOURCES else ""
        value = f"{shown_value(row.values[name], METRICS[name].unit)}{share}"
        yield f'<td title="{escape(row.rungs[name])}">{escape(value)}<small>{escape(row.rungs[name])}</small></td>'
    for name in searched:
        yield f"<td>{getattr(row.config, name):,}</td>"
    if outcome:
        yield f"<td>{escape(row.outcome)}</td><td>{escape(row.reason)}</td>"


def _inline(svg: bytes) -> str:
    """Without what comes before the element itself, which HTML does not know."""
    text = svg.decode()
    return text[text.index("<svg") :]
