"""Near-duplicates, case by case."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pytest

from collegium import DedupStream, Encoded, Reason, deduplicate
from collegium.dedup import nearest, parse_bytes
from collegium.errors import ArgumentError, DataError

BASE = "we add the apples to the pears and then we get the total of"


def kept(texts, answers=None, groups=None, **options):
    groups = ["q"] * len(texts) if groups is None else groups
    return deduplicate(texts, groups, answers, **options)


def test_the_columns():
    texts = [f"{BASE} it all", f"{BASE.upper()}, it all!", f"{BASE} them all", "no"]
    found = kept(texts)
    assert found.keep.tolist() == [True, False, False, True]
    assert found.kept_by.tolist() == [0, 0, 0, 3]
    assert found.reason.tolist() == [Reason.KEPT, Reason.EXACT, Reason.NEAR, Reason.KEPT]
    assert [found.reason_name(r) for r in found.reason] == ["kept", "exact", "near", "kept"]
    assert found.similarity.tolist() == [1.0, 1.0, 0.75, 1.0]
    dtypes = [found.keep.dtype, found.kept_by.dtype, found.similarity.dtype, found.reason.dtype]
    assert dtypes == [np.bool_, np.int64, np.float32, np.uint8]


def test_reasons_are_stable_numbers():
    assert {reason.name: int(reason) for reason in Reason} == {
        "KEPT": 0,
        "EXACT": 1,
        "NEAR": 2,
        "DIVERSE": 3,
    }


def test_nothing():
    found = deduplicate([], [], [])
    assert found.keep.shape == found.similarity.shape == (0,)


def test_null_and_blank_texts_are_never_merged():
    found = kept([None, None, "", "", " \n", " \n", "\u3000", "\u3000"], keep=1, diverse=1)
    assert found.keep.all()
    assert (found.reason == Reason.KEPT).all()


def test_fewer_than_three_words_are_one_shingle():
    assert kept(["yes", "Yes.", "yes it", "it yes"]).keep.tolist() == [True, False, True, True]
    assert kept(["?!", "...", "?! "]).keep.tolist() == [True, True, False]


def test_rows_of_other_groups_and_answers_stay():
    texts = ["the same words"] * 5
    found = deduplicate(texts, ["q", "q", "q", "q", "r"], ["a", "b", None, None, "a"])
    assert found.kept_by.tolist() == [0, 1, 2, 2, 4]
    # An empty answer is an answer.
    assert kept(texts[:2], ["", None]).keep.all()


def test_the_numbers_of_rows_without_an_answer():
    texts = [
        f"{BASE} 12",
        f"{BASE} 13",
        f"Step 1: {BASE} 12.0",
        f"1. {BASE} 12",
        f"{BASE} -12",
        f"{BASE} 12 12",
    ]
    assert kept(texts).kept_by.tolist() == [0, 1, 0, 0, 4, 5]
    assert kept(texts, ["12"] * 6).keep.sum() == 1


def test_the_better_row_is_kept():
    def keeper(**columns):
        return int(kept(["a b c d e"] * 4, **columns).kept_by[0])

    assert keeper() == 0
    columns = {"ids": ["d", "c", "b", "a"]}
    assert keeper(**columns) == 3
    columns["teacher_rank"] = [1, 1, 0, 2]
    assert keeper(**columns) == 2
    columns["quality"] = [None, 0.5, 0.25, float("nan")]
    assert keeper(**columns) == 1
    columns["verified"] = [True, False, None, False]
    assert keeper(**columns) == 0
    # -0.0 is no worse than 0.0.
    assert keeper(quality=[-0.0, 0.0, 0.0, 0.0]) == 0


def test_a_star_is_no_chain():
    words = [f"w{i}" for i in range(60)]
    texts = [" ".join(words[shift : shift + 40]) for shift in (0, 5, 10)]
    # Each is like the next, the outer two are not alike.
    assert kept(texts, ["x"] * 3, threshold=0.75).keep.tolist() == [True, False, True]
    found = kept(texts, ["x"] * 3, ids=[1, 0, 2], threshold=0.75)
    assert found.kept_by.tolist() == [1, 1, 1]


def test_the_most_similar_kept_row_is_named():
    words = [f"w{i}" for i in range(60)]
    texts = [" ".join(words[shift : shift + 40]) for shift in (0, 10, 6)]
    found = kept(texts, ["x"] * 3, threshold=0.6)
    assert found.keep.tolist() == [True, True, False]
    assert found.kept_by[2] == 1


def test_several_of_a_cluster():
    texts = ["a b c d e"] * 3 + ["other"]
    assert kept(texts, keep=2).kept_by.tolist() == [0, 1, 0, 3]
    assert kept(texts, keep=9).keep.all()


def test_diverse_rows():
    texts = ["a b c d e f", "a b c d x y", "p q r s t u", "a b c d e f", "p q r s v w", None]
    found = kept(texts, ["x"] * 6, diverse=2)
    assert found.keep.tolist() == [True, False, True, False, False, True]
    assert found.kept_by.tolist() == [0, 0, 2, 0, 2, 5]
    assert [found.reason_name(r) for r in found.reason[1:5]] == [
        "diverse",
        "kept",
        "exact",
        "diverse",
    ]
    assert found.similarity[1] == np.float32(2 / 6)
    assert kept(texts, ["x"] * 6, diverse=5).keep.sum() == 5


def test_diverse_gives_every_dropped_row_a_kept_one():
    texts = ["a b c d e f", "p q r s t u", "a b c d x y", "a b c d x y!"]
    found = kept(texts, ["x"] * 4, diverse=2)
    assert found.keep.tolist() == [True, True, False, False]
    assert found.kept_by.tolist() == [0, 1, 0, 0]
    assert found.reason[3] == Reason.DIVERSE


def test_characters_and_tokens():
    texts = ["日本語の文章です", "日本語の文章ですよ", "違う文", "日本語  の"]
    assert kept(texts).keep.all()
    assert kept(texts, view="chars").keep.tolist() == [True, False, True, True]
    ids = [[1, 2, 3, 4], np.array([1, 2, 3, 4]), [], None]
    found = kept(["a", "b", "c", "d"], view="tokens", token_ids=ids)
    assert found.kept_by.tolist() == [0, 0, 2, 3]
    flat = Encoded(np.array([1, 2, 1, 2], np.uint32), np.array([0, 2, 4], np.int64))
    found = kept(["a", "b"], view="tokens", token_ids=flat)
    assert found.kept_by.tolist() == [0, 0]


def test_ordinary_lengths_are_better():
    texts = ["so five", "So, five! " + " " * 40]
    assert kept(texts).kept_by.tolist() == [1, 1]
    assert kept(texts, teacher_rank=[0, 1]).kept_by.tolist() == [1, 1]
    assert kept(texts, quality=[1, 0]).kept_by.tolist() == [0, 0]


def test_across_groups():
    texts = ["the same words again"] * 4
    groups, answers = ["p", "q", "r", "s"], ["x", "x", "y", None]
    assert deduplicate(texts, groups, answers).keep.all()
    found = deduplicate(texts, groups, answers, scope="all")
    assert found.kept_by.tolist() == [0, 0, 2, 3]


def test_equations_in_one_spelling():
    texts = ["It is 1,000 + 2.50 = 1002.5.", "it is 1000+2.5=1002.50", "it is 1000-2.5=1002.5"]
    assert kept(texts, ["x"] * 3, threshold=1).keep.all()
    found = kept(texts, ["x"] * 3, threshold=1, view="canonical")
    assert found.keep.tolist() == [True, False, True]
    # The numbers guard holds in every view.
    assert kept(["about 5 of them", "about 6 of them"], view="canonical").keep.all()


def test_many_copies_take_linear_time():
    texts = ["we add two and two and get four, which is the answer"] * 100_000
    for options in ({}, {"scope": "all"}, {"scope": "all", "mode": "lsh"}, {"memory": "64MiB"}):
        found = deduplicate(texts, ["q"] * len(texts), ["4"] * len(texts), **options)
        assert found.kept_by.max() == 0


def test_a_huge_text():
    huge = "one more word " * 3_500_000
    found = kept([huge, huge + "!", "short", None], ["x"] * 4)
    assert found.kept_by.tolist() == [0, 0, 2, 3]


def test_a_stream_of_parts():
    texts = ["a b c d e", None, "a b c d e f", "", "a b c d e", "other words here"]
    answers = ["x", "x", "x", "x", "y", None]
    whole = deduplicate(texts, [0] * 6, answers, ids=[5, 4, 3, 2, 1, 0], threshold=0.6)
    stream = DedupStream(threshold=0.6, memory="1MiB")
    for start in range(0, 6, 2):
        part = slice(start, start + 2)
        stream.add(texts[part], [0, 0], answers[part], ids=[5 - start, 4 - start])
    found = stream.finish()
    assert found.kept_by.tolist() == whole.kept_by.tolist() == [2, 1, 2, 3, 4, 5]
    with pytest.raises(ArgumentError, match="this stream is finished"):
        stream.finish()
    stream = DedupStream()
    stream.add(["a"], [0], None)
    with pytest.raises(ArgumentError, match="of one kind in all parts"):
        stream.add(["a"], ["q"], None)
    with pytest.raises(ArgumentError, match="groups has 2 rows, but there are 1 texts"):
        stream.add(["a"], [0, 1], None)


FULL_DISK = """
import resource, signal, sys
from collegium import deduplicate
from collegium.errors import RunError
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 16, 1 << 16))
texts = [f"words of text number {i} that are long enough to fill a file" for i in range(20000)]
try:
    deduplicate(texts, [0] * len(texts), ["x"] * len(texts), memory="1MiB")
