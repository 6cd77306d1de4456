"""The policy over refused exports (DESIGN §2.2)."""

from __future__ import annotations

import pytest

from connector_host.connectors import refusals
from connector_host.connectors.contract import Add, Delete, Refusal, RefusalKind
from connector_host.connectors.errors import RefusedExport
from connector_host.settings import RefusalSettings

EACH = tuple(Refusal(kind, kind.value, "is refused.") for kind in RefusalKind)


def test_every_class_is_rejected_by_default_and_all_are_named():
    with pytest.raises(RefusedExport) as refused:
        refusals.apply(RefusalSettings(), Add({}, EACH))
    assert refused.value.refusals == EACH


@pytest.mark.parametrize("kind", RefusalKind)
def test_a_class_that_may_be_dropped_is_returned_and_the_others_are_still_rejected(kind):
    policy = RefusalSettings.model_validate({kind.value: "drop"})
    with pytest.raises(RefusedExport) as refused:
        refusals.apply(policy, Add({}, EACH))
    assert kind not in {refusal.kind for refusal in refused.value.refusals}
    only = tuple(refusal for refusal in EACH if refusal.kind is kind)
    assert refusals.apply(policy, Add({}, only)) == only


def test_a_deletion_has_nothing_to_refuse():
    assert refusals.apply(RefusalSettings(), Delete("anna")) == ()
