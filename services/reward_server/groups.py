"""Which items of a request belong together, and a request that says so in a way that cannot be."""

from collections.abc import Sequence
from dataclasses import dataclass

from guerdon.messages import Group as WireGroup
from guerdon.messages import Item
from http_face.refused import Refused


@dataclass(frozen=True)
class Group:
    """One group's members in a request: their indices by slot, in the order of the slots.

    Attributes:
        id: what it is called where members come in several requests; "" for the one group without a name.
        size: members of the whole group.
    """

    id: str
    size: int
    members: dict[int, int]

    @property
    def whole(self) -> bool:
        return len(self.members) == self.size


def grouped(items: Sequence[Item]) -> list[Group]:
    """Return the groups of items; items without `group` are one group when they share their prompt.

    Raises:
        Refused: an item without `group` although the items do not share one prompt, or a slot used twice.
    """
    named = [item.group is not None for item in items]
    if not any(named):
        if any(item.prompt != items[0].prompt for item in items):
            raise Refused("items.0.group", "give every item a `group`, or all items one prompt: that makes one group")
        return [Group("", len(items), dict(enumerate(range(len(items)))))]
    if not all(named):
        raise Refused(f"items.{named.index(False)}.group", "give every item a `group`, or none of them")
    groups: dict[str, Group] = {}
    for index, item in enumerate(items):
        assert item.group is not None
        _add(groups, index, item.group)
    return [Group(one.id, one.size, dict(sorted(one.members.items()))) for one in groups.values()]


def _add(groups: dict[str, Group], index: int, wire: WireGroup) -> None:
    group = groups.setdefault(wire.id, Group(wire.id, wire.size, {}))
    if wire.size != group.size:
        raise Refused(f"items.{index}.group.size", f"the members of {wire.id!r} disagree about its size")
    if wire.slot in group.members:
        raise Refused(f"items.{index}.group.slot", f"slot {wire.slot} of {wire.id!r} is taken")
    group.members[wire.slot] = index
