"""Who comes in, how long they stay, and who may do what."""

from __future__ import annotations

import io
import re
import sys
import threading
from argparse import Namespace
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from argon2 import PasswordHasher
from sqlalchemy import Engine, create_engine, event, select, update

from app import auth, cli
from app.auth import PERMISSIONS, Accounts, BadAccount, BadLogin, Locked, Role, Scope, could, explain, may
from app.ports import Random
from app.tables import account, metadata, session, token
from app.up import Trouble
from config import Config
from dispatch.commands import Actor

PASSWORD = "trei brazi la munte"

if TYPE_CHECKING:
    from tests.conftest import FakeClock

Process = Callable[..., Accounts]


class CountingHasher(PasswordHasher):
    """The real argon2id at its cheapest, counting how often a password is verified."""

    def __init__(self) -> None:
        super().__init__(time_cost=1, memory_cost=8, parallelism=1)
        self.verified = 0
        self.meanwhile: Callable[[], object] = lambda: None

    def verify(self, *args: Any, **kwargs: Any) -> Any:
        self.verified += 1
        self.meanwhile()
        return super().verify(*args, **kwargs)


@pytest.fixture
def engine(database: str) -> Iterator[Engine]:
    engine = create_engine(database)
    metadata.create_all(engine)
    yield engine
    engine.dispose()


@pytest.fixture
def hasher() -> CountingHasher:
    return CountingHasher()


@pytest.fixture
def process(engine: Engine, clock: FakeClock, random: Random) -> Process:
    """Begins one more process on the same database."""

    def begin(hasher: PasswordHasher | None = None, on: Engine = engine, **settings: Any) -> Accounts:
        return Accounts(on, clock, random, hasher=hasher or CountingHasher(), **settings)

    return begin


@pytest.fixture
def accounts(process: Process, hasher: CountingHasher) -> Accounts:
    made = process(hasher)
    made.create_account("ana", PASSWORD, "dispatcher", ["C1"], display_name="Ana Pop")
    return made


# ---- signing in


def test_a_dispatcher_signs_in_and_is_known_by_her_session(accounts: Accounts) -> None:
    opened = accounts.login("ana", PASSWORD, "10.0.0.5")
    found = accounts.by_session(opened.token)
    assert found == (opened.actor, opened.csrf)
    assert opened.actor == Actor("ana", "dispatcher", frozenset({"C1"}), None, "Ana Pop")


def test_a_name_may_be_typed_in_capitals_and_a_password_with_either_form_of_s_comma(
    accounts: Accounts,
) -> None:
    accounts.create_account("mihai", "peștele și șarpele", "supervisor", ["*"])
    decomposed = "pes\u0326tele s\u0326i s\u0326arpele"
    assert accounts.login(" MIHAI ", decomposed, "10.0.0.5").actor.name == "mihai"


@pytest.mark.parametrize(
    ("name", "password"),
    [("ana", "wrong wrong"), ("nobody", PASSWORD), ("", PASSWORD), ("a b\x00c", PASSWORD)],
)
def test_a_wrong_name_and_a_wrong_password_get_the_same_answer_for_the_same_work(
    accounts: Accounts, hasher: CountingHasher, name: str, password: str
) -> None:
    with pytest.raises(BadLogin, match=r"^Wrong name or password\.$"):
        accounts.login(name, password, "10.0.0.5")
    assert hasher.verified == 1


def test_nothing_in_the_database_lets_its_reader_sign_in(accounts: Accounts, engine: Engine) -> None:
    opened = accounts.login("ana", PASSWORD, "10.0.0.5")
    api_token = accounts.create_token("gateway", "avl", ["C1"])
    with engine.connect() as db:
        everything = repr([db.execute(select(table)).all() for table in (account, session, token)])
    for secret in (PASSWORD, opened.token, api_token, api_token.removeprefix("straja_")):
        assert secret not in everything
    assert "$argon2id$" in everything


def test_a_hash_of_older_parameters_is_renewed_at_the_next_sign_in(
    accounts: Accounts, engine: Engine, process: Process
) -> None:
    with engine.connect() as db:
        old = db.execute(select(account.c.password_hash)).scalar_one()
    stronger = PasswordHasher(time_cost=2, memory_cost=16, parallelism=1)
    later = process(stronger)
    later.login("ana", PASSWORD, "10.0.0.5")
    with engine.connect() as db:
        new = db.execute(select(account.c.password_hash)).scalar_one()
    assert new != old
    assert "m=16,t=2,p=1" in new
    later.login("ana", PASSWORD, "10.0.0.5")


