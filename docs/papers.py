"""The papers under which the documentation lists claims and derivations."""

from numerics.evidence.readings import OTHERS, PAPERS


def heading(paper: str) -> str:
    """The heading under which a paper's claims stand, as on the page of readings.

    Examples
    --------
    >>> heading("xiong"), heading("dlcl")
    ('Xiong et al. 2020', 'Other named schemes')
    """
    return PAPERS.get(paper, OTHERS)
