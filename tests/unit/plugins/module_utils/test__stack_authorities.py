# Copyright (c) 2026, kplane.core contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from datetime import timedelta

import pytest

pytest.importorskip("cryptography")

from cryptography import x509
from cryptography.x509 import verification

from ansible_collections.kplane.core.plugins.module_utils import _pki
from ansible_collections.kplane.core.plugins.module_utils import _stack_authorities as authorities
from ansible_collections.kplane.core.plugins.module_utils import _stack_secrets as secrets
from ansible_collections.kplane.core.plugins.module_utils._contract import CA_SECRET
from ansible_collections.kplane.core.plugins.module_utils._errors import KplaneError
from ansible_collections.kplane.core.plugins.module_utils._stack_held import Held, Rotation

WANTED = secrets.Wanted("kplane-system", ("kplane.example.com",))
NAMES = {secrets.API_TLS_SECRET: "kplane.example.com", secrets.ETCD_SECRET: "kplane-etcd.kplane-system.svc"}
ASKED = Rotation("one", (authorities.ROTATE_AUTHORITIES,))


class Clock:
    """A clock that tests turn."""

    def __init__(self):
        self.time = _pki.now().replace(microsecond=0)

    def __call__(self):
        return self.time

    def after(self, days):
        self.time += timedelta(days=days)


@pytest.fixture
def clock(monkeypatch):
    made = Clock()
    monkeypatch.setattr(_pki, "now", made)
    return made


def trusts(bundle, certificate, name):
    """Whether who trusts ``bundle`` takes a server of that name for genuine, now."""
    store = verification.Store(x509.load_pem_x509_certificates(bundle.encode()))
    verifier = verification.PolicyBuilder().store(store).time(_pki.now()).build_server_verifier(x509.DNSName(name))
    try:
        verifier.verify(x509.load_pem_x509_certificate(certificate.encode()), [])
    except verification.VerificationError:
        return False
    return True


def serves(held, trusting):
    """Whether who has the Secrets ``trusting`` takes every server with the Secrets ``held`` for genuine."""
    bundles = {
        secrets.API_TLS_SECRET: trusting[CA_SECRET].data["ca.crt"],
        secrets.ETCD_SECRET: trusting[secrets.ETCD_SECRET].data["ca.crt"],
    }
    return {name for name in NAMES if trusts(bundles[name], held[name].data["tls.crt"], NAMES[name])}


def passes(held, wanted):
    """The Secrets after each pass of one run."""
    found = []
    while True:
        outcome = secrets.settle(held, wanted)
        found.append(outcome)
        if not outcome.more:
            return found
        assert len(found) < 6
        held, wanted = outcome.held, wanted._replace(settled=True)


def test_trust_is_never_broken(clock):
    """While parts are rolled one by one, each of them meets others with the Secrets before and after: all have to verify all."""
    held = secrets.settle({}, WANTED).held
    first = held
    clock.after(1)
    for wanted, days in ((WANTED._replace(rotation=ASKED), 0), (WANTED, 29), (WANTED, 1), (WANTED, 1)):
        clock.after(days)
        for outcome in passes(held, wanted):
            for one, other in ((held, outcome.held), (outcome.held, held), (outcome.held, outcome.held)):
                assert serves(one, other) == set(NAMES)
            held = outcome.held
    assert secrets.settle(held, WANTED).reasons == {}
    for name in (CA_SECRET, secrets.ETCD_CA_SECRET):
        assert len(_pki.split(held[name].data["ca.crt"])) == 1
        assert held[name].data["ca.key"] != first[name].data["ca.key"]
        assert set(held[name].data) == {"ca.crt", "ca.key"}
    assert serves(held, first) == serves(first, held) == set()


def test_who_holds_a_kubeconfig_has_the_overlap_to_fetch_it_again(clock):
    first = secrets.settle({}, WANTED).held
    turned = passes(first, WANTED._replace(rotation=ASKED))[-1].held
    ready = clock() + timedelta(days=30)
    assert secrets.awaited(turned, WANTED) == [{"secret": CA_SECRET, "signs_from": f"{ready:%Y-%m-%dT%H:%M:%SZ}"}]
    assert turned[secrets.API_TLS_SECRET] == first[secrets.API_TLS_SECRET]._replace(
        data={**first[secrets.API_TLS_SECRET].data, "ca.crt": turned[CA_SECRET].data["ca.crt"]}
    )
    # etcd is known to the stack only: it is done.
    assert serves(turned, first) == {secrets.API_TLS_SECRET}
    clock.after(29)
    assert passes(turned, WANTED)[-1].reasons == {}
    clock.after(2)
    over = passes(turned, WANTED)
    assert [outcome.reasons.get(CA_SECRET) for outcome in over] == [None, "the next one signs now", "the one before is trusted no more"]
    assert serves(over[-1].held, turned) == set(NAMES)
    assert serves(over[-1].held, first) == set()
    assert secrets.awaited(over[-1].held, WANTED) == []