# ---- too many attempts


def fail(accounts: Accounts, name: str, times: int, ip: str = "10.0.0.9") -> None:
    for _ in range(times):
        with pytest.raises(BadLogin):
            accounts.login(name, "a wrong password", ip)


@pytest.mark.parametrize("name", ["ana", "nobody"])
def test_the_fifth_wrong_password_locks_the_name_for_a_quarter_of_an_hour_whether_it_exists_or_not(
    accounts: Accounts, clock: FakeClock, hasher: CountingHasher, name: str
) -> None:
    fail(accounts, name, 4)
    with pytest.raises(Locked) as locked:
        accounts.login(name, "a wrong password", "10.0.0.9")
    assert locked.value.retry_after_s == 900
    clock.advance(14 * 60)
    verified = hasher.verified
    with pytest.raises(Locked) as locked:
        accounts.login(name, PASSWORD, "10.0.0.5")
    assert locked.value.retry_after_s == 60
    assert hasher.verified == verified, "a locked name costs no hash"


def test_when_the_lock_has_run_out_she_signs_in_and_the_count_begins_anew(
    accounts: Accounts, clock: FakeClock
) -> None:
    fail(accounts, "ana", 4)
    with pytest.raises(Locked):
        accounts.login("ana", "a wrong password", "10.0.0.9")
    clock.advance(15 * 60)
    fail(accounts, "ana", 4)
    accounts.login("ana", PASSWORD, "10.0.0.5")
    fail(accounts, "ana", 4)
    accounts.login("ana", PASSWORD, "10.0.0.5")


def test_a_lock_outlives_a_restart_and_a_supervisor_may_lift_it(
    accounts: Accounts, hasher: CountingHasher, process: Process
) -> None:
    fail(accounts, "ana", 4)
    with pytest.raises(Locked):
        accounts.login("ana", "a wrong password", "10.0.0.9")
    restarted = process(hasher)
    with pytest.raises(Locked):
        restarted.login("ana", PASSWORD, "10.0.0.5")
    restarted.unlock("ana")
    restarted.login("ana", PASSWORD, "10.0.0.5")


def test_a_lock_made_under_a_clock_years_ahead_does_not_last_for_years(
    accounts: Accounts, clock: FakeClock
) -> None:
    a_year_s = 365 * 86_400
    clock.jump(a_year_s)
    fail(accounts, "ana", 4)
    with pytest.raises(Locked):
        accounts.login("ana", "a wrong password", "10.0.0.9")
    clock.jump(-a_year_s)
    accounts.login("ana", PASSWORD, "10.0.0.5")