except RunError as error:
    print(error)
"""


def test_a_full_disk_is_told(tmp_path):
    told = subprocess.run(
        [sys.executable, "-c", FULL_DISK],
        env={**os.environ, "TMPDIR": str(tmp_path)},
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    assert f"temporary files in {tmp_path}" in told and "TMPDIR" in told
    assert not list(tmp_path.iterdir())


def test_nearest():
    found = nearest(["a b c d", None, "x y z", "A b c d!"], ["q r s", "a b c d e", "a b c d"])
    assert found.row.tolist() == [2, -1, -1, 2]
    assert found.same.tolist() == [True, False, False, True]
    assert nearest(["a b c d"], ["a b c d e"], threshold=0.6).similarity[0] == np.float32(2 / 3)
    with pytest.raises(ArgumentError, match="threshold=0 is out of range"):
        nearest(["a"], ["a"], threshold=0)


def test_sizes():
    sizes = ["2GiB", "1.5 kb", "10", 7, "3M"]
    assert [parse_bytes("memory", s) for s in sizes] == [2 << 30, 1500, 10, 7, 3_000_000]


def test_columns_of_strings():
    assert kept(np.array(["a b", "a b"]), np.array(["x", "x"]), ("q", "q")).keep.sum() == 1
    assert kept((t for t in ["a b", "a b"]), groups=["q", "q"]).keep.sum() == 1


@pytest.mark.parametrize(
    ("options", "hint"),
    [
        ({"memory": 0}, "memory=0 is out of range"),
        ({"memory": "2 gigs"}, "memory='2 gigs': expected bytes or a size such as '2GiB'"),
        ({"memory": 1.5}, "memory=1.5: expected an integer"),
        ({"view": "bytes"}, "view='bytes' is out of range: expected 'words', 'chars', 'tokens' or"),
        ({"scope": "question"}, "expected 'group' or 'all'"),
        ({"mode": "fast"}, "expected 'exact' or 'lsh'"),
        ({"view": "tokens"}, "pass them as token_ids"),
        ({"token_ids": [[1], [2]]}, "only with view='tokens'"),
        ({"view": "tokens", "token_ids": [[1]]}, "token_ids has 1 rows, but there are 2 texts"),
        ({"view": "tokens", "token_ids": [[1], [-1]]}, r"token_ids\[1\]\[0\] = -1"),
        ({"threshold": 0}, "threshold=0 is out of range"),
        ({"threshold": 1.5}, "threshold=1.5"),
        ({"threshold": float("nan")}, "threshold=NaN"),
        ({"threshold": "0.7"}, "threshold='0.7': expected a number"),
        ({"keep": 0}, "keep=0 is out of range: expected at least 1"),
        ({"keep": 1.5}, "keep=1.5: expected an integer"),
        ({"diverse": -1}, "diverse=-1"),
        ({"ids": ["a"]}, "ids has 1 rows, but there are 2 texts"),
        ({"ids": ["a", None]}, r"ids\[1\] is null"),
        ({"ids": [1, "a"]}, "ids"),
        ({"verified": [True]}, "verified has 1 rows"),
        ({"verified": [True, 3]}, r"verified\[1\] = 3"),
        ({"quality": [1.0]}, "quality has 1 rows"),
        ({"quality": [1.0, "x"]}, r"quality\[1\] = 'x'"),
        ({"teacher_rank": [0, 1, 2]}, "teacher_rank has 3 rows"),
        ({"teacher_rank": [0, None]}, r"teacher_rank\[1\] = None"),
    ],
)
def test_what_does_not_fit_is_named(options, hint):
    with pytest.raises(ArgumentError, match=hint) as caught:
        deduplicate(["a", "b"], ["q", "q"], ["x", "x"], **options)
    assert isinstance(caught.value, ValueError)


def test_columns_that_do_not_fit():
    with pytest.raises(ArgumentError, match="groups has 1 rows, but there are 2 texts"):
        deduplicate(["a", "b"], ["q"], ["x", "x"])
    with pytest.raises(ArgumentError, match="answers has 3 rows"):
        deduplicate(["a", "b"], ["q", "q"], ["x", "x", "x"])
    with pytest.raises(ArgumentError, match=r"groups\[1\] is null"):
        deduplicate(["a", "b"], ["q", None], ["x", "x"])
    with pytest.raises(ArgumentError, match=r"texts\[1\]: expected a string or None, found int"):
        deduplicate(["a", 3], ["q", "q"], ["x", "x"])
    with pytest.raises(ArgumentError, match=r"answers\[0\] is not valid Unicode"):
        deduplicate(["a", "b"], ["q", "q"], ["\udfff", "x"])
    assert issubclass(DataError, ValueError)


COUNTING = """
import random
from collegium import deduplicate
r = random.Random(0)
texts = [" ".join(r.choices("abcd", k=r.randrange(4, 12))) for _ in range(4000)]
groups = [r.randrange(200) for _ in texts]
answers = [r.choice(["x", "y", None]) for _ in texts]
import hashlib
for options in (
    {"keep": 2, "diverse": 3},
    {"scope": "all"},
    {"scope": "all", "mode": "lsh"},
    {"scope": "all", "memory": 1 << 20},
):
    found = deduplicate(texts, groups, answers, threshold=0.5, **options)
    columns = (found.keep, found.kept_by, found.similarity, found.reason)
    print(hashlib.sha256(b"".join(c.tobytes() for c in columns)).hexdigest())
"""


def test_the_number_of_threads_changes_nothing():
    digests = {
        subprocess.run(
            [sys.executable, "-c", COUNTING],
            env={**os.environ, "COLLEGIUM_NUM_THREADS": count},
            check=True,
            capture_output=True,
            text=True,
        ).stdout
        for count in ("1", "2", "5")
    }
    assert len(digests) == 1
