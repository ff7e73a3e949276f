"""Reference layers in the database: the same questions have the same answers on SQLite and on PostGIS."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest
import shapely
from pyproj import Geod, Transformer
from sqlalchemy import Engine, create_engine, event, func, select, text
from sqlalchemy.orm import Session

from gis import layers, sqlite
from gis.layers import Feature, Imported, reference_feature

if TYPE_CHECKING:
    from tests.conftest import PostgreSQL, SeededRandom

GEOD = Geod(ellps="WGS84")
CITY = "brasov"
HERE = (25.6, 45.65)


def engine_for(url: str) -> Engine:
    engine = create_engine(url)
    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", lambda connection, _: sqlite.register(connection))
    layers.metadata.create_all(engine)
    return engine


@pytest.fixture
def session(database: str) -> Iterator[Session]:
    engine = engine_for(database)
    with Session(engine) as opened:
        yield opened
    engine.dispose()


def hydrant(ref: str, lon: float, lat: float, **properties: Any) -> Feature:
    return Feature(ref, None, shapely.Point(lon, lat), properties)


def put(
    session: Session, features: list[Feature], layer: str = "hydrants", source: str = "osm", now_us: int = 1
) -> layers.Changes:
    return layers.replace(session, CITY, layer, source, features, version="v", now_us=now_us, by="test")


def versions(session: Session, layer: str = "hydrants") -> list[Imported]:
    return layers.imports(session, CITY, layer)


def counted(changes: layers.Changes) -> tuple[int, int, int, int]:
    return len(changes.added), len(changes.changed), len(changes.removed), changes.unchanged


# ---- replacing


def test_a_new_version_of_a_source_replaces_the_old_one_and_tells_what_changed(session: Session) -> None:
    # Given two hydrants from the map and one from the water company
    assert counted(put(session, [hydrant("a", *HERE), hydrant("b", 25.61, 45.66)])) == (2, 0, 0, 0)
    put(session, [hydrant("a", *HERE, flow="900")], source="apa")
    ids = {f.ref: f.id for f in layers.within(session, versions(session)[1:], None, 9)[0]}
    # When the map has moved one, lost none and gained one
    changes = put(session, [hydrant("a", *HERE), hydrant("b", 25.62, 45.66), hydrant("c", 25.7, 45.7)])
    # Then that is what is told, and what was there keeps its row
    assert counted(changes) == (1, 1, 0, 1)
    found, more = layers.within(session, versions(session), None, 9)
    assert not more
    assert sorted((f.source, f.ref) for f in found) == [
        ("apa", "a"),
        ("osm", "a"),
        ("osm", "b"),
        ("osm", "c"),
    ]
    assert {f.ref: f.id for f in found if f.source == "osm" and f.ref in ids} == ids
    assert next(f for f in found if f.ref == "b").geometry.x == 25.62
    assert counted(put(session, [])) == (0, 0, 3, 0)
    assert [(one.source, one.features) for one in versions(session)] == [("apa", 1), ("osm", 0)]


def test_all_that_is_known_of_a_thing_comes_back_as_it_was(session: Session) -> None:
    area = shapely.Polygon(
        [(25.6, 45.6), (25.7, 45.6), (25.7, 45.7)], [[(25.66, 45.62), (25.68, 45.62), (25.68, 45.64)]]
    )
    facts = {"type": "subteran", "Ø": 80.5, "în lucru": False, "etaje": [1, 2], "gol": None}
    given = [Feature("x", "Spitalul Județean „Sf. Ion”", area, facts), hydrant("y", 25.1234567890123, -45.0)]
    put(session, given)
    session.commit()
    found, _ = layers.within(session, versions(session), None, 9)
    assert [(f.ref, f.name, dict(f.properties)) for f in found] == [
        (g.ref, g.name, dict(g.properties)) for g in given
    ]
    assert all(shapely.equals_identical(f.geometry, g.geometry) for f, g in zip(found, given, strict=True))
    assert counted(put(session, given)) == (0, 0, 0, 2)


def test_what_is_not_committed_never_was(session: Session) -> None:
    put(session, [hydrant("a", *HERE)])
    session.commit()
    put(session, [hydrant("b", *HERE)])
    session.rollback()
    found, _ = layers.within(session, versions(session), (25, 45, 26, 46), 9)
    assert [f.ref for f in found] == ["a"]


def test_of_two_that_replace_a_layer_at_once_the_later_one_stands_whole(database: str) -> None:
    # Given one that has worked out its changes, and another that commits before the first writes
    engine = engine_for(database)
    first, second = Session(engine), Session(engine)
    put(first, [hydrant("a", *HERE)])
    first.commit()
    before = layers.latest(first, CITY, "hydrants", "osm")
    first.rollback()
    put(second, [hydrant("b", *HERE)])
    second.commit()
    # Then the first finds its claim void, and begins again from what is there
    values = {"version": "v", "features": 1, "imported_at": 1, "imported_by": "x"}
    assert not layers._claim(first, before, {}, values)
    first.rollback()
    assert counted(put(first, [hydrant("c", *HERE)])) == (1, 0, 1, 0)
    first.commit()
    found, _ = layers.within(second, versions(second), None, 9)
    assert [f.ref for f in found] == ["c"]
    for one in (first, second):
        one.close()
    engine.dispose()


def test_a_removed_source_leaves_nothing_of_itself(session: Session) -> None:
    put(session, [hydrant("a", *HERE)])
    put(session, [hydrant("a", *HERE)], source="apa")
    assert layers.remove(session, CITY, "hydrants", "apa") == 1
    assert layers.remove(session, CITY, "hydrants", "apa") is None
    assert [one.source for one in versions(session)] == ["osm"]
    found, _ = layers.within(session, versions(session), (25, 45, 26, 46), 9)
    assert [f.source for f in found] == ["osm"]
    if session.get_bind().dialect.name == "sqlite":
        assert session.scalar(text("SELECT count(*) FROM idx_reference_feature_geometry")) == 1


def test_tables_can_be_dropped_and_made_again(database: str) -> None:
    engine = engine_for(database)
    layers.metadata.drop_all(engine)
    layers.metadata.create_all(engine)
    with Session(engine) as session:
        put(session, [hydrant("a", *HERE)])
        assert len(layers.within(session, versions(session), (25, 45, 26, 46), 9)[0]) == 1
    engine.dispose()


# ---- asking


def test_a_box_finds_what_meets_it_not_what_only_its_bounds_meet(session: Session) -> None:
    ring = shapely.LineString([(25.0, 45.0), (26.0, 45.0), (26.0, 46.0)])
    put(session, [Feature("bend", None, ring, {}), hydrant("edge", 25.2, 45.8), hydrant("far", 27, 45)])
    found, more = layers.within(session, versions(session), (25.1, 45.7, 25.2, 45.9), 9)
    assert ([f.ref for f in found], more) == (["edge"], False)
    found, more = layers.within(session, versions(session), (24, 44, 28, 47), 2)
    assert (len(found), more) == (2, True)


def test_nearest_counts_metres_not_degrees(session: Session) -> None:
    # At 60 degrees north a degree of longitude is half one of latitude.
    lon, lat = 24.94, 60.17
    put(
        session,
        [hydrant("north", lon, lat + 0.010), hydrant("east", lon + 0.015, lat), hydrant("far", lon, lat + 1)],
    )
    found = layers.nearest(session, versions(session), lon, lat, 5, 5_000)
    assert [f.ref for f in found] == ["east", "north"]
    for one in found:
        expected = GEOD.inv(lon, lat, one.geometry.x, one.geometry.y)[2]
        assert one.distance_m == pytest.approx(expected, abs=0.001)
    assert layers.nearest(session, versions(session), lon, lat, 1, 5_000) == found[:1]


def test_nearest_looks_over_the_date_line_and_at_the_pole(session: Session) -> None:
    put(session, [hydrant("west", 179.999, -17), hydrant("pole", 100, 89.999)])
    [one] = layers.nearest(session, versions(session), -179.999, -17, 5, 1_000)
    assert (one.ref, round(one.distance_m or 0)) == ("west", 213)
    [one] = layers.nearest(session, versions(session), -80, 89.999, 5, 1_000)
    assert one.ref == "pole"
    assert one.distance_m == pytest.approx(223.4, abs=0.1)


def test_inside_an_area_the_distance_is_nothing(session: Session) -> None:
    put(session, [Feature("park", None, shapely.box(25.5, 45.5, 25.7, 45.7), {})])
    assert layers.nearest(session, versions(session), *HERE, 5, 1_000)[0].distance_m == 0


# ---- both databases side by side


@pytest.fixture
def both(postgresql: PostgreSQL, tmp_path: Any) -> Iterator[tuple[Session, Session]]:
    name = postgresql.fresh()
    engines = [engine_for(url) for url in (f"sqlite:///{tmp_path / 'layers.db'}", postgresql.url(name))]
    one, other = (Session(engine) for engine in engines)
    yield one, other
    one.close()
    other.close()
    for engine in engines:
        engine.dispose()
    postgresql.run(f"DROP DATABASE {name} WITH (FORCE)")


def things(random: SeededRandom, count: int) -> list[Feature]:
    """Points, lines and areas strewn over a town."""

    def spot() -> tuple[float, float]:
        return 25.5 + random.random() * 0.2, 45.6 + random.random() * 0.1

    made = []
    for number in range(count):
        lon, lat = spot()
        shape: Any = shapely.Point(lon, lat)
        if number % 4 == 1:
            steps = [
                (lon + random.uniform(-0.004, 0.004), lat + random.uniform(-0.004, 0.004)) for _ in range(5)
            ]
            shape = shapely.LineString(steps)
        elif number % 4 == 2:
            shape = shape.buffer(random.uniform(0.0001, 0.005), quad_segs=3)
        made.append(Feature(f"n{number}", None, shape, {"n": number}))
    return made


def test_both_databases_give_the_same_answers(both: tuple[Session, Session], random: SeededRandom) -> None:
    features = things(random, 400)
    for session in both:
        put(session, features)
        session.commit()
    seen = 0
    for _ in range(40):
        west, south = 25.5 + random.random() * 0.2, 45.6 + random.random() * 0.1
        box = (west, south, west + random.random() * 0.05, south + random.random() * 0.05)
        embedded, server = (
            [f.ref for f in layers.within(session, versions(session), box, 1000)[0]] for session in both
        )
        assert embedded == server
        seen += len(server)
        near, server_near = (
            {f.ref: f for f in layers.nearest(session, versions(session), west, south, 7, 20_000)}
            for session in both
        )
        for ref in near.keys() & server_near.keys():
            # PostGIS looks for the nearest point of a line on a sphere: some centimetres in a kilometre.
            is_point = near[ref].geometry.geom_type == "Point"
            close = {"abs": 0.001} if is_point else {"rel": 1e-3, "abs": 0.01}
            assert near[ref].distance_m == pytest.approx(server_near[ref].distance_m, **close)
        # Only where two lie equally far may the last place go to one or the other.
        assert len(near.keys() ^ server_near.keys()) <= 2
    assert seen > 100


@pytest.mark.parametrize("srid", [3844, 3067, 3857])
def test_both_transform_to_the_same_place(both: tuple[Session, Session], srid: int) -> None:
    lon, lat = (25.6, 45.65) if srid == 3844 else (24.94, 60.17)
    point = sqlite.ewkb(shapely.Point(lon, lat))
    placed = [
        session.scalar(select(func.ST_AsEWKB(func.ST_Transform(func.ST_GeomFromEWKB(point), srid))))
        for session in both
    ]
    embedded, server = (shapely.from_wkb(bytes(getattr(one, "data", one))) for one in placed)
    expected = Transformer.from_crs(4326, srid, always_xy=True).transform(lon, lat)
    assert (embedded.x, embedded.y) == pytest.approx(expected)
    # Two builds of PROJ may choose another of several datum shifts: metres, never hundreds of them.
    assert (embedded.x, embedded.y) == pytest.approx((server.x, server.y), abs=5 if srid == 3844 else 0.001)
    assert shapely.get_srid(embedded) == shapely.get_srid(server) == srid


# ---- what it costs


def test_fifty_thousand_lamps_are_asked_through_the_tree(tmp_path: Any, random: SeededRandom) -> None:
    engine = engine_for(f"sqlite:///{tmp_path / 'lamps.db'}")
    lamps = [hydrant(f"l{n}", 24 + random.random(), 60 + random.random()) for n in range(50_000)]
    box = (24.5, 60.5, 24.52, 60.52)
    with Session(engine) as session:
        put(session, lamps, "street_lamps")
        session.commit()
        asked: list[str] = []
        event.listen(
            engine, "before_cursor_execute", lambda _c, _k, sql, given, *_: asked.append((sql, given))
        )
        tried = 0

        def counting(one: bytes, other: bytes) -> bool | None:
            nonlocal tried
            tried += 1
            return sqlite._intersects(one, other)

        raw: Any = session.connection().connection.driver_connection
        raw.create_function("ST_Intersects", 2, counting, deterministic=True)
        found, _ = layers.within(session, versions(session, "street_lamps"), box, 10_000)
        # Then it names what lies there, having looked at hardly anything else
        inside = [f for f in lamps if shapely.intersects_xy(shapely.box(*box), f.geometry.x, f.geometry.y)]
        assert sorted(f.ref for f in found) == sorted(f.ref for f in inside)
        assert len(found) <= tried <= len(found) + 5
        sql, given = asked[-1]
        plan = " ".join(str(row[3]) for row in raw.execute(f"EXPLAIN QUERY PLAN {sql}", given))
        assert "VIRTUAL TABLE INDEX" in plan
        assert "SCAN reference_feature" not in plan
    engine.dispose()


def test_postgis_asks_its_index(postgresql: PostgreSQL) -> None:
    name = postgresql.fresh()
    engine = engine_for(postgresql.url(name))
    with Session(engine) as session:
        put(session, [hydrant(f"h{n}", 24 + n / 20_000, 60) for n in range(20_000)])
        session.execute(text("ANALYZE reference_feature"))
        table = reference_feature
        asked = select(table.c.ref).where(
            sqlite.in_box(table.c.id, table.c.geometry, 24.5, 59.9, 24.501, 60.1)
        )
        words = str(asked.compile(engine, compile_kwargs={"literal_binds": True}))
        plan = " ".join(session.scalars(text(f"EXPLAIN {words}")))
        assert "idx_reference_feature_geometry" in plan
    engine.dispose()
    postgresql.run(f"DROP DATABASE {name} WITH (FORCE)")
