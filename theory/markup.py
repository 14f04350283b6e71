"""A verdict and a derivation as a notebook shows them: HTML, with formulas that MathJax sets.

Nothing here decides anything: a verdict's evidence is shown as it is, and a derivation's steps are
checked while they are written out.
"""

from html import escape

import sympy as sp

from theory.claims import Evidence, Verdict
from theory.derivations.derivation import CheckedStep, Derivation

_SHADES = {True: "#0b6e4f", False: "#d1495b", None: "#777777"}
_PASSED = {True: "passed", False: "failed", None: "undecided"}
_CELL = 'style="text-align:left;vertical-align:top;padding:3px 8px"'


def verdict_page(found: Verdict) -> str:
    """The claim, the verdict, and a row per piece of evidence.

    Examples
    --------
    >>> from theory.claims import Claim, verdict
    >>> print(verdict_page(verdict(Claim("p.x", "a < b", "Eq. 1", (), None), [])))
    <div><p><b>p.x</b> (Eq. 1): a &lt; b<br><b>undecided</b>: no evidence yet</p></div>
    """
    claim = found.claim
    more = f": {escape(found.qualification)}" if found.qualification else ""
    head = (
        f"<p><b>{escape(claim.id)}</b> ({escape(claim.where)}): {escape(claim.statement)}<br>"
        f"<b>{escape(str(found.outcome))}</b>{more}</p>"
    )
    if not found.evidence:
        return f"<div>{head}</div>"
    names = ("by", "tested", "", "found", "control")
    heads = "".join(f"<th {_CELL}>{name}</th>" for name in names)
    rows = "".join(map(_evidence, found.evidence))
    return f"<div>{head}<table><thead><tr>{heads}</tr></thead><tbody>{rows}</tbody></table></div>"


def _evidence(item: Evidence) -> str:
    tested = f"{item.reading}: {item.reading_text}" if item.reading_text else str(item.reading)
    rejected = "rejected" if item.control.rejected else "NOT REJECTED"
    mark = f'<span style="color:{_SHADES[item.passed]}">{_PASSED[item.passed]}</span>'
    control = f"{escape(item.control.description)}: {rejected}"
    texts = (escape(str(item.kind)), escape(tested), mark, escape(item.summary), control)
    return "<tr>" + "".join(f"<td {_CELL}>{text}</td>" for text in texts) + "</tr>"


def derivation_page(found: Derivation) -> str:
    """Every step in words and as a formula, with how it was checked.

    Examples
    --------
    >>> from theory.arguments import derive
    >>> [found] = derive("tfixup.encoder-scale")
    >>> page = derivation_page(found)
    >>> page.count("<li>") == len(found.steps), "FAILS" in page
    (True, False)
    """
    steps = "".join(f"<li>{_step(checked)}</li>" for checked in found.check())
    return f"<div><p><b>{escape(found.title)}</b></p><ol>{steps}</ol></div>"


def _step(checked: CheckedStep) -> str:
    step, good = checked.step, checked.holds and checked.control_rejected
    told = step.checked
    if not good:
        told = "FAILS" if not checked.holds else "UNSOUND: the altered step passed too"
    mark = f'<span style="color:{_SHADES[good]}">{escape(told)}</span>'
    given = "".join(f"<br>given: {escape(text)}" for text in step.given)
    formula = escape(sp.latex(step.statement))
    return f"{escape(step.because)} <small>({mark})</small>{given} $${formula}$$"