def test_guesses_sent_side_by_side_are_all_counted(
    database: str, accounts: Accounts, hasher: CountingHasher
) -> None:
    outcomes: list[type[BaseException] | None] = []

    def guess(i: int) -> None:
        try:
            accounts.login("ana", f"guess number {i}", f"10.1.0.{i}")
        except (BadLogin, Locked) as error:
            outcomes.append(type(error))

    threads = [threading.Thread(target=guess, args=(i,)) for i in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(outcomes) == 20
    assert hasher.verified <= 5


def test_one_address_may_not_try_name_after_name(accounts: Accounts, clock: FakeClock) -> None:
    for i in range(30):
        with pytest.raises(BadLogin):
            accounts.login(f"name{i}", "a wrong password", "203.0.113.7")
    with pytest.raises(Locked) as locked:
        accounts.login("ana", PASSWORD, "203.0.113.7")
    assert locked.value.retry_after_s == 60
    accounts.login("ana", PASSWORD, "203.0.113.8")
    clock.advance(60)
    accounts.login("ana", PASSWORD, "203.0.113.7")


def test_an_ipv6_customer_cannot_hop_through_his_own_network(accounts: Accounts) -> None:
    for i in range(30):
        with pytest.raises(BadLogin):
            accounts.login(f"name{i}", "a wrong password", f"2001:db8:0:1::{i:x}")
    with pytest.raises(Locked):
        accounts.login("ana", PASSWORD, "2001:db8:0:1:ffff::1")
    accounts.login("ana", PASSWORD, "2001:db8:0:2::1")


def test_a_whole_shift_signs_in_from_one_address(accounts: Accounts) -> None:
    for _ in range(60):
        accounts.login("ana", PASSWORD, "10.0.0.5")


# ---- sessions


def test_a_session_ends_with_the_shift(accounts: Accounts, clock: FakeClock) -> None:
    opened = accounts.login("ana", PASSWORD, "10.0.0.5")
    for _ in range(12 * 60 - 1):
        clock.advance(60)
        assert accounts.by_session(opened.token) is not None
    clock.advance(60)
    assert accounts.by_session(opened.token) is None


def test_a_session_nobody_uses_ends_after_half_an_hour(accounts: Accounts, clock: FakeClock) -> None:
    opened = accounts.login("ana", PASSWORD, "10.0.0.5")
    clock.advance(29 * 60)
    assert accounts.by_session(opened.token) is not None
    clock.advance(30 * 60)
    assert accounts.by_session(opened.token) is None


def test_use_in_one_process_keeps_the_session_alive_in_the_other(
    accounts: Accounts, clock: FakeClock, process: Process
) -> None:
    other = process()
    opened = accounts.login("ana", PASSWORD, "10.0.0.5")
    clock.advance(29 * 60)
    assert accounts.by_session(opened.token) is not None
    clock.advance(29 * 60)
    assert other.by_session(opened.token) is not None


def test_signing_out_ends_this_session_and_no_other(accounts: Accounts) -> None:
    here, there = accounts.login("ana", PASSWORD, "10.0.0.5"), accounts.login("ana", PASSWORD, "10.0.0.6")
    assert accounts.by_session(here.token)
    accounts.logout(here.token)
    accounts.logout(here.token)
    assert accounts.by_session(here.token) is None
    assert accounts.by_session(there.token)


@pytest.mark.parametrize("ending", ["revoke", "disable", "password"])
def test_a_revoked_session_is_dead_at_the_next_look_and_elsewhere_within_two_seconds(
    accounts: Accounts, clock: FakeClock, ending: str, process: Process
) -> None:
    other = process()
    opened = accounts.login("ana", PASSWORD, "10.0.0.5")
    assert accounts.by_session(opened.token)
    assert other.by_session(opened.token)
    if ending == "revoke":
        assert accounts.revoke_sessions("ana") == 1
    elif ending == "disable":
        accounts.set_disabled("Ana", True)
    else:
        accounts.set_password("ana", "o parolă cu totul nouă")
    assert accounts.by_session(opened.token) is None
    clock.advance(auth.CACHE_S)
    assert other.by_session(opened.token) is None


def test_a_disabled_account_cannot_sign_in_until_it_is_let_in_again(accounts: Accounts) -> None:
    accounts.set_disabled("ana", True)
    with pytest.raises(BadLogin):
        accounts.login("ana", PASSWORD, "10.0.0.5")
    accounts.set_disabled("ana", False)
    accounts.login("ana", PASSWORD, "10.0.0.5")


@pytest.mark.parametrize("change", ["disable", "password"])
def test_a_sign_in_under_way_fails_when_the_account_changes_meanwhile(
    accounts: Accounts, hasher: CountingHasher, process: Process, change: str
) -> None:
    """Given the old password being verified, when an admin in another process changes it or disables the
    account, then no session is opened."""
    admin = process()
    hasher.meanwhile = lambda: (
        admin.set_disabled("ana", True)
        if change == "disable"
        else admin.set_password("ana", "o parolă cu totul nouă")
    )
    with pytest.raises(BadLogin):
        accounts.login("ana", PASSWORD, "10.0.0.5")


def test_an_account_disabled_by_hand_in_the_database_is_out_within_two_seconds(
    accounts: Accounts, engine: Engine, clock: FakeClock
) -> None:
    opened = accounts.login("ana", PASSWORD, "10.0.0.5")
    assert accounts.by_session(opened.token)
    with engine.begin() as db:
        db.execute(update(account).values(disabled=True))
    clock.advance(auth.CACHE_S)
    assert accounts.by_session(opened.token) is None


def test_a_revocation_beats_a_look_up_that_was_under_way(accounts: Accounts, engine: Engine) -> None:
    """Given a look-up that has read the row, when the session is revoked before the look-up is
    remembered, then it is not remembered."""
    opened = accounts.login("ana", PASSWORD, "10.0.0.5")
    remember = accounts._remember

    def revoke_first(*args: Any) -> Any:
        accounts.revoke_sessions("ana")
        return remember(*args)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(accounts, "_remember", revoke_first)
        accounts.by_session(opened.token)
    assert accounts.by_session(opened.token) is None


def test_a_session_in_use_survives_a_database_that_cannot_be_written(
    tmp_path: Path, clock: FakeClock, hasher: CountingHasher, process: Process
) -> None:
    """Given a console at work, when the disk is full for an hour, then its session goes on."""
    path = tmp_path / "full.db"
    writable = create_engine(f"sqlite:///{path}")
    metadata.create_all(writable)
    first = process(hasher, on=writable)
    first.create_account("ana", PASSWORD, "dispatcher", ["C1"])
    opened = first.login("ana", PASSWORD, "10.0.0.5")
    writable.dispose()
    read_only = create_engine(f"sqlite:///file:{path}?mode=ro&uri=true")
    on_full_disk = process(hasher, on=read_only)
    for _ in range(60):
        clock.advance(60)
        assert on_full_disk.by_session(opened.token) is not None
    read_only.dispose()


@pytest.mark.parametrize("made_up", ["", "x", "ș" * 50, "' OR 1=1 --"])
def test_a_made_up_session_or_token_opens_nothing(accounts: Accounts, made_up: str) -> None:
    accounts.login("ana", PASSWORD, "10.0.0.5")
    assert accounts.by_session(made_up) is None
    assert accounts.by_token(made_up) is None
    assert accounts.by_token("straja_" + made_up) is None


# ---- tokens


def test_a_tracker_is_known_by_its_token_until_that_is_revoked(
    accounts: Accounts, clock: FakeClock, process: Process
) -> None:
    other = process()
    secret = accounts.create_token("gateway", "avl-f21", ["C1"], unit="F21")
    expected = Actor("avl-f21", "gateway", frozenset({"C1"}), "F21", "avl-f21")
    assert secret.startswith("straja_")
    assert accounts.by_token(secret) == accounts.by_token(secret) == other.by_token(secret) == expected
    assert accounts.revoke_token("avl-f21") is True
    assert accounts.revoke_token("avl-f21") is False
    assert accounts.by_token(secret) is None
    clock.advance(auth.CACHE_S)
    assert other.by_token(secret) is None
    (kept,) = accounts.tokens()
    assert (kept.name, kept.revoked_us) == ("avl-f21", clock.now_us() - 2_000_000)


def test_a_token_seen_a_moment_ago_costs_no_query(accounts: Accounts, engine: Engine) -> None:
    secret = accounts.create_token("gateway", "avl", ["*"])
    assert accounts.by_token(secret)
    engine.dispose()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(engine, "connect", lambda: pytest.fail("asked the database"))
        assert accounts.by_token(secret)


def test_trackers_that_report_seldom_cost_one_query_for_all_until_one_is_revoked(
    accounts: Accounts, engine: Engine, clock: FakeClock, process: Process
) -> None:
    secrets = [accounts.create_token("field", f"tracker-{n}", [], f"F{n}") for n in range(5)]
    elsewhere = process()
    asked: list[str] = []
    event.listen(engine, "before_cursor_execute", lambda _db, _cursor, text, *_: asked.append(text))
    for secret in secrets:
        assert accounts.by_token(secret)
    # Given that each was looked up, when longer than a look-up is trusted goes by between two reports
    for _ in range(3):
        clock.advance(auth.CACHE_S * 1.5)
        asked.clear()
        assert [a.unit for secret in secrets if (a := accounts.by_token(secret))] == [
            f"F{n}" for n in range(5)
        ]
        # Then one question is asked for all of them
        assert len([text for text in asked if "token" in text]) == 1
    # And when another process revokes one, that one is out in time, and the others are not
    assert elsewhere.revoke_token("tracker-3")
    clock.advance(auth.CACHE_S)
    assert [accounts.by_token(secret) is not None for secret in secrets] == [True, True, True, False, True]


def test_the_memory_of_look_ups_is_bounded(accounts: Accounts, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(auth, "_CACHE_ENTRIES_MAX", 3)
    secrets = [accounts.create_token("gateway", f"avl{i}", ["*"]) for i in range(5)]
    for secret in secrets * 2:
        assert accounts.by_token(secret)
    assert len(accounts._cache) == 3


# ---- what an account can be


@pytest.mark.parametrize(
    ("field", "changed"),
    [
        ("name", {"name": ""}),
        ("name", {"name": "ana maria"}),
        ("name", {"name": "ANA"}),
        ("name", {"name": "x" * 65}),
        ("password", {"password": "short"}),
        ("password", {"password": ""}),
        ("password", {"password": "x" * 1025}),
        ("password", {"name": "constantin", "password": "Constantin"}),
        ("role", {"role": "boss"}),
        ("role", {"role": "system"}),
        ("districts", {"districts": "C1"}),
        ("districts", {"districts": []}),
        ("districts", {"districts": ["C 1"]}),
        ("unit", {"role": "field"}),
        ("unit", {"unit": "F21"}),
    ],
)
def test_an_account_that_cannot_be_is_refused_by_the_name_of_the_field(
    accounts: Accounts, field: str, changed: dict[str, Any]
) -> None:
    wanted: dict[str, Any] = {"name": "ion", "password": PASSWORD, "role": "dispatcher", "districts": ["C1"]}
    with pytest.raises(BadAccount) as refused:
        accounts.create_account(**(wanted | changed))
    assert refused.value.field == field
    assert [kept.name for kept in accounts.accounts()] == ["ana"]


def test_a_demo_account_may_have_a_short_password_and_says_that_it_is_one(accounts: Accounts) -> None:
    accounts.create_account("demo", "demo", "observer", ["*"], demo=True)
    accounts.login("demo", "demo", "10.0.0.5")
    assert [(kept.name, kept.demo) for kept in accounts.accounts()] == [("ana", False), ("demo", True)]


@pytest.mark.parametrize("name", ["demo", "DEMO", " Demo "])
def test_when_the_demo_is_over_its_accounts_are_shut_and_its_sessions_end(
    accounts: Accounts, process: Process, name: str
) -> None:
    accounts.create_account("demo", "demo", "dispatcher", ["*"], demo=True)
    opened = accounts.login(name, "demo", "10.0.0.5")
    after_the_demo = process(demo=False)
    with pytest.raises(BadLogin):
        after_the_demo.login(name, "demo", "10.0.0.5")
    assert after_the_demo.by_session(opened.token) is None
    after_the_demo.login("ana", PASSWORD, "10.0.0.5")


def test_a_token_for_the_software_itself_cannot_be_made(accounts: Accounts) -> None:
    with pytest.raises(BadAccount, match="role"):
        accounts.create_token("system", "me", ["*"])


def test_changing_an_account_that_is_not_there_says_so(accounts: Accounts) -> None:
    with pytest.raises(BadAccount, match="no account called nobody"):
        accounts.set_disabled("nobody", True)


# ---- permissions

ROLES = ["admin", "supervisor", "dispatcher", "field", "gateway", "observer", "drill_controller", "system"]
# Written down apart from the code: C whole city, D own districts, O own unit, - refused.
EXPECTED = """
incident.read            D D D O - D D C
incident.report          D D D - D - - C
incident.edit            D D D - - - - C
incident.acknowledge     D D D - - - - -
incident.note            D D D - - - - C
incident.close           D D D - - - - -
incident.reopen          D D D - - - - -
incident.link_case       D D D - - - - C
incident.alarm_level     D D D - - - - C
incident.recommendation  D D D - - - - C
incident.assign          D D D - - - - C
incident.recall          D D D - - - - C
incident.answer_request  D D D - D - - C
proposal.read            D D D - - D D C
proposal.make            - - - - - - - C
proposal.decide          D D D - - - - C
unit.read                C C C O D C C C
unit.register            D D - - - - - -
unit.status              D D D O D - - C
unit.flag                D D D O D - - C
unit.move_up             D D D - - - - C
unit.answer_move_up      D D D - D - - C
unit.trail               D D D O - - - C
unit.history             D D D O - D D C
position.report          D D D O D - - C
custody.grant            D D - - - - - -
coverage.read            C C C - - C C C
closure.read             C C C C C C C C
closure.report           D D D O D - - C
closure.edit             D D D - - - - -
closure.confirm          D D D O - - - -
closure.order            D D - O - - - -
closure.withdraw         D D D O - - - -
closure.expire           - - - - - - - C
unit.eta                 - - - - - - - C
catalogue.read           C C C C C C C C
address.search           C C C C - C C C
live.listen              C C C C - C C -
event.read               D D D - - D D C
log.verify               C C - - - C C C
metrics.read             C C - - - C - -
forecast.read            C C - - - C - C
personal.read            D D D O - - - -
personal.erase           D - - - - - - C
conflict.resolve         D D D - - - - -
city.manage              C - - - - - - -
command.line             C C C - - - - -
undo                     D D D O D - - -
incident.link            D D D - - - - C
incident.own             D D D - - - - -
incident.check           D D D - - - - C
incident.crew_check      D D D O - - - C
incident.notify          D D D - - - - C
duty.read                C C C - - - - -
duty.edit                C C - - - - - -
colleague.read           C C C - - - - -
call.read                D D D - - - - -
call.report              D D D - D - - C
call.handle              D D D - - - - C
alarm.read               D D D - - D D C
alarm.report             D D D - D - - C
alarm.acknowledge        D D D - - - - -
alarm.shelve             D D D - - - - -
alarm.service            D D - - - - - -
premise.read             D D D - - - - -
premise.edit             D D D - - - - -
performance.read         D D D - - D D -
load.read                C C - - - - - -
handover.read            D D D - - - - -
handover.write           D D D - - - - -
handover.take            D D D - - - - -
planned.read             D D D - - D D -
planned.edit             D D D - - - - -
incident.catch_up        D D D - - - - -
register.read            C C - - - - - -
sheet.read               D D D - - - - -
account.manage           C - - - - - - -
"""
MATRIX = {
    action: dict(zip(ROLES, letters, strict=True))
    for action, *letters in (line.split() for line in EXPECTED.strip().splitlines())
}
CELLS = [(action, role, letter) for action, row in MATRIX.items() for role, letter in row.items()]


def test_every_action_is_written_down_here_and_there() -> None:
    assert set(PERMISSIONS) == set(MATRIX)
    assert [role.value for role in Role] == ROLES


@pytest.mark.parametrize(("action", "role", "letter"), CELLS)
def test_each_role_may_do_its_part_and_nothing_else(action: str, role: str, letter: str) -> None:
    here = Actor("a", role, frozenset({"C1"}), "F21" if role == "field" else None)
    own = {"district": "C1", "unit": "F21"}
    elsewhere = {"district": "C2", "unit": "F21"}
    other_unit = {"district": "C1", "unit": "F22"}
    assert could(here, action) is (letter != "-")
    assert may(here, action, **own) is (letter != "-")
    assert may(here, action, **elsewhere) is (letter in "CO")
    assert may(here, action, **other_unit) is (letter in "CD")
    assert may(here, action) is (letter == "C"), "an unnamed subject is nobody's"
    everywhere = Actor("a", role, frozenset({"*"}), here.unit)
    assert may(everywhere, action, **elsewhere) is (letter != "-")


def test_a_tracker_speaks_for_its_own_unit_alone() -> None:
    tracker = Actor("avl-f21", "gateway", frozenset({"*"}), "F21")
    assert may(tracker, "position.report", district="C1", unit="F21")
    assert not may(tracker, "position.report", district="C1", unit="F22")
    assert not may(tracker, "incident.report", district="C1")


def test_a_crew_reads_the_incident_it_is_on() -> None:
    crew = Actor("f21", "field", frozenset(), "F21")
    assert may(crew, "incident.read", district="C2", unit=["A7", "F21"])
    assert not may(crew, "incident.read", district="C2", unit=["A7"])
    assert not may(crew, "incident.read", district="C2", unit=[])


def test_a_field_login_without_a_unit_owns_none() -> None:
    assert not may(Actor("x", "field", frozenset({"*"})), "unit.status", district="C1", unit="F21")


def test_unknown_actions_and_roles_are_refused() -> None:
    assert not may(Actor("x", "admin", frozenset({"*"})), "incident.delete", district="C1")
    assert not may(Actor("x", "", frozenset({"*"})), "catalogue.read")


@pytest.mark.parametrize(
    ("actor", "action", "subject", "words"),
    [
        (Actor("o", "observer", frozenset({"*"})), "city.manage", {},
         "city.manage needs the role admin; yours is observer."),
        (Actor("d", "dispatcher", frozenset({"C1"})), "incident.close", {"district": "C2"},
         "incident.close needs district C2; yours: C1."),
        (Actor("d", "dispatcher", frozenset({"C1"})), "incident.close", {},
         "incident.close needs all districts; yours: C1."),
        (Actor("f", "field", frozenset(), "F21"), "unit.status", {"unit": "F22"},
         "unit.status on unit F22 is for that unit alone; your unit: F21."),
        (Actor("d", "admin", frozenset({"*"})), "no.such", {}, "There is no action called no.such."),
        (Actor("d", "dispatcher", frozenset({"C1"})), "incident.close", {"district": "C1"}, ""),
    ],
)  # fmt: skip
def test_a_refusal_names_what_is_missing(
    actor: Actor, action: str, subject: dict[str, str], words: str
) -> None:
    assert explain(actor, action, **subject) == words


def test_the_page_on_access_shows_the_same_table() -> None:
    page = (Path(__file__).parents[2] / "docs" / "access.md").read_text(encoding="utf-8")
    heads = next(line for line in page.splitlines() if line.startswith("| Action"))
    assert [cell.strip() for cell in heads.strip("|").split("|")][1:] == [role.value for role in Role]
    shown = {}
    for line in page.splitlines():
        if row := re.match(r"\| `([a-z_.]+)` \|(.*)\|$", line):
            shown[row[1]] = [cell.strip() for cell in row[2].split("|")]
    words = {None: "", Scope.CITY: "city", Scope.DISTRICT: "district", Scope.OWN_UNIT: "own unit"}
    assert shown == {
        action: [words[granted.get(role)] for role in Role] for action, granted in PERMISSIONS.items()
    }


# ---- the edge


def test_a_csrf_token_must_be_the_sessions_own(accounts: Accounts) -> None:
    opened = accounts.login("ana", PASSWORD, "10.0.0.5")
    assert auth.csrf_matches(opened.csrf, opened.csrf)
    for wrong in (None, "", opened.csrf[:-1], opened.csrf + "x", opened.token, "ș"):
        assert not auth.csrf_matches(opened.csrf, wrong)
    assert not auth.csrf_matches("", "")


@pytest.mark.parametrize(
    ("origin", "allowed"),
    [
        ("https://straja.example", True),
        ("https://STRAJA.example:443", True),
        ("http://localhost:8000", True),
        ("http://straja.example", False),
        ("https://straja.example:8443", False),
        ("https://straja.example.evil.example", False),
        ("https://straja.example@evil.example", False),
        ("https://straja.example/path", False),
        ("https://[bad", False),
        ("https://straja.example:99999", False),
        ("null", False),
        ("", False),
        (None, False),
    ],
)
def test_a_browser_opens_a_socket_only_from_our_own_pages(origin: str | None, allowed: bool) -> None:
    ours = ["https://straja.example", "http://localhost:8000"]
    assert auth.origin_allowed(origin, ours) is allowed


def test_a_forgotten_password_is_replaced_at_the_command_line_and_its_sessions_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    # Given a dispatcher who is signed in somewhere and has forgotten her password
    config = Config.from_env({"STRAJA_VAR": str(tmp_path / "var")})
    known = cli.accounts(config)
    known.create_account("ana", PASSWORD, "dispatcher", ["*"])
    opened = known.login("ana", PASSWORD, "10.0.0.5")

    def told(name: str, typed: str) -> None:
        monkeypatch.setattr(sys, "stdin", io.StringIO(typed + "\n"))
        cli.run_user_password(config, Namespace(name=name))

    # When the admin gives her another
    told("ana", "patru brazi la vale")
    # Then the old one opens nothing, and nobody is left inside
    assert "ana has a new password" in capsys.readouterr().out
    fresh = cli.accounts(config)
    assert fresh.by_session(opened.token) is None
    with pytest.raises(BadLogin):
        fresh.login("ana", PASSWORD, "10.0.0.5")
    fresh.login("ana", "patru brazi la vale", "10.0.0.5")
    # And what cannot be a password, or whose it would be, is said
    with pytest.raises(Trouble, match="at least 10"):
        told("ana", "scurt")
    with pytest.raises(Trouble, match="no account called bogdan"):
        told("bogdan", "patru brazi la vale")
