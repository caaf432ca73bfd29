"""Splits that hold out an element, a chemical system or a cluster: nothing of it is in training or validation."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sitenet.data.load import load_dataset
from sitenet.data.manifest import FoldCounts, Splits
from sitenet.data.sources.bundled import BundledDataset
from sitenet.data.splits.held_out import chemical_systems, element_tests
from sitenet.data.splits.write import write_splits
from sitenet.errors import UserError
from sitenet.settings.problems import validate
from sitenet.settings.splits import ClusterSplits, ElementSplits, KFoldSplits, SplitSettings

DATASET = BundledDataset(source="bundled", name="mp_dielectric_gap")
SYSTEMS = KFoldSplits(kind="chemical_system")
ELEMENTS = ElementSplits(kind="element")
CLUSTERS = ClusterSplits(kind="cluster", n_folds=4)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bundled crystals with a table of features: four groups of points that do not overlap, of known sizes."""
    folder = tmp_path_factory.mktemp("data")
    load_dataset(DATASET, folder)
    ids = pd.read_parquet(folder / "targets.parquet")["id"]
    centre = np.repeat([0.0, 50.0, 100.0, 150.0], [100, 200, 306, 450])
    near = np.random.default_rng(0).normal(size=(2, len(ids)))
    frame = pd.DataFrame({"id": ids, "a": centre + near[0], "b": 1e6 * (centre % 100 + near[1]), "constant": 1.0})
    frame.sample(frac=1, random_state=1).to_parquet(folder / "features.parquet", index=False)
    return folder


def split(splits: SplitSettings, data: Path) -> tuple[Splits, list[tuple[set[str], set[str], set[str]]]]:
    """The record, and the ids of the train, validation and test part of each fold."""
    record = write_splits(splits, DATASET, data, data / "features.parquet")
    folds = []
    for number in range(len(record.folds)):
        folder = data / "folds" / f"fold{number}"
        train, test = pd.read_parquet(folder / "train.parquet"), pd.read_parquet(folder / "test_inputs.parquet")
        by_part = train.groupby("part")["id"].agg(set)
        folds.append((by_part["train"], by_part["validation"], set(test["id"])))
    return record, folds


@pytest.mark.parametrize("splits", [SYSTEMS, ELEMENTS, CLUSTERS], ids=lambda splits: splits.kind)
def test_parts_have_every_crystal_once_and_validation_is_whole_systems(splits: SplitSettings, data: Path) -> None:
    systems = chemical_systems(data / "structures.parquet")
    record, folds = split(splits, data)
    assert len(folds) == splits.model_dump()["n_folds"]
    for counts, (train, validation, test) in zip(record.folds, folds, strict=True):
        assert train | validation | test == systems.keys()
        assert (len(train), len(validation), len(test)) == (counts.train, counts.validation, counts.test)
        assert sum(map(len, (train, validation, test))) == len(systems)
        assert not {systems[id_] for id_ in train} & {systems[id_] for id_ in validation}
        assert len(validation) == pytest.approx(0.1 * counts.full_train, abs=10)


@pytest.mark.parametrize("splits", [SYSTEMS, CLUSTERS], ids=lambda splits: splits.kind)
def test_every_crystal_is_tested_once(splits: SplitSettings, data: Path) -> None:
    _, folds = split(splits, data)
    tested = [id_ for _, _, test in folds for id_ in test]
    assert sorted(tested) == sorted(chemical_systems(data / "structures.parquet"))


def test_no_chemical_system_is_in_two_parts(data: Path) -> None:
    systems = chemical_systems(data / "structures.parquet")
    assert len(set(systems.values())) < len(systems)  # otherwise nothing is tested
    record, folds = split(SYSTEMS, data)
    assert record.held_out == ()
    assert max(len(test) for *_, test in folds) - min(len(test) for *_, test in folds) <= 1
    for parts in folds:
        train, validation, test = ({systems[id_] for id_ in part} for part in parts)
        assert len(train | validation | test) == len(train) + len(validation) + len(test)


def test_only_the_test_part_has_the_held_out_elements(data: Path) -> None:
    systems = {id_: set(system.split("-")) for id_, system in chemical_systems(data / "structures.parquet").items()}
    record, folds = split(ElementSplits(kind="element", elements=(("O",), ("F", "Cl"))), data)
    assert record.held_out == ("O", "F, Cl")
    for held_out, (train, validation, test) in zip(({"O"}, {"F", "Cl"}), folds, strict=True):
        assert all(systems[id_] & held_out for id_ in test)
        assert not any(systems[id_] & held_out for id_ in train | validation)


def test_drawn_elements_are_neither_rare_nor_everywhere(data: Path) -> None:
    systems = chemical_systems(data / "structures.parquet")
    record, folds = split(ELEMENTS, data)
    sizes = [len(test) for *_, test in folds]
    assert sizes == sorted(sizes, reverse=True)
    assert all(0.05 * len(systems) <= size <= 0.25 * len(systems) for size in sizes)
    assert len(set(record.held_out)) == 5
    assert set(record.held_out) != set(split(ElementSplits(kind="element", seed=1), data)[0].held_out)


