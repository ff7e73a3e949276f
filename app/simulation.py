"""What `straja simulate` and its benches do: a city and its calls into the domain's simulator, and out again
as figures with their intervals. The bridge between ``gis`` (roads, JEMSS folders) and
``dispatch.simulate``."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from dispatch.simulate import City, Demand, Distribution
from gis.jemss import Jemss
from gis.labels import Labels

_STREAMS: Final = {
    "gap": "interarrivalTime", "priority": "priority", "delay": "dispatchDelay",
    "on_scene": "onSceneDuration", "transport": "transport", "handover": "handoverDuration",
}  # fmt: skip


def of_jemss(jemss: Jemss) -> tuple[City, dict[str, Demand]]:
    """The simulator's city, and its demand by generator ("train", "test" ...). A district is the area that
    one station is nearest to by driving time."""
    from scipy.spatial import cKDTree

    ms = np.rint(jemss.arc_s * 1000).astype(np.int64)
    roads = Labels(jemss.tail, jemss.head, jemss.node_lon, jemss.node_lat, jemss.arc_m, list(ms))
    doors = np.flatnonzero(jemss.node_access).astype(np.int32)
    scale = np.array([jemss.x_km, jemss.y_km]) * 1000.0
    tree = cKDTree(np.column_stack((jemss.node_lon, jemss.node_lat))[doors] * scale)

    def near(
        lon: NDArray[np.float64], lat: NDArray[np.float64]
    ) -> tuple[NDArray[np.int32], NDArray[np.float64]]:
        away_m, which = tree.query(np.column_stack((lon, lat)) * scale)
        return doors[which], np.asarray(away_m)

    post_node, post_aside_m = near(jemss.station_lon, jemss.station_lat)
    hospital_node, hospital_aside_m = near(jemss.hospital_lon, jemss.hospital_lat)
    plain = int(jemss.priority_mode[-1])
    nearest = np.zeros(len(jemss.node_lon), dtype=np.int64)
    every = np.arange(len(jemss.node_lon), dtype=np.int32)
    nearest[:] = roads.table_ms(post_node, every, int(jemss.priority_mode[0])).argmin(axis=0)

    def snap(
        lon: NDArray[np.float64], lat: NDArray[np.float64]
    ) -> tuple[NDArray[np.int32], NDArray[np.float64], NDArray[np.int64]]:
        node, aside_m = near(lon, lat)
        return node, aside_m, nearest[node]

    # Cells that share a junction are one, at their mean distance from it.
    node, aside_m = near(jemss.cell_lon, jemss.cell_lat)
    at, which = np.unique(node, return_inverse=True)
    weight = np.bincount(which, jemss.cell_weight)
    mean_m = np.bincount(which, jemss.cell_weight * aside_m) / weight
    delay = next(iter(jemss.generators.values())).streams["dispatchDelay"]
    delay_s = delay.parameters[0] * 86400.0 if delay.parameters else 0.0
    shortest = jemss.target_s.min()
    city = City(
        name=jemss.name, roads=roads, post_names=jemss.station_names, post_node=post_node,
        post_aside_m=post_aside_m, hospital_node=hospital_node, hospital_aside_m=hospital_aside_m,
        home=jemss.home, target_s=jemss.target_s, counted=jemss.target_s <= shortest + 1.0,
        response_mode=jemss.priority_mode, plain_mode=plain, aside_mps=jemss.off_road_mps,
        cell_node=at.astype(np.int32), cell_aside_m=mean_m, cell_share=weight / weight.sum(),
        cell_district=nearest[at], districts=jemss.station_names, delay_s=delay_s,
    )  # fmt: skip
    demands = {
        name: Demand(
            streams={
                ours: (
                    Distribution(generator.streams[theirs].name, generator.streams[theirs].parameters),
                    generator.streams[theirs].seed,
                )
                for ours, theirs in _STREAMS.items()
            },
            seeds=(generator.cell_seed, generator.place_seed), lon=jemss.cell_lon, lat=jemss.cell_lat,
            weight=jemss.cell_weight, size=jemss.cell_size, snap=snap,
        )
        for name, generator in jemss.generators.items()
    }  # fmt: skip
    return city, demands
