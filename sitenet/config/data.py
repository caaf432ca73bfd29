"""Which crystals a benchmark uses and how they are split; imports pydantic alone."""

from typing import Annotated, ClassVar, Literal, NamedTuple, TypeVar

from pydantic import AfterValidator, Field

from sitenet.config.base import Section, Share
from sitenet.config.elements import SYMBOLS
from sitenet.config.problems import unknown
from sitenet.errors import plain

N = TypeVar("N", int, float)
Identifier = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]*$", max_length=64)]
NOBLE_GASES = ("He", "Ne", "Ar", "Kr", "Xe", "Rn")


def _element(symbol: str) -> str:
    if symbol not in SYMBOLS:
        raise ValueError("no element has this symbol")
    return symbol


def _ordered(limits: tuple[float, float]) -> tuple[float, float]:
    if limits[0] > limits[1]:
        raise ValueError("the lower limit comes first")
    return limits


def _input_path(path: str) -> str:
    if plain(path) != path:
        raise ValueError("a path has no control characters")
    if set("{}") & set(path):
        raise ValueError("Snakemake takes braces in a path for wildcards; rename the file or folder, or link to it")
    return path


InputPath = Annotated[str, AfterValidator(_input_path)]
Symbol = Annotated[str, AfterValidator(_element)]
Limits = Annotated[tuple[N, N], AfterValidator(_ordered)]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class Target(NamedTuple):
    """What a named data set predicts; `non_negative` says that predictions are clamped at zero."""

    name: str
    unit: str
    non_negative: bool


BUNDLED_TARGETS = {"mp_dielectric_gap": Target("band_gap", "eV", True)}

# Names and units as in the metadata of the `matbench` package (a test compares them).
MATBENCH_TARGETS = {
    "matbench_dielectric": Target("n", "unitless", True),
    "matbench_jdft2d": Target("exfoliation_en", "meV/atom", True),
    "matbench_log_gvrh": Target("log10(G_VRH)", "log10(GPa)", False),
    "matbench_log_kvrh": Target("log10(K_VRH)", "log10(GPa)", False),
    "matbench_mp_e_form": Target("e_form", "eV/atom", False),
    "matbench_mp_gap": Target("gap pbe", "eV", True),
    "matbench_perovskites": Target("e_form", "eV/unit cell", False),
    "matbench_phonons": Target("last phdos peak", "cm^-1", True),
}


def _known(name: str, targets: dict[str, Target]) -> str:
    if name not in targets:
        raise ValueError(unknown("data set", name, targets))
    return name


class _Dataset(Section):
    """What all data sets share.

    Attributes:
        max_sites: Crystals with more sites in the cell as given are listed as failures; None takes all.
        max_crystals: Random subset of the usable crystals; None takes all.
        subset_seed: Chooses the subset of `max_crystals`; subsets of one seed are nested.
        max_failed_share: Stop if a larger share of the crystals read cannot be used.
    """

    needs_download: ClassVar[bool] = False

    max_sites: Annotated[int, Field(ge=1)] | None = None
    max_crystals: Annotated[int, Field(ge=1)] | None = None
    subset_seed: Annotated[int, Field(ge=0)] = 0
    max_failed_share: Share = 0.01

    @property
    def files(self) -> tuple[str, ...]:
        """The user's own files that are read."""
        return ()


class _NamedDataset(_Dataset):
    """A data set whose target is fixed by its name."""

    targets: ClassVar[dict[str, Target]]
    name: str

    @property
    def target(self) -> str:
        """Name of the predicted property."""
        return self.targets[self.name].name

    @property
    def unit(self) -> str:
        """Unit of the target."""
        return self.targets[self.name].unit

    @property
    def non_negative(self) -> bool:
        """Whether predictions are clamped at zero."""
        return self.targets[self.name].non_negative


class BundledDataset(_NamedDataset):
    """A data set that comes with the package."""

    targets = BUNDLED_TARGETS
    source: Literal["bundled"]
    name: Annotated[str, AfterValidator(lambda name: _known(name, BUNDLED_TARGETS))]


class MatbenchDataset(_NamedDataset):
    """A structure-based regression task of Matbench v0.1.

    Attributes:
        mirror: Folder or URL that replaces the official download host.
        expected_sha256: Checksum of the file, where it is meant to differ from the official one.
    """

    targets = MATBENCH_TARGETS
    needs_download = True
    source: Literal["matbench"]
    name: Annotated[str, AfterValidator(lambda name: _known(name, MATBENCH_TARGETS))]
    mirror: str | None = None
    expected_sha256: Sha256 | None = None