def test_clusters_are_the_groups_of_points_largest_first(data: Path) -> None:
    ids = pd.read_parquet(data / "targets.parquet")["id"].tolist()
    record, folds = split(CLUSTERS, data)
    assert [test for *_, test in folds] == [
        set(ids[start:stop]) for start, stop in ((606, 1056), (300, 606), (100, 300), (0, 100))
    ]
    assert [text.split(" (")[0] for text in record.held_out] == [f"cluster {k}" for k in range(4)]


@pytest.mark.parametrize("splits", [SYSTEMS, ELEMENTS, CLUSTERS], ids=lambda splits: splits.kind)
def test_a_split_depends_on_its_seed_and_not_on_the_order_of_rows(
    splits: SplitSettings, data: Path, tmp_path: Path
) -> None:
    for name in ("targets", "structures", "features"):
        frame = pd.read_parquet(data / f"{name}.parquet")
        frame.iloc[::-1].to_parquet(tmp_path / f"{name}.parquet", index=False)
    (record, folds), (_, turned) = split(splits, data), split(splits, tmp_path)
    assert turned == folds
    assert split(splits, data)[0].sha256 == record.sha256
    assert split(splits.model_copy(update={"seed": 3}), data)[0].sha256 != record.sha256


@given(st.dictionaries(st.text(min_size=1), st.sets(st.sampled_from(["O", "S", "Na", "Cl"]), min_size=1), min_size=1))
def test_a_crystal_is_tested_by_every_fold_that_holds_out_one_of_its_elements(crystals: dict[str, set[str]]) -> None:
    present = sorted({element for elements in crystals.values() for element in elements})
    systems = {id_: "-".join(sorted(elements)) for id_, elements in crystals.items()}
    splits = ElementSplits(kind="element", elements=tuple((element,) for element in present))
    tests = element_tests(systems, splits)
    assert list(tests) == present
    for id_, elements in crystals.items():
        assert {element for element, ids in tests.items() if id_ in ids} == elements


@pytest.mark.parametrize(
    ("splits", "message"),
    [
        (ElementSplits(kind="element", elements=(("Xe", "Kr"),)), r"\['Xe', 'Kr'\]: no crystal has them"),
        (
            ElementSplits(kind="element", n_folds=90),
            r"the value 90: \d+ elements are in 5 to 25 %",
        ),
    ],
)
def test_what_cannot_be_held_out_is_one_line(splits: SplitSettings, message: str, data: Path) -> None:
    with pytest.raises(UserError, match=message) as error:
        split(splits, data)
    assert "\n" not in str(error.value)


def test_more_clusters_than_crystals_are_refused(data: Path, tmp_path: Path) -> None:
    for name in ("targets", "structures", "features"):
        frame = pd.read_parquet(data / f"{name}.parquet").set_index("id")
        ids = pd.read_parquet(data / "targets.parquet")["id"][:3]
        frame.loc[ids].reset_index().to_parquet(tmp_path / f"{name}.parquet", index=False)
    with pytest.raises(UserError, match=r"'splits.n_folds' has the value 4: there are 3 crystals"):
        split(CLUSTERS, tmp_path)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"elements": [["Oxygen"]]}, "'splits.elements.0.0' has the value 'Oxygen': no element has this symbol"),
        ({"elements": [["O"], []]}, "each fold needs at least one element"),
        ({"elements": [["O", "O"]]}, "and none twice"),
        ({"elements": [["F", "Cl"], ["Cl", "F"]]}, "two folds hold out the same elements"),
        ({"elements": [["O"]], "n_folds": 2}, "'splits.n_folds' has the value 2: 'elements' lists 1 folds"),
        ({"elements": ["O"]}, "'splits.elements.0' has the value 'O': input should be a list"),
        ({"n_folds": 0}, "'splits.n_folds' has the value 0"),
    ],
)
def test_bad_elements_are_one_line(values: dict, expected: str) -> None:
    with pytest.raises(UserError) as error:
        validate(ElementSplits, {"kind": "element", **values}, "splits")
    assert expected in str(error.value)
    assert "\n" not in str(error.value)


def test_the_number_of_folds_is_that_of_the_listed_elements() -> None:
    splits = ElementSplits(kind="element", elements=(("O",), ("F", "Cl"), ("S",)))
    assert splits.n_folds == 3
    assert ElementSplits.model_validate(splits.model_dump(mode="json")) == splits


def test_the_footer_says_what_a_fold_holds_out() -> None:
    counts = FoldCounts(train=6, validation=1, test=1218, test_unlabelled=0, full_train=7, full_test=1218)
    splits = Splits(kind="element", seed=0, folds=(counts, counts), sha256="a", held_out=("O", "F, Cl"))
    assert splits.held_out_notes([1]) == ["Fold 1 holds out F, Cl: 1,218 crystals."]
    assert splits.model_copy(update={"held_out": ()}).held_out_notes([1]) == []
