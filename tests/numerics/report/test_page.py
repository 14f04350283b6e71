"""The page: every claim once, all text harmless, nothing loaded, and true about what changed."""

import json
import re
from collections import Counter
from html.parser import HTMLParser
from pathlib import Path

import pytest

from numerics.cli.main import run
from numerics.report.changes import changes
from numerics.report.page import TEMPLATE, render
from numerics.report.readers import read_run
from theory.errors import InputError
from theory.ledger import LEDGER

ROOT = Path(__file__).parents[3]


class Page(HTMLParser):
    """Tags with their attributes, and the text without the style and the script."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.written: list[str] = []
        self.inside = ""
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        self.inside = tag

    def handle_endtag(self, tag):
        if tag == self.inside:
            self.inside = ""

    def handle_data(self, data):
        if self.inside not in ("style", "script"):
            self.written.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.written).split())

    def cards(self) -> list[dict[str, str | None]]:
        return [a for tag, a in self.tags if tag == "details" and "data-verdict" in a]


@pytest.fixture
def page(document, stored):
    return render([read_run(stored(document))])


def test_every_claim_has_one_card_with_its_verdict(document, page):
    titles = Counter(re.findall(r'<code class="id">(.*?)</code>', page))
    assert titles == Counter(claim.id for claim in LEDGER)
    shown = [card["data-verdict"] for card in Page(page).cards()]
    assert shown == [row["verdict"] for row in document["claims"]]
    assert len(set(shown)) >= 4


def test_the_summary_counts_what_the_cards_say(page):
    cards = Page(page).cards()
    labels = {attributes.get("aria-label") for _, attributes in Page(page).tags}
    for verdict, count in Counter(card["data-verdict"] for card in cards).items():
        assert f"<b>{count}</b> <span>{verdict}</span>" in page
    for (group, verdict), count in Counter(
        (card["data-group"], card["data-verdict"]) for card in cards
    ).items():
        assert f"Show {count} of {group}: {verdict}" in labels


def test_text_of_a_document_never_becomes_markup(page):
    tags = Counter(tag for tag, _ in Page(page).tags)
    assert tags["script"] == 1
    assert tags["img"] == 0
    assert not any(name.startswith("on") for _, attrs in Page(page).tags for name in attrs)
    assert "<script>alert('x')</script> & <img" in Page(page).text


def test_nothing_is_loaded(page):
    for tag, attributes in Page(page).tags:
        assert tag not in ("link", "iframe", "object", "embed", "base")
        assert not attributes.get("src")
        assert (attributes.get("href") or "#").startswith("#")
    assert not re.search(r"@import|url\(\s*['\"]?(?!#)", page)
    assert "default-src 'none'" in page


def test_ids_are_unique_and_links_lead_somewhere(page):
    tags = Page(page).tags
    ids = [attributes["id"] for _, attributes in tags if attributes.get("id")]
    assert Counter(ids).most_common(1)[0][1] == 1
    links = {attributes["href"] for tag, attributes in tags if tag == "a"}
    assert {link[1:] for link in links if link} <= set(ids)


def test_a_card_shows_number_interval_control_and_how_to_repeat(stored, changed):
    one = changed(lambda d: d.update(claims=d["claims"][:1]))
    text = Page(render([read_run(stored(one))])).text
    name = one["claims"][0]["id"]
    for part in (
        "found at 0",
        "0.01",
        "[−0.01, 0.03]",
        "0 ± 0.05",
        "depths 6…200",
        "the sign exchanged",
        f"tfixup verify --claims {name} --verbose",
    ):
        assert part in text
    assert "value 0.01, 95 % interval from −0.01 to 0.03; asked: 0 ± 0.05" in render(
        [read_run(stored(one))]
    )


def test_level_and_seed_are_repeated(stored, changed):
    text = Page(render([read_run(stored(changed(lambda d: d.update(level="full", seed=7))))])).text
    assert "--level full --seed 7 --verbose" in text


def test_a_control_that_was_not_rejected_is_shown_first_and_undoes_the_verdict(stored, changed):
    def spoil(document):
        document["claims"][0]["evidence"][0]["control"]["rejected"] = False

    found = read_run(stored(changed(spoil)))
    assert found.cards[0].verdict == "undecided"
    text = Page(render([found])).text
    assert "Doubtful: look at these first" in text
    assert "NOT SO: this check does not count" in text
    assert f"The document says “{'holds'}”" in text


def test_a_typed_verdict_is_found_out(stored, changed, document):
    assert all(not card.warning for card in read_run(stored(document)).cards)
    typed = read_run(stored(changed(lambda d: d["claims"][1].update(verdict="holds"))))
    assert typed.cards[1].verdict == "fails"
    assert "The document says “holds”" in typed.cards[1].warning


def test_no_change_is_told_where_there_is_none(stored, document):
    now, old = read_run(stored(document)), read_run(stored(document, "old.json"))
    same = changes(old, [now])
    assert same.found == ()
    assert same.shared == len(LEDGER)
    text = Page(render([now], same)).text
    assert "no verdict changed , nothing else either" in text.replace("changed,", "changed ,")


def test_numbers_that_move_are_no_change(stored, document, changed):
    moved = changed(lambda d: d["claims"][0]["evidence"][0].update(value=0.02, seconds=9.0))
    assert changes(read_run(stored(document)), [read_run(stored(moved, "b.json"))]).found == ()


def test_every_change_is_told(stored, document, changed):
    def earlier(old):
        old["claims"][1]["evidence"] = []  # undecided before, fails now
        old["claims"][5]["evidence"].append(dict(old["claims"][5]["evidence"][0], kind="proof"))
        old["claims"].append(dict(old["claims"][0], id="tfixup.dropped"))
        del old["claims"][10]  # new

    now, old = read_run(stored(document)), read_run(stored(changed(earlier), "old.json"))
    found = changes(old, [now])
    told = {change.key: change for change in found.found if change.kind != "evidence"}
    ids = [row["id"] for row in document["claims"]]
    assert told[ids[1]].what == "undecided before, fails now"
    assert told["tfixup.dropped"].what == "not in this report; holds before"
    assert told[ids[10]].what == "new: holds"
    assert len(told) == 3
    evidence = {change.key: change.what for change in found.found if change.kind == "evidence"}
    assert evidence.keys() == {ids[1], ids[5]}
    assert evidence[ids[1]].startswith("new evidence: ")
    added = read_run(stored(changed(earlier), "old.json")).cards[5].checks[-1]
    assert evidence[ids[5]] == f"evidence that is gone: proof {added.word}"
    page = render([now], found)
    assert "1 verdict changed" in Page(page).text
    marked = [card for card in Page(page).cards() if card["data-changed"] == "yes"]
    assert len(marked) == 3


def test_against_another_kind_of_run_is_refused(stored, document):
    audit = stored({"model": "m", "audits": []}, "audit.json")
    with pytest.raises(InputError, match="kind of a run in the report"):
        changes(read_run(audit), [read_run(stored(document))])


def test_the_command_writes_the_page(stored, document, tmp_path, capsys):
    path, out = stored(document), tmp_path / "page.html"
    assert (
        run(["report", str(path), "--out", str(out), "--against", str(stored(document, "o"))]) == 0
    )
    assert f"{len(LEDGER)} verdicts, 0 changed" in capsys.readouterr().out
    assert out.read_text(encoding="utf-8").startswith("<!DOCTYPE html>")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("{", "must be a JSON file"),
        ("[]", "must be a JSON object"),
        ('{"clock": 1}', "an object of another kind (clock)"),
        ('{"claims": [{}], "level": "quick", "seed": 0}', "no 'id'"),
        ('{"claims": [1], "level": "quick", "seed": 0}', "must be what verify --json writes"),
        ('{"audits": [{}], "model": "m"}', "must be what audit --json writes"),
        ('{"optimizers": [{}], "over": "depth"}', "must be what check --json writes"),
    ],
)
def test_a_damaged_file_is_one_line_and_exit_code_2(content, said, tmp_path, capsys):
    path = tmp_path / "bad.json"
    path.write_text(content)
    assert run(["report", str(path), "--out", str(tmp_path / "r.html")]) == 2
    err = capsys.readouterr().err
    assert said in err
    assert err.count("\n") == 1
    assert not (tmp_path / "r.html").exists()


@pytest.mark.parametrize("name", ["passed", "kind", "reading", "control", "interval"])
def test_damaged_evidence_is_refused(name, stored, changed):
    for value in ("odd", 0, 3, [1], {}):
        bad = changed(lambda d, v=value: d["claims"][0]["evidence"][0].update({name: v}))
        with pytest.raises(InputError, match="must be what verify --json writes"):
            read_run(stored(bad))


def test_a_claim_twice_is_refused(stored, changed):
    with pytest.raises(InputError, match="occurs twice"):
        read_run(stored(changed(lambda d: d["claims"].append(d["claims"][0]))))


def test_what_cannot_be_read_or_written_is_told_before_any_work(tmp_path, stored, document, capsys):
    path = str(stored(document))
    empty = tmp_path / "empty"
    empty.mkdir()
    for arguments, said in (
        ([path, "--out", str(tmp_path / "no" / "r.html")], "cannot write"),
        ([path, "--out", path], "must not be a file that is read"),
        ([path, path, "--out", str(tmp_path / "r.html")], "named once"),
        ([str(empty), "--out", str(tmp_path / "r.html")], "holds none of them"),
        ([str(tmp_path / "none"), "--out", str(tmp_path / "r.html")], "does not exist"),
    ):
        assert run(["report", *arguments]) == 2
        assert said in capsys.readouterr().err
    assert json.loads(Path(path).read_text())["claims"]


def test_the_template_stands_in_the_package():
    names = {path.name for path in TEMPLATE.iterdir()}
    assert {"page.html.jinja", "page.css", "page.js"} <= names
    assert TEMPLATE.is_relative_to(ROOT / "numerics")
