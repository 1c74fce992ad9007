"""The graph of causes, and the fold of active alarms that it makes."""

import random
from dataclasses import replace
from importlib.metadata import entry_points
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from twisted_gantry.config.devices import DEVICE_KINDS
from twisted_gantry.core.alarms import Alarm, Severity
from twisted_gantry.devices.cabinet.points import rules as cabinet_rules
from twisted_gantry.devices.power import TEXTS
from twisted_gantry.wire.causes import (
    BEFORE_S,
    LINKS,
    TOGETHER_S,
    WITNESSES,
    Fold,
    Graph,
    Link,
    Scope,
    circle,
    stands_alone,
    wrong_links,
)
from twisted_gantry.wire.emergencies import EMERGENCIES

W, C = Severity.WARNING, Severity.CRITICAL
T = 1_796_054_400.0
# Alarms that the program sets itself, in no rule.
_SET = {"offline", "channel", "white-list", "store.failed", "history.failed", "record.failed"}
_IN_KINDS = {"part-offline", "power-off", "alarm", "contactor-open", "power-mode", "tolling-off"}


def alarms(*raised: tuple[str, float] | tuple[str, float, Severity]) -> list[Alarm]:
    """Make alarms in the order in which they were raised, seconds after T; critical by default."""
    made = []
    for serial, (name, at, *rest) in enumerate(raised, 1):
        made.append(Alarm(name, rest[0] if rest else C, name, name, T + at, serial=serial))
    return made


def folded(*raised: Any, graph: Graph | None = None) -> dict[str, str]:
    return dict((graph or Graph()).fold(alarms(*raised)).causes)


def test_the_graph_has_no_circle() -> None:
    """No condition explains itself, not even through others."""
    assert circle(LINKS) == []
    assert circle((*LINKS, Link("offline", "mains-abnormal"))) == ["mains-abnormal", "offline"]
    assert circle([Link("a", "a")]) == ["a"]


def test_what_people_must_hear_of_is_explained_by_nothing() -> None:
    """Smoke, water, doors, and each further step of a failure are no consequence of a link."""
    steps = {"battery-low", "shutting-down", "output-off", "ups-fault", "overload", "smoke"}
    assert {link.consequence for link in LINKS} & (EMERGENCIES | steps) == set()
    assert [link for link in LINKS if stands_alone(link.consequence)] == []
    assert [each for each in WITNESSES if stands_alone(each)] == []
    doors = [rule.name for rule in cabinet_rules(lambda _: ()) if "door" in rule.name]
    assert len(doors) == 7
    assert all(map(stands_alone, doors))
    own = Graph(own={"cab1": (Link("offline", "smoke"), Link("offline", "back-door-open"))})
    found = folded(("cab1.offline", 0), ("cab1.smoke", 1), ("cab1.back-door-open", 1), graph=own)
    assert found == {}


def test_each_condition_of_the_graph_can_be_raised() -> None:
    """Every name in a link is that of an alarm."""
    rules = {rule.name for rule in cabinet_rules(lambda _: ())}
    known = {*TEXTS, *rules, *_SET, *_IN_KINDS}
    named = {name for link in LINKS for name in (link.cause, link.consequence)}
    assert named - known == set()
    assert set(WITNESSES) <= known


def test_a_kind_may_declare_causes_of_its_own() -> None:
    """Links of a kind hold for alarms of its devices alone, and are checked for circles."""
    graph = Graph(own={"pump": (Link("motor-hot", "flow-low"),)})
    both = [("pump.motor-hot", 0), ("pump.flow-low", 1), ("other.motor-hot", 0)]
    assert folded(*both, ("other.flow-low", 1), graph=graph) == {"pump.flow-low": "pump.motor-hot"}
    assert wrong_links((Link("motor-hot", "flow-low"),)) == ""
    assert "circle" in wrong_links((Link("offline", "a"), Link("a", "offline")))
    assert "not 'pump.a'" in wrong_links((Link("pump.a", "b"),))
    for kind in entry_points(group=DEVICE_KINDS):
        assert wrong_links(tuple(getattr(kind.load(), "causes", ()))) == ""


