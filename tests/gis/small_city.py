"""A small town made by hand, and where the real extracts lie."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import osmium
import pytest
from osmium.osm.mutable import Node, Relation, Way

from gis.city import CityError, bundled_helsinki

SHARED = Path(__file__).resolve().parents[2].parent / "shared" / "data"

LON0, LAT0 = 25.6, 45.65
METRES_A_DEGREE_LAT = math.radians(1) * 6_371_008.8
METRES_A_DEGREE_LON = METRES_A_DEGREE_LAT * math.cos(math.radians(LAT0))


def at(x_m: float, y_m: float) -> tuple[float, float]:
    """(lon, lat) of a point x metres east and y metres north of the town's corner."""
    return LON0 + x_m / METRES_A_DEGREE_LON, LAT0 + y_m / METRES_A_DEGREE_LAT


@dataclass
class Town:
    """Nodes by number at metres east and north, ways over those numbers; one without a node was cut off."""

    nodes: dict[int, tuple[float, float]] = field(default_factory=dict)
    node_tags: dict[int, Mapping[str, str]] = field(default_factory=dict)
    ways: list[tuple[Sequence[int], Mapping[str, str]]] = field(default_factory=list)
    relations: list[tuple[Sequence[tuple[str, str, int]], Mapping[str, str]]] = field(default_factory=list)

    def node(self, number: int, x_m: float, y_m: float, **tags: str) -> None:
        self.nodes[number] = (x_m, y_m)
        if tags:
            self.node_tags[number] = {key.replace("__", ":"): value for key, value in tags.items()}

    def way(self, numbers: Iterable[int], tags: Mapping[str, str]) -> None:
        self.ways.append((list(numbers), tags))

    def restriction(
        self, sort: str, from_way: int, via: int | Sequence[int], to_way: int, **tags: str
    ) -> None:
        """A turn restriction between ways (numbered from 1 on, as they were added): via a node, or via the
        ways in a sequence."""
        between = [("n", via)] if isinstance(via, int) else [("w", way) for way in via]
        members = [
            ("from", "w", from_way),
            *(("via", kind, ref) for kind, ref in between),
            ("to", "w", to_way),
        ]
        own = {key.replace("__", ":"): value for key, value in tags.items()}
        self.relations.append(
            (members, {"type": "restriction", **({"restriction": sort} if sort else {}), **own})
        )

    def write(self, file: Path, box: tuple[float, float, float, float] | None = None) -> Path:
        """Write the extract, with a box (west, south, east, north) stated in its header if one is given."""
        header = osmium.io.Header()
        if box is not None:
            corners = (osmium.osm.Location(*box[:2]), osmium.osm.Location(*box[2:]))
            header.add_box(osmium.osm.Box(*corners))
        writer = osmium.SimpleWriter(str(file), header=header)
        for number, (x_m, y_m) in sorted(self.nodes.items()):
            writer.add_node(
                Node(id=number, version=1, location=at(x_m, y_m), tags=dict(self.node_tags.get(number, {})))
            )
        for number, (nodes, tags) in enumerate(self.ways, 1):
            writer.add_way(Way(id=number, version=1, nodes=list(nodes), tags=dict(tags)))
        for number, (members, tags) in enumerate(self.relations, 1):
            triples = [(kind, ref, role) for role, kind, ref in members]
            writer.add_relation(Relation(id=number, version=1, members=triples, tags=dict(tags)))
        writer.close()
        return file


def extract(name: str) -> Path:
    """A real extract, or the reason why the test cannot have it."""
    if name == "helsinki":
        try:
            return bundled_helsinki()
        except CityError as missing:
            pytest.skip(str(missing))
    file = SHARED / f"{name}.osm.pbf"
    if not file.is_file():
        pytest.skip(f"the reference extract {name}.osm.pbf is not in ../shared/data")
    return file
