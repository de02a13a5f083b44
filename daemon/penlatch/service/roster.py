"""Roster: everybody who is enrolled, their templates in memory and their references in the store, kept in step.

Lives in the worker thread, as the judge does that owns it. A template is always that of all references, originals and
adapted; both change in one transaction, and memory follows the disk.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from penlatch.errors import RequestError
from penlatch.ink import Trace
from penlatch.messages import Reason
from penlatch.service.claims import OfOriginals, first_sitting
from penlatch.service.references import Reference, References
from penlatch.verify.adaptation import Accepted, Refused, exchange
from penlatch.verify.adaptation import Reference as Known
from penlatch.verify.course import course
from penlatch.verify.template import Template

if TYPE_CHECKING:
    from penlatch.config import Adapt
    from penlatch.messages import Decision, User
    from penlatch.service.memory import Memory
    from penlatch.store.store import Store
    from penlatch.verify.verifier import Analysis, Verifier

log = logging.getLogger(__name__)


class Roster:
    """The people of one terminal, for models and a store that work."""

    def __init__(self, store: Store, verifier: Verifier) -> None:
        self._store = store
        self._verifier = verifier
        self.templates: dict[str, Template] = {}
        """Everybody's, by name."""

    def load(self) -> None:
        """Bring every template into memory; make those anew that other models made."""
        self.templates.clear()
        for name, stored in self._store.templates().items():
            if stored.version == self._verifier.version:
                self.templates[name] = Template.from_bytes(stored.data)
                continue
            log.info("the models changed: making the template of %s anew", name)
            references = self.references(name)
            template = self._template(references)
            self._store.replace_template(
                name,
                template=template.to_bytes(),
                template_version=self._verifier.version,
                quality=self._verifier.quality([r.trace for r in references], template),
            )
            self.templates[name] = template

    def references(self, name: str) -> list[Reference]:
        """Return the references of a person, analysed anew.

        Raises:
            RequestError: `unknown_user`.
            StoreError: if one does not open.
            ModelError: if the models fail.
        """
        traces = [Trace.from_bytes(data) for data in self._store.references(name)]
        return [Reference(trace, self._verifier.analyse(trace)) for trace in traces]

    def claim(self, name: str, references: list[Reference] | None = None) -> OfOriginals:
        """Return the claim to a name: the references of the first sitting.

        Args:
            name: Of somebody who gave references with a pen.
            references: All of the person's, where they are at hand.

        Raises:
            RequestError: `unknown_user`.
            StoreError: if a reference does not open.
            ModelError: if the models fail.
        """
        known = self.references(name) if references is None else references
        places = first_sitting(self._store.history(name))
        return OfOriginals([known[place].analysis for place in places], self._verifier)

    def enroll(
        self, name: str, references: References, *, time: str, remembering: Memory | None = None
    ) -> Reason | None:
        """Make the template of a new person, or of one who gave more references, and store both.

        Args:
            name: by which the person is asked for.
            references: of this sitting and before.
            time: RFC 3339 in UTC.
            remembering: keeps the new signatures, to be known again; None: they are not kept.

        Returns:
            None when that is done, else the reason why not.

        Raises:
            RequestError: `already_enrolled`, or `unknown_user` where the person was deleted meanwhile.
        """
        given = references.accepted
        if self._is_somebody_else(name, [r.analysis for r in given]):
            return Reason.DUPLICATE_PERSON
        template = self._template(references.all)
        quality = self._verifier.quality([r.trace for r in references.all], template)
        new = [r.trace.to_bytes() for r in given]
        shown = [remembering.seen(course(r.trace), name, "enrolled", time=time) for r in given] if remembering else []
        rule = remembering.rule if remembering else None
        version, sealable = self._verifier.version, template.to_bytes()
        if references.earlier:
            self._store.change_references(
                name,
                add=new,
                template=sealable,
                template_version=version,
                time=time,
                quality=quality,
                seen=shown,
                rule=rule,
            )
        else:
            self._store.enroll(
                name,
                references=new,
                template=sealable,
                template_version=version,
                time=time,
                quality=quality,
                seen=shown,
                rule=rule,
            )
        self.templates[name] = template
        log.info("enrolled %s with %d references, %d of them new", name, len(template), len(given))
        return None

    def adapt(self, decision: Decision, trace: Trace, rule: Adapt) -> Refused | None:
        """Take an accepted signature as a reference, if the rule allows it.

        Args:
            decision: The match, committed.
            trace: The signature it was about.
            rule: The section [adapt] of the configuration.

        Returns:
            None when it became a reference, else why not.

        Raises:
            RequestError: `unknown_user`, where the person was deleted meanwhile.
            StoreError: if it cannot be written. All is then as before.
        """
        name, probability, threshold = decision.user, decision.probability, decision.threshold
        if name is None or probability is None or threshold is None:
            return Refused.DOUBTFUL
        history = self._store.history(name)
        accepted = Accepted(
            time=decision.time,
            probability=probability,
            threshold=threshold,
            agrees=decision.reason is Reason.AGREES,
            failures=self._store.failures(name, before=decision.seq),
        )
        known = [Known(held.position, held.added, held.adapted) for held in history.held]
        found = exchange(accepted, known, changed=history.changed, rule=rule)
        if isinstance(found, Refused):
            return found
        new = Reference(trace, self._verifier.analyse(trace))
        references = self.references(name)
        if self.claim(name, references).refuses(trace, new.analysis):
            return Refused.UNLIKE_ORIGINALS
        kept = [
            reference for reference, held in zip(references, history.held, strict=True) if held.position != found.drops
        ]
        template = self._template([*kept, new])
        self._store.change_references(
            name,
            add=[trace.to_bytes()],
            adapted=True,
            drop=() if found.drops is None else (found.drops,),
            template=template.to_bytes(),
            template_version=self._verifier.version,
            time=decision.time,
            quality=self._verifier.quality([r.trace for r in [*kept, new]], template),
        )
        self.templates[name] = template
        log.info(
            "adapted %s: the signature of decision %d became a reference%s",
            name,
            decision.seq,
            "" if found.drops is None else ", and the oldest adapted one went",
        )
        return None

    def revert(self, name: str, *, time: str) -> int:
        """Forget the adapted references of a person; return how many there were.

        Raises:
            RequestError: `unknown_user`.
            StoreError: if it cannot be written. All is then as before.
        """
        held = self._store.history(name).held
        drop = [each.position for each in held if each.adapted]
        if not drop:
            return 0
        kept = [r for r, each in zip(self.references(name), held, strict=True) if not each.adapted]
        template = self._template(kept)
        self._store.change_references(
            name,
            drop=drop,
            template=template.to_bytes(),
            template_version=self._verifier.version,
            time=time,
            quality=self._verifier.quality([r.trace for r in kept], template),
        )
        self.templates[name] = template
        log.info("reverted %s to the %d references of the enrolment", name, len(kept))
        return len(drop)

    def find(self, name: str) -> User:
        """Return what lists show of a person.

        Raises:
            RequestError: `unknown_user`.
        """
        for user in self._store.users():
            if user.name == name:
                return user
        raise RequestError(code="unknown_user", problem=f"nobody is enrolled as {name}")

    def _template(self, references: list[Reference]) -> Template:
        return self._verifier.template([reference.analysis for reference in references])

    def _is_somebody_else(self, name: str, analyses: list[Analysis]) -> bool:
        """Tell whether most of these signatures already belong to one person of another name."""
        others = {known: template for known, template in self.templates.items() if known != name}
        names = [
            best[0] for a in analyses if (best := self._verifier.identify(others, a)) is not None and best[1].match
        ]
        return any(2 * names.count(known) > len(analyses) for known in set(names))