MAINS = (
    ("cfos.mains-abnormal", 0.0),
    ("ups1.mains-abnormal", 2.0),
    ("ups1.on-battery", 2.0, W),
    ("cab1.mains-abnormal", 4.0),
    ("cab1.mains-warning", 4.0, W),
    ("cab1.rectifier-fault", 4.0),
    ("cab1.ups.1.on-battery", 4.0, W),
    ("cab1.air-conditioner-fault", 200.0, W),
)


def test_a_mains_failure_is_one_fold() -> None:
    """The first witness explains all others and what each of them lacks, one level deep."""
    fold = Graph().fold(alarms(*MAINS))
    names = [name for name, *_ in MAINS[1:]]
    assert fold.causes == dict.fromkeys(names, "cfos.mains-abnormal")
    assert fold.consequences == {"cfos.mains-abnormal": names}


def test_a_witness_that_clears_hands_over_to_the_next_one() -> None:
    """When the first witness is over, the second one explains what is left."""
    left = [each for each in MAINS if not each[0].startswith("cfos")]
    assert set(folded(*left).values()) == {"ups1.mains-abnormal"}
    assert len(folded(*left)) == len(left) - 1
    # What stays when nobody sees a failure of the mains any more stands for itself.
    assert folded(("cab1.rectifier-fault", 4.0), ("ups1.on-battery", 2.0, W)) == {}


def test_a_later_witness_does_not_take_over() -> None:
    """The cause of the first witnesses stays as more of them come, one after another."""
    for count in range(1, len(MAINS) + 1):
        assert set(folded(*MAINS[:count]).values()) <= {"cfos.mains-abnormal"}


def test_an_old_witness_does_not_explain_a_new_failure() -> None:
    """A meter behind an open breaker hides no mains failure of another day."""
    meter = ("cfos.mains-abnormal", 0.0)
    near, far = ("ups1.mains-abnormal", TOGETHER_S), ("ups1.mains-abnormal", TOGETHER_S + 1)
    assert folded(meter, near) == {"ups1.mains-abnormal": "cfos.mains-abnormal"}
    assert folded(meter, far) == {}
    # Nor does the meter explain what another device lacks, long after.
    assert folded(meter, ("cab1.rectifier-fault", TOGETHER_S + 1)) == {}
    more = (far, ("ups1.on-battery", TOGETHER_S + 1, W), ("cab1.rectifier-fault", TOGETHER_S + 2))
    assert folded(meter, *more) == {
        "ups1.on-battery": "ups1.mains-abnormal",
        "cab1.rectifier-fault": "ups1.mains-abnormal",
    }


def test_what_was_raised_long_before_is_no_consequence() -> None:
    """A fault is older than a mains failure: it is not explained by that."""
    mains = ("cab1.mains-abnormal", 0.0)
    assert folded(("cab1.rectifier-fault", -BEFORE_S), mains) == {
        "cab1.rectifier-fault": "cab1.mains-abnormal"
    }
    assert folded(("cab1.rectifier-fault", -BEFORE_S - 1), mains) == {}


def test_what_comes_long_after_is_news() -> None:
    """An old alarm of the same device hides no rectifier that breaks, and no battery that trips."""
    old = [("cab1.mains-abnormal", 0), ("bms1.alarm", 0), ("cfos.mains-abnormal", 1)]
    late = TOGETHER_S + 2
    news = [("cab1.rectifier-fault", late), ("bms1.contactor-open", late, W)]
    news += [("cfos.part-offline", late + 1, W), ("cab1.air-conditioner-temperature", late, W)]
    assert folded(*old, *news) == {"cfos.mains-abnormal": "cab1.mains-abnormal"}
    # A disk or an uplink that fails explains its own consequences at any time.
    assert len(folded(("etc.channel", 0, W), ("etc.white-list", 9999, W))) == 1


def test_a_ups_on_battery_with_good_mains_stands_for_itself() -> None:
    """The mains failure of another device does not explain it."""
    assert folded(("ups1.mains-abnormal", 0), ("ups2.on-battery", 1, W)) == {}


def test_nothing_stands_under_a_less_severe_alarm() -> None:
    """A critical alarm is on a line of its own rather than under a warning."""
    assert folded(("ups1.input-over-voltage", 0, W), ("ups2.input-over-voltage", 1)) == {}
    assert folded(("ups1.input-over-voltage", 0), ("ups2.input-over-voltage", 1, W)) != {}


