"""City folders of JEMSS: a tiny one written here, faults in every file, and Auckland itself."""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import rasterio
from rasterio.transform import from_origin

from gis.jemss import JemssError, read_jemss

CONFIG = """<?xml version="1.0" encoding="UTF-8"?>
<genConfig><mode>calls</mode><sim><callDistributions>
<interarrivalTime seed="1">Exponential(1/80)</interarrivalTime>
<priority seed="2">Categorical([0.75, 0.25])</priority>
<dispatchDelay seed="3">Normal(50/60/60/24, 0)</dispatchDelay>
<onSceneDuration seed="4">Exponential(12/60/24)</onSceneDuration>
<transport seed="5">Bernoulli(0.8)</transport>
<handoverDuration seed="6">Exponential(12/60/24)</handoverDuration>
</callDistributions><callDensityRaster cellSeed="7" cellLocSeed="8">
<filename>$jemssDir/data/people.tif</filename></callDensityRaster></sim></genConfig>
"""

FILES = {
    "map.csv": "map,1,,\nxMin,xMax,yMin,yMax,xScale,yScale\n174,175,-37,-36,89,111.32\n",
    "nodes.csv": "nodes,,,\nindex,x,y,offRoadAccess,\n1,174.1,-36.5,1\n2,174.2,-36.5,0\n3,174.3,-36.5,1.0\n",
    "arcs.csv": (
        "miscData,,,\narcForm,numModes,\nundirected,2\n,\narcs,,,\n"
        "index,fromNode,toNode,distance,mode_1,mode_2,\n1,1,2,8.9,0.005,0.01\n2,2.0,3,8.9,0.005,0.01\n,\n"
    ),
    "stations.csv": (
        'stations,,"a note, with a comma"\nindex,x,y,capacity,NAME\n'
        "1,174.1,-36.5,2,West\n2,174.3,-36.5,2,East\n"
    ),
    "hospitals.csv": "hospitals,,\nindex,x,y,name\n1,174.2,-36.5,General\n",
    "ambulances.csv": "ambulances,,\nindex,stationIndex,class,\n1,1,1,\n2,2,1,\n",
    "priorities.csv": (
        "priorities,,\npriority,name,targetResponseTime\n1,high,0.005555556\n2,low,0.013888889\n"
    ),
    "travel.csv": (
        "travelModes,,\ntravelModeIndex,offRoadSpeed,note\n1,1128,sirens\n2,792,regular\n,,\n"
        "travelSets,,\ntravelSetIndex,priority,travelModeIndex\n1,high,1\n1,low,2\n,,\n"
    ),
    "gen_config_train.xml": CONFIG,
}  # fmt: skip


def write_village(folder: Path) -> Path:
    """A city folder with three nodes, two stations and a hospital."""
    folder.mkdir()
    for name, text in FILES.items():
        (folder / name).write_text(text)
    cells = np.array([[0.0, 3.0], [1.0, 0.0]])
    with rasterio.open(
        folder / "people.tif", "w", driver="GTiff", width=2, height=2, count=1, dtype="float64",
        crs="EPSG:4326", transform=from_origin(174.1, -36.4, 0.1, 0.1),
    ) as target:  # fmt: skip
        target.write(cells, 1)
    return folder


@pytest.fixture
def city(tmp_path: Path) -> Path:
    return write_village(tmp_path / "village")


def test_a_village_is_read_in_seconds_and_metres(city: Path) -> None:
    village = read_jemss(city)
    assert village.name == "village"
    # Undirected: each arc counts in both directions, with its time in both modes.
    assert village.tail.tolist() == [0, 1, 1, 2]
    assert village.head.tolist() == [1, 2, 0, 1]
    assert village.arc_s.tolist() == [[432.0] * 4, [864.0] * 4]
    assert village.arc_m.tolist() == [8900.0] * 4
    assert village.node_access.tolist() == [True, False, True]
    assert village.target_s == pytest.approx([480, 1200])
    assert village.priority_mode.tolist() == [0, 1]
    assert village.off_road_mps == pytest.approx([47 / 3.6, 33 / 3.6])
    assert village.home.tolist() == [0, 1]
    assert village.station_names == ("West", "East")
    assert village.cell_weight.tolist() == [3.0, 1.0]
    assert village.cell_lon == pytest.approx([174.25, 174.15])
    assert village.cell_lat == pytest.approx([-36.45, -36.55])
    generator = village.generators["train"]
    assert generator.streams["interarrivalTime"].parameters == (1 / 80,)
    assert generator.streams["dispatchDelay"].parameters == pytest.approx((50 / 86400, 0.0))
    assert [one.seed for one in generator.streams.values()] == [1, 2, 3, 4, 5, 6]
    assert (generator.cell_seed, generator.place_seed, generator.raster) == (7, 8, "people.tif")