class MaterialsProjectDataset(_Dataset):
    """Crystals of the Materials Project that meet some criteria; deprecated entries are left out.

    Attributes:
        name: Name of the data set and of its snapshot.
        target: Field of the summary documents, such as band_gap; a dot leads into it (bulk_modulus.vrh).
        unit: Unit of the target.
        non_negative: Clamp predictions at zero.
        energy_above_hull: Upper limit in eV/atom.
        band_gap: Lower and upper limit in eV.
        num_sites: Lower and upper limit of sites in the cell.
        elements: Elements that a crystal must all contain.
        exclude_elements: Elements that it must not contain; noble gases as in Matbench.
    """

    needs_download: ClassVar[bool] = True
    source: Literal["materials_project"]
    name: Identifier
    target: Annotated[str, Field(pattern=r"^[a-z_]+(\.[a-z_]+)*$")]
    unit: str
    non_negative: bool = False
    energy_above_hull: Annotated[float, Field(ge=0)] | None = None
    band_gap: Limits[float] | None = None
    num_sites: Limits[int] | None = None
    elements: tuple[Symbol, ...] = ()
    exclude_elements: tuple[Symbol, ...] = NOBLE_GASES


class FilesDataset(_Dataset):
    """The user's own crystals.

    Attributes:
        name: Name of the data set.
        path: Folder or zip of CIF, POSCAR, extxyz or pymatgen JSON files, or one Parquet or JSON file.
        targets: CSV with the columns file and target, and if wanted id and group; `targets.csv` in the
            folder or archive when left out.
        target: Name of the predicted property.
        unit: Its unit.
        non_negative: Clamp predictions at zero.
        version: Version of the data.
        licence: Terms of use.
        citation: Publications to cite.
    """

    source: Literal["files"]
    name: Identifier
    path: InputPath
    targets: InputPath | None = None
    target: str
    unit: str
    non_negative: bool = False
    version: str = "not stated"
    licence: str = "not stated"
    citation: str = "not stated"

    @property
    def files(self) -> tuple[str, ...]:
        """The user's own files that are read; of a folder, its table of targets."""
        return (self.path,) if self.targets is None else (self.path, self.targets)


DatasetSettings = Annotated[
    BundledDataset | MatbenchDataset | MaterialsProjectDataset | FilesDataset, Field(discriminator="source")
]


class _Splits(Section):
    """What all kinds of splits share.

    Attributes:
        seed: Chooses folds and validation parts.
        validation_share: Share of each training part that is set aside for validation.
        max_train: Random subset of each training part, validation included, for all models alike; subsets
            of one seed are nested. None takes all.
    """

    seed: Annotated[int, Field(ge=0)] = 0
    validation_share: Annotated[float, Field(gt=0, lt=1)] = 0.1
    max_train: Annotated[int, Field(ge=2)] | None = None

    @property
    def files(self) -> tuple[str, ...]:
        """The user's own files that are read."""
        return ()


class KFoldSplits(_Splits):
    """Random folds; the grouped kind keeps all crystals of one reduced formula in one part."""

    kind: Literal["kfold", "grouped_kfold"]
    n_folds: Annotated[int, Field(ge=2, le=100)] = 5


class HoldoutSplits(_Splits):
    """One random test part."""

    kind: Literal["holdout"]
    test_share: Annotated[float, Field(gt=0, lt=1)] = 0.2
    n_folds: ClassVar[int] = 1


class OfficialSplits(_Splits):
    """The published folds of a Matbench task."""

    kind: Literal["official"]
    n_folds: ClassVar[int] = 5


class GivenSplits(_Splits):
    """Folds read from a CSV file.

    Attributes:
        path: File with the columns `id`, `fold` (0, 1, ...) and `part` (train, validation or test).
            Where a fold has no validation rows, `validation_share` of its training part is used.
        n_folds: Number of folds in the file.
    """

    kind: Literal["ids"]
    path: InputPath
    n_folds: Annotated[int, Field(ge=1, le=100)] = 1

    @property
    def files(self) -> tuple[str, ...]:
        """The user's own files that are read."""
        return (self.path,)


SplitSettings = Annotated[KFoldSplits | HoldoutSplits | OfficialSplits | GivenSplits, Field(discriminator="kind")]