def test_a_device_in_maintenance_hides_nothing_of_others() -> None:
    """Nobody is called for a device in maintenance, so it explains only what is muted as well."""
    first, second, third = alarms(*MAINS[:3])
    muted = replace(first, in_maintenance=True)
    assert Graph().fold([muted, second, third]).causes == {third.name: second.name}
    all_muted = [muted, replace(second, in_maintenance=True), third]
    assert Graph().fold(all_muted).causes == {second.name: first.name}


def test_power_that_is_switched_off_explains_what_it_feeds() -> None:
    """`fed_by` tells which devices go dark with a UPS or a relay, and which with the mains."""
    graph = Graph({"cfos": "relay1", "relay1": "ups1", "ups2": "ups1", "cam": "mains"})
    dark = [("ups1.output-off", 0), ("cfos.offline", 20, W), ("relay1.offline", 20, W)]
    dark += [("ups2.mains-abnormal", 1), ("bms1.offline", 20, W)]
    fed = ("cfos.offline", "relay1.offline", "ups2.mains-abnormal")
    assert folded(*dark, graph=graph) == dict.fromkeys(fed, "ups1.output-off")
    mains = [("ups1.mains-abnormal", 0), ("cam.offline", 20, W), ("bms1.offline", 20, W)]
    assert folded(*mains, graph=graph) == {"cam.offline": "ups1.mains-abnormal"}
    # A UPS behind another one does not see the mains.
    assert folded(("ups1.mains-abnormal", 0), ("ups2.mains-abnormal", 1), graph=graph) == {}


def test_the_disk_explains_what_cannot_be_kept() -> None:
    """A store that fails explains the history and the recording; an uplink its white list."""
    assert folded(("history.failed", 0, W), ("store.failed", 5), ("etc.channel", 6, W)) == {
        "history.failed": "store.failed"
    }
    assert folded(("etc.channel", 0, W), ("etc.white-list", 9, W), ("fogslink.channel", 1, W)) == {
        "etc.white-list": "etc.channel"
    }


_CONDITIONS = sorted(
    {name for link in LINKS for name in (link.cause, link.consequence) if "." not in name}
    | {"smoke", "back-door-open", "output-off"}
)
_DEVICES = ("a", "b", "c")
_RAISED = st.lists(
    st.tuples(
        st.sampled_from(_DEVICES),
        st.sampled_from(_CONDITIONS),
        st.floats(0, 1000),
        st.sampled_from(Severity),
        st.booleans(),
    ),
    max_size=25,
    unique_by=lambda each: each[:2],
)
_FEEDERS = st.dictionaries(st.sampled_from(_DEVICES), st.sampled_from([*_DEVICES, "mains"]))


def is_sound(fold: Fold, given_: list[Alarm]) -> bool:
    """Tell whether each consequence has one root, which is active and no consequence itself."""
    by_name = {alarm.name: alarm for alarm in given_}
    told = [name for names in fold.consequences.values() for name in names]
    return (
        sorted(told) == sorted(fold.causes)
        and not fold.causes.keys() & fold.consequences.keys()
        and all(root in by_name and root != name for name, root in fold.causes.items())
        and not any(stands_alone(by_name[name].condition) for name in told)
        and all(
            by_name[fold.causes[name]].severity is C or by_name[name].severity is W for name in told
        )
    )


@given(_RAISED, _FEEDERS)
def test_every_fold_has_one_root(raised: list[Any], feeders: dict[str, str]) -> None:
    """Whatever is active: one root each, one level, and the order of the alarms changes nothing."""
    given_ = [
        Alarm(f"{device}.{what}", severity, "", "", T + at, serial=n, in_maintenance=muted)
        for n, (device, what, at, severity, muted) in enumerate(raised)
    ]
    graph = Graph(feeders)
    fold = graph.fold(given_)
    assert is_sound(fold, given_)
    shuffled = random.Random(1).sample(given_, len(given_))
    assert graph.fold(shuffled) == fold


def test_scopes_are_all_used() -> None:
    """No scope is left without a link."""
    assert {link.scope for link in LINKS} == set(Scope)
