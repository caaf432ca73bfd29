"""Symbols of the chemical elements and names of their tabulated properties."""

from typing import Annotated, Literal

from pydantic import AfterValidator

_SYMBOLS = """
H He Li Be B C N O F Ne Na Mg Al Si P S Cl Ar K Ca Sc Ti V Cr Mn Fe Co Ni Cu Zn Ga Ge As Se Br Kr
Rb Sr Y Zr Nb Mo Tc Ru Rh Pd Ag Cd In Sn Sb Te I Xe Cs Ba La Ce Pr Nd Pm Sm Eu Gd Tb Dy Ho Er Tm Yb Lu
Hf Ta W Re Os Ir Pt Au Hg Tl Pb Bi Po At Rn Fr Ra Ac Th Pa U Np Pu Am Cm Bk Cf Es Fm Md No Lr
Rf Db Sg Bh Hs Mt Ds Rg Cn Nh Fl Mc Lv Ts Og
"""
SYMBOLS = tuple(_SYMBOLS.split())  # index z - 1 holds the symbol of atomic number z


def _element(symbol: str) -> str:
    if symbol not in SYMBOLS:
        raise ValueError("no element has this symbol")
    return symbol


Symbol = Annotated[str, AfterValidator(_element)]

# The columns of sitenet/features/elements.csv (a test compares them).
ElementalProperty = Literal[
    "AllenElectronegativity",
    "AtomicRadius",
    "AtomicVolume",
    "AtomicWeight",
    "BoilingT",
    "BulkModulus",
    "Column",
    "CovalentRadius",
    "Density",
    "DipolePolarizability",
    "ElectronAffinity",
    "Electronegativity",
    "FirstIonizationEnergy",
    "FusionEnthalpy",
    "GSbandgap",
    "GSenergy_pa",
    "GSestBCClatcnt",
    "GSestFCClatcnt",
    "GSmagmom",
    "GSvolume_pa",
    "HHIp",
    "HHIr",
    "HeatCapacityMass",
    "HeatCapacityMolar",
    "HeatFusion",
    "HeatVaporization",
    "ICSDVolume",
    "IsAlkali",
    "IsDBlock",
    "IsFBlock",
    "IsMetal",
    "IsMetalloid",
    "IsNonmetal",
    "LogThermalConductivity",
    "MeltingT",
    "MendeleevNumber",
    "MiracleRadius",
    "MolarVolume",
    "NUnfilled",
    "NValence",
    "NdUnfilled",
    "NdValence",
    "NfUnfilled",
    "NfValence",
    "NpUnfilled",
    "NpValence",
    "NsUnfilled",
    "NsValence",
    "Number",
    "Polarizability",
    "Row",
    "SecondIonizationEnergy",
    "ShearModulus",
    "SpaceGroupNumber",
    "ThermalConductivity",
    "VdWRadius",
    "ZungerPP-r_d",
    "ZungerPP-r_p",
    "ZungerPP-r_pi",
    "ZungerPP-r_s",
    "ZungerPP-r_sigma",
    "n_ws^third",
    "phi",
]
PAPER_PROPERTIES: tuple[ElementalProperty, ...] = (
    "Number",
    "AtomicWeight",
    "Row",
    "Column",
    "FirstIonizationEnergy",
    "Electronegativity",
    "AtomicRadius",
    "Density",
)
