"""The page: well-formed, self-contained, and deaf to what hostile text would have it do."""

from __future__ import annotations

import math
import re
import xml.etree.ElementTree as ElementTree
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from collegium.report.page import flatten, render_page, write_page
from collegium.report.results import (
    ArmRun,
    Baseline,
    Case,
    CaseAnswer,
    CleaningCount,
    Comparison,
    ModeResult,
    RunResults,
    TeacherResult,
)
from collegium.report.svg import DotRow, Line, Marker, dot_plot, line_chart, mean_line, ticks

HOSTILE = """"><script>alert(1)</script><img src=x onerror='alert(2)'> & </style> ${x} {0} é"""
VOID = {"meta", "br", "img", "link", "input", "hr"}


class Checker(HTMLParser):
    """Collects tags and attributes, and notices tags that are not closed in order."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.text: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs

    def handle_endtag(self, tag: str) -> None:
        assert self.open and self.open[-1] == tag, (tag, self.open)
        self.open.pop()

    def handle_data(self, data: str) -> None:
        self.text.append(data)


def parse(page: str) -> Checker:
    checker = Checker()
    checker.feed(page)
    checker.close()
    assert checker.open == []
    return checker


def hostile_results(text: str = HOSTILE) -> RunResults:
    """Return results in which every text is `text`."""
    mode = f"rationale:{text}"
    modes = {
        "label": ModeResult(accuracy=0.3, low=0.2, high=0.4, n=10),
        mode: ModeResult(accuracy=None, n=0),
    }
    runs = [
        ArmRun(
            arm=text,
            seed=seed,
            modes=modes,
            steps=4,
            curve=[{"step": 1, "loss": 2.0, text: 1.0}, {"step": 2, "loss": math.nan}],
        )
        for seed in (1, 2)
    ]
    answers = [
        CaseAnswer(arm=text, mode=mode, answer=text, rationale=text, correct=True),
        CaseAnswer(arm="not listed", mode="label", correct=False),
    ]
    return RunResults(
        title=text,
        recipe=text,
        task=text,
        description=text,
        runs=runs,
        arms={text: {text: {text: [text, text]}}},
        settings={text: text},
        teachers=[TeacherResult(name=text, kind=text, note=text, licence=text, modes=modes)],
        baselines=[Baseline(name=text, accuracy=0.9)],
        comparisons=[
            Comparison(arm=text, against=text, mode=mode, difference=-0.1, low=-0.2, high=0.0,
                       p_value=0.0001, n=10)
        ],
        cleaning=[CleaningCount(teacher=text, came=10, removed={text: 3}, arms=[text])],
        cases=[Case(id=text, question=text, choices=[text], gold=text, answers=answers)],
        notes=[text],
        provenance={text: {"inner": text}, "empty": None},
    )  # fmt: skip


def test_hostile_text_stays_text() -> None:
    page = render_page(hostile_results())
    checker = parse(page)
    assert not {"script", "img", "link", "iframe", "object"} & set(checker.tags)
    assert not [name for name, _ in checker.attributes if name.startswith("on")]
    assert page.count("</style>") == 1
    assert any(HOSTILE in text for text in checker.text)


def test_page_is_self_contained() -> None:
    page = render_page(hostile_results("plain"))
    checker = parse(page)
    for name, value in checker.attributes:
        assert name not in ("src", "srcset", "data", "action")
        if name == "href":
            assert value is not None and value.startswith("#")
    assert not re.search(r"https?:|url\(|@import", page)
    assert "prefers-color-scheme:dark" in page


def test_sections_appear_only_with_content() -> None:
    full = render_page(hostile_results("plain"))
    ids = re.findall(r'<section id="(\w+)"', full)
    assert ids == ["results", "compared", "curves", "teachers", "cleaning", "cases", "provenance"]
    assert re.findall(r'href="#(\w+)"', full) == ids
    bare = RunResults(
        title="t",
        recipe="r",
        task="k",
        runs=[ArmRun(arm="a", seed=0, modes={})],
    )
    page = render_page(bare)
    parse(page)
    assert re.findall(r'<section id="(\w+)"', page) == ["results", "compared"]


def test_every_drawing_is_well_formed_and_finite() -> None:
    page = render_page(hostile_results())
    drawings = re.findall(r"<svg.*?</svg>", page, re.DOTALL)
    assert len(drawings) == 3
    for drawing in drawings:
        ElementTree.fromstring(drawing)
        assert not re.search(r'"[^"]*(nan|inf)[^"]*"', drawing)


def test_validation_is_dashed_in_the_chart_of_its_quantity() -> None:
    curve = [
        {"step": 1, "loss": 3.0, "ce_loss": 3.0, "ce/label": 2.0, "learning_rate": 0.1, "epoch": 1},
        {"step": 2, "loss": 2.0, "ce_loss": 2.0, "ce/label": 1.0, "grad_norm": 1.0},
        {"step": 1, "eval_loss": 3.5, "eval_ce/label": 2.5, "eval_runtime": 1.0},
        {"step": 2, "eval_loss": 2.5, "eval_ce/label": 1.5, "eval_samples_per_second": 9.0},
        {"step": 2, "train_loss": 2.5, "train_runtime": 1.0, "total_flos": 1.0},
    ]
    runs = [ArmRun(arm="a", seed=seed, modes={}, curve=curve) for seed in (1, 2)]
    page = render_page(RunResults(title="t", recipe="r", task="k", runs=runs))
    assert re.findall("<figcaption>(.*?)</figcaption>", page) == ["loss", "cross-entropy, label"]
    lines = re.findall(r'<polyline class="(.*?)"', page)
    assert sorted(lines) == sorted(
        2 * ["curve k0", "curve k0 dashed", *2 * ["curve k0 faint"], *2 * ["curve k0 faint dashed"]]
    )
    assert "Dashed: validation" in page


def test_page_is_written_whole(tmp_path: Path) -> None:
    path = write_page(hostile_results("plain"), tmp_path / "report.html")
    assert path.read_text("utf-8") == render_page(hostile_results("plain"))
    assert [p.name for p in tmp_path.iterdir()] == ["report.html"]


def test_more_arms_than_colours() -> None:
    runs = [
        ArmRun(arm=f"arm {i}", seed=0, modes={"label": ModeResult(accuracy=i / 20, n=5)})
        for i in range(20)
    ]
    page = render_page(RunResults(title="t", recipe="r", task="k", runs=runs))
    parse(page)
    used = {int(k) for k in re.findall(r'class="key k(\d+)"', page)}
    assert used == set(range(8))


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (0.0, 1.0, [0.0, 0.2, 0.4, 0.6, 0.8, 1.0]),
        (0.0, 0.5, [0.0, 0.1, 0.2, 0.3, 0.4, 0.5]),
        (20, 600, [200.0, 400.0, 600.0]),
        (3.0, 3.0, [3.0]),
        (0.0, math.inf, [0.0]),
    ],
)
def test_ticks(low: float, high: float, expected: list[float]) -> None:
    assert ticks(low, high) == expected


def positions(drawing: str, tag: str, key: str) -> list[float]:
    root = ElementTree.fromstring(drawing)
    return [float(node.attrib[key]) for node in root.iter(tag)]


def test_dots_lie_where_the_axis_says() -> None:
    drawing = dot_plot(
        "accuracy", [DotRow("a", [0.2, 0.4]), DotRow("b", [])], markers=[Marker("chance", 0.25)]
    )
    assert "not measured" in drawing
    root = ElementTree.fromstring(drawing)
    axis = {
        float((node.text or "").removesuffix(" %")): float(node.attrib["x"])
        for node in root.iter("text")
        if (node.text or "").endswith(" %")
    }
    per_point = (axis[40] - axis[0]) / 40
    dots = positions(drawing, "circle", "cx")
    assert dots == pytest.approx([axis[0] + 20 * per_point, axis[0] + 40 * per_point], abs=0.11)
    ref = next(n for n in root.iter("line") if n.attrib["class"] == "ref")
    assert float(ref.attrib["x1"]) == pytest.approx(axis[0] + 25 * per_point, abs=0.11)


def test_lines_stay_inside_and_a_steep_beginning_is_cut() -> None:
    points: list[tuple[float, float]] = [(0, 100.0), *((float(i), 2.0) for i in range(1, 50))]
    drawing = line_chart("loss", [Line("a", points), Line("one", [(5, 1.0)]), Line("none", [])])
    root = ElementTree.fromstring(drawing)
    (line,) = root.iter("polyline")
    ys = [float(pair.split(",")[1]) for pair in line.attrib["points"].split()]
    assert 0 <= min(ys) < max(ys) <= 260
    # Drawn over 0 .. 2.2, not over 0 .. 100, where 2.0 would lie on the axis.
    assert ys[1] < 60
    assert len(list(root.iter("circle"))) == 1
    assert "nothing recorded" in line_chart("loss", [Line("a", [(1, math.nan)])])


def test_mean_over_seeds_needs_common_steps() -> None:
    seeds: dict[int, Any] = {1: [(1, 2.0), (2, 4.0), (3, 9.0)], 2: [(1, 4.0), (2, 6.0)]}
    assert mean_line("a", seeds, 0).points == [(1, 3.0), (2, 5.0)]


def test_flattening_keeps_empty_mappings() -> None:
    assert flatten({"a": {"b": 1, "c": {}}, "d": [1]}) == {"a.b": 1, "a.c": {}, "d": [1]}