def test_files_may_lie_in_a_zip(city: Path) -> None:
    whole = read_jemss(city)
    for name, inside in (("roads.zip", ("nodes.csv", "arcs.csv")), ("raster.zip", ("people.tif",))):
        with zipfile.ZipFile(city / name, "w") as held:
            for one in inside:
                held.write(city / one, f"deeper/{one}")
                (city / one).unlink()
    packed = read_jemss(city)
    assert packed.arc_s.tolist() == whole.arc_s.tolist()
    assert packed.cell_weight.tolist() == whole.cell_weight.tolist()


def changed(name: str, old: str, new: str) -> Callable[[Path], object]:
    def change(folder: Path) -> None:
        text = (folder / name).read_text()
        assert old in text
        (folder / name).write_text(text.replace(old, new, 1))

    return change


@pytest.mark.parametrize(
    ("harm", "words"),
    [
        (changed("nodes.csv", "174.2,-36.5", "east,-36.5"),
         "nodes.csv, row 4, column x: 'east' is no number"),
        (changed("nodes.csv", "2,174.2", "7,174.2"), "nodes.csv, row 4, column index: 7 where 2 follows"),
        (changed("arcs.csv", "2.0,3,", "2.0,9,"),
         "arcs.csv, row 8, column toNode: '9' is no number from 1 to 3"),
        (changed("arcs.csv", "2.0,3,", "1.5,3,"), "arcs.csv, row 8, column fromNode: 1.5 is not whole"),
        (changed("arcs.csv", "8.9,0.005,0.01\n,", "8.9\n,"), "arcs.csv, row 8, column mode_1: the row ends"),
        (changed("arcs.csv", "0.005", "nan"), "arcs.csv, row 7, column mode_1: 'nan' is no number"),
        (changed("arcs.csv", "distance", "length"), "arcs.csv, row 6: there is no column distance"),
        (changed("stations.csv", "stations,", "posts,"), "stations.csv: there is no table stations"),
        (changed("ambulances.csv", "2,2,1", "2,5,1"), "ambulances.csv, row 4, column stationIndex: '5'"),
        (changed("travel.csv", "1,low,2", "1,other,2"),
         "travelSets says nothing of low (priorities.csv, row 4)"),
        (changed("travel.csv", "2,792,regular\n", ""), "2 modes drive (arcs.csv), and 1 are described"),
        (changed("gen_config_train.xml", "Exponential(1/80)", "Cauchy(1)"),
         "interarrivalTime: Cauchy is none of"),
        (changed("gen_config_train.xml", "(1/80)", "(1/0)"), "gen_config_train.xml, sim/callDistributions/"),
        (changed("gen_config_train.xml", "(1/80)", "(exit())"), "'exit()' is no number"),
        (changed("gen_config_train.xml", "[0.75, 0.25]", "[0.75, 0.2]"), "shares of Categorical must add up"),
        (changed("gen_config_train.xml", 'seed="4"', ""),
         "onSceneDuration: the seed None is no whole number"),
        (changed("gen_config_train.xml", "</genConfig>", ""), "gen_config_train.xml: is no XML"),
        (lambda folder: (folder / "hospitals.csv").unlink(), "hospitals.csv: is neither in"),
        (lambda folder: (folder / "people.tif").write_bytes(b"II*"), "people.tif: is no raster"),
        (lambda folder: (folder / "map.csv").write_bytes(b"\xff\xfe\x00"), "map.csv: is no CSV file"),
        (lambda folder: (folder / "roads.zip").write_bytes(b"PK"), "roads.zip: cannot be read"),
        (lambda folder: (folder / "gen_config_train.xml").unlink(), "there is none of gen_config_"),
    ],
)  # fmt: skip
def test_every_fault_is_told_with_its_place(city: Path, harm: Callable[[Path], object], words: str) -> None:
    harm(city)
    with pytest.raises(JemssError) as raised:
        read_jemss(city)
    assert words in str(raised.value)


def test_several_faults_come_at_once(city: Path) -> None:
    changed("nodes.csv", "174.2,-36.5", "east,-36.5")(city)
    changed("stations.csv", "174.1,-36.5", "174.1,south")(city)
    with pytest.raises(JemssError) as raised:
        read_jemss(city)
    assert len(raised.value.faults) == 2


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(JemssError, match="there is no such folder"):
        read_jemss(tmp_path / "nowhere")


@pytest.mark.data("jemss-auckland")
def test_auckland(data_folder: Path) -> None:
    auckland = read_jemss(data_folder / "jemss-auckland")
    assert (len(auckland.node_lon), len(auckland.tail)) == (54_370, 90_638)
    assert len(auckland.home) == 16
    assert len(auckland.station_names) == 14
    assert set(auckland.generators) == {"train", "validate", "test"}
    assert auckland.generators["train"].cell_seed != auckland.generators["test"].cell_seed
    # 47 km/h and 91 km/h on the fastest roads, with lights and sirens.
    kmh = np.unique(np.round(auckland.arc_m / auckland.arc_s[0] * 3.6, 1))
    assert kmh.tolist() == [47.0, 91.0]