def test_no_step_is_taken_before_everything_serves(clock):
    first = secrets.settle({}, WANTED).held
    wanted = WANTED._replace(rotation=ASKED, ca_overlap=timedelta(0))
    steps = passes(first, wanted)
    for outcome in steps[:-1]:
        again = secrets.settle(outcome.held, wanted)
        assert again.reasons == {}
        assert again.more


def test_an_interrupted_run_goes_on_where_it_was(clock):
    """Each Secret may be the one that a killed run wrote last."""
    first = secrets.settle({}, WANTED).held
    wanted = WANTED._replace(rotation=ASKED)
    before = first
    for outcome in passes(first, wanted):
        for written in range(len(outcome.reasons)):
            names = list(outcome.reasons)[:written]
            half = {**before, **{name: outcome.held[name] for name in names}}
            ended = passes(half, wanted)[-1].held
            assert serves(ended, ended) == set(NAMES)
            assert len(_pki.split(ended[CA_SECRET].data["ca.crt"])) == 2
            assert len(_pki.split(ended[secrets.ETCD_CA_SECRET].data["ca.crt"])) == 1
            assert secrets.settle(ended, WANTED).reasons == {}
        before = outcome.held


def test_an_authority_near_its_end_is_replaced_without_being_asked(clock, monkeypatch):
    monkeypatch.setattr(_pki, "CA_DAYS", 300)
    held = secrets.settle({}, WANTED).held
    ends = _pki.ends(held[CA_SECRET].data["ca.crt"])
    assert _pki.ends(held[secrets.API_TLS_SECRET].data["tls.crt"]) == ends
    clock.after(205)
    assert passes(held, WANTED)[-1].reasons == {}
    clock.after(6)  # 60 days before the end, and 30 of overlap
    began = passes(held, WANTED)[-1]
    assert f"it ends on {ends:%Y-%m-%d}" in secrets.settle(held, WANTED).reasons[CA_SECRET]
    clock.after(31)
    over = passes(began.held, WANTED)[-1].held
    assert _pki.ends(over[secrets.API_TLS_SECRET].data["tls.crt"]) > ends
    assert serves(over, over) == set(NAMES)


def test_one_that_has_ended_is_not_waited_for(clock, monkeypatch):
    monkeypatch.setattr(_pki, "CA_DAYS", 10)
    held = secrets.settle({}, WANTED).held
    clock.after(11)
    assert serves(held, held) == set()
    over = passes(held, WANTED)[-1].held
    assert serves(over, over) == set(NAMES)


def test_asking_again_while_one_is_on_its_way(clock):
    turned = passes(secrets.settle({}, WANTED).held, WANTED._replace(rotation=ASKED))[-1].held
    with pytest.raises(KplaneError, match=r"is being replaced already: .* Set ca_overlap to fewer days"):
        secrets.settle(turned, WANTED._replace(rotation=ASKED._replace(name="two")))
    done = passes(turned, WANTED._replace(ca_overlap=timedelta(0)))[-1].held
    assert len(_pki.split(done[CA_SECRET].data["ca.crt"])) == 1


def test_a_key_of_another_authority_is_refused():
    first, other = secrets.settle({}, WANTED).held, secrets.settle({}, WANTED).held
    data = {**first[CA_SECRET].data, "ca.key": other[CA_SECRET].data["ca.key"]}
    with pytest.raises(KplaneError, match=r"its ca\.key is not the key of any certificate in its ca\.crt"):
        secrets.settle({**first, CA_SECRET: Held(data, {})}, WANTED)


def test_what_is_trusted_besides_stays():
    """A bundle may have certificates of the user's own; only the one that was replaced goes."""
    first = secrets.settle({}, WANTED).held
    own = _pki.make_ca("somebody").public
    data = {**first[CA_SECRET].data, "ca.crt": first[CA_SECRET].data["ca.crt"] + own}
    held = {**first, CA_SECRET: Held(data, {})}
    assert CA_SECRET not in secrets.settle(held, WANTED).reasons
    done = passes(held, WANTED._replace(rotation=ASKED, ca_overlap=timedelta(0)))[-1].held
    assert own in done[CA_SECRET].data["ca.crt"]
    assert len(_pki.split(done[CA_SECRET].data["ca.crt"])) == 2
