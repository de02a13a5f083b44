"""The methods of org.penlatch and org.varlink.service, each bound to the verb that does it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec

from penlatch import __version__
from penlatch.control import interface
from penlatch.control.interface import Parameters, ServiceError
from penlatch.errors import RequestError
from penlatch.messages import CHECK, Calibration, Event, Request, Told

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from penlatch.control.verbs import Verbs

DECISIONS = 20
"""How many decisions are listed where nobody says."""
MOST_DECISIONS = 10_000
"""How many may be asked for at once: about 8 MB."""
LARGEST_TARGET = 0.1
"""As `config.Rate` has it: one false match in ten is no protection any more."""


@dataclass(frozen=True, slots=True)
class Single:
    """A method with one reply."""

    parameters: type[Parameters]
    call: Callable[[Verbs, Any], Awaitable[Any]]
    """(verbs, parameters) -> what becomes the parameters of the reply."""


@dataclass(frozen=True, slots=True)
class Stream:
    """A method whose replies are events."""

    parameters: type[Parameters]
    call: Callable[[Verbs, Any], AsyncIterator[Told]]
    endless: bool = False
    """It has no last event, so it must be called with `more`."""


@dataclass(frozen=True, slots=True)
class Audited:
    """A method with one reply that says in the audit who asked."""

    parameters: type[Parameters]
    call: Callable[[Verbs, Any, str], Awaitable[Any]]
    """(verbs, parameters, who asks) -> the parameters of the reply."""


Method = Single | Audited | Stream


async def _get_info(_verbs: Verbs, _parameters: Parameters) -> object:
    return {
        "vendor": "penlatch",
        "product": "penlatch",
        "version": __version__,
        "url": "",
        "interfaces": [interface.SERVICE, interface.NAME],
    }


async def _get_description(_verbs: Verbs, parameters: interface.DescriptionParameters) -> object:
    if parameters.interface not in (interface.SERVICE, interface.NAME):
        raise ServiceError("InterfaceNotFound", interface=parameters.interface)
    return {"description": interface.description(parameters.interface)}


async def _cancel(verbs: Verbs, _parameters: Parameters) -> object:
    return interface.CancelReply(await verbs.cancel())


async def _list_users(verbs: Verbs, _parameters: Parameters) -> object:
    return interface.ListUsersReply(await verbs.list_users())


async def _delete_user(verbs: Verbs, parameters: interface.DeleteUserParameters) -> object:
    _check(parameters)
    await verbs.delete_user(parameters.user)
    return {}


async def _status(verbs: Verbs, _parameters: Parameters) -> object:
    return interface.StatusReply(await verbs.status())


async def _info(verbs: Verbs, _parameters: Parameters) -> object:
    return await verbs.info()


async def _decisions(verbs: Verbs, parameters: interface.DecisionsParameters) -> object:
    limit = DECISIONS if parameters.limit is None else parameters.limit
    if not 1 <= limit <= MOST_DECISIONS:
        raise RequestError(code="bad_request", problem=f"`limit` lies between 1 and {MOST_DECISIONS}")
    return interface.DecisionsReply(await verbs.decisions(limit=limit, user=parameters.user))


def _verify(verbs: Verbs, parameters: interface.VerifyParameters) -> AsyncIterator[Event]:
    _check(parameters)
    return verbs.verify(parameters.user, purpose=parameters.purpose or CHECK, transaction=parameters.transaction)


def _identify(verbs: Verbs, parameters: interface.IdentifyParameters) -> AsyncIterator[Event]:
    _check(parameters)
    return verbs.identify(purpose=parameters.purpose or CHECK, transaction=parameters.transaction)


def _enroll(verbs: Verbs, parameters: interface.EnrollParameters) -> AsyncIterator[Event]:
    _check(parameters)
    return verbs.enroll(
        parameters.user,
        references=parameters.references,
        extend=bool(parameters.extend),
        transaction=parameters.transaction,
    )


async def _enroll_picture(verbs: Verbs, parameters: interface.EnrollPictureParameters) -> object:
    _check(interface.DeleteUserParameters(user=parameters.user))
    return interface.EnrollPictureReply(await verbs.enroll_picture(parameters.user, parameters.raster))


def _calibrate(verbs: Verbs, parameters: interface.CalibrateParameters) -> AsyncIterator[Calibration]:
    target = parameters.target_fmr
    if target is not None and not 0 < target <= LARGEST_TARGET:
        raise RequestError(code="bad_request", problem=f"`target_fmr` lies above 0 and up to {LARGEST_TARGET}")
    return verbs.calibrate(target_fmr=target, apply=bool(parameters.apply))


async def _revert_user(verbs: Verbs, parameters: interface.RevertUserParameters) -> object:
    _check(parameters)
    return interface.RevertUserReply(await verbs.revert_user(parameters.user))


async def _unlock(verbs: Verbs, parameters: interface.UnlockParameters, by: str) -> object:
    _check(parameters)
    if bool(parameters.terminal) is (parameters.user is not None):
        raise RequestError(code="bad_request", problem="give either `user` or `terminal`")
    await verbs.unlock(parameters.user, by=by)
    return {}


def _check(parameters: Parameters) -> None:
    """Hold `parameters` to the limits of a request; they are those of one that comes over MQTT.

    Raises:
        RequestError: `bad_request`, naming the parameter.
    """
    try:
        given = {name: value for name, value in msgspec.to_builtins(parameters).items() if value is not None}
        msgspec.convert(given, Request)
    except msgspec.ValidationError as error:
        raise RequestError(code="bad_request", problem=str(error).replace("`$.", "`")) from error


METHODS: dict[str, Method] = {
    f"{interface.SERVICE}.GetInfo": Single(Parameters, _get_info),
    f"{interface.SERVICE}.GetInterfaceDescription": Single(interface.DescriptionParameters, _get_description),
    f"{interface.NAME}.Verify": Stream(interface.VerifyParameters, _verify),
    f"{interface.NAME}.Identify": Stream(interface.IdentifyParameters, _identify),
    f"{interface.NAME}.Enroll": Stream(interface.EnrollParameters, _enroll),
    f"{interface.NAME}.EnrollPicture": Single(interface.EnrollPictureParameters, _enroll_picture),
    f"{interface.NAME}.Calibrate": Stream(interface.CalibrateParameters, _calibrate),
    f"{interface.NAME}.Monitor": Stream(Parameters, lambda verbs, _: verbs.monitor(), endless=True),
    f"{interface.NAME}.Cancel": Single(Parameters, _cancel),
    f"{interface.NAME}.ListUsers": Single(Parameters, _list_users),
    f"{interface.NAME}.DeleteUser": Single(interface.DeleteUserParameters, _delete_user),
    f"{interface.NAME}.Unlock": Audited(interface.UnlockParameters, _unlock),
    f"{interface.NAME}.RevertUser": Single(interface.RevertUserParameters, _revert_user),
    f"{interface.NAME}.Status": Single(Parameters, _status),
    f"{interface.NAME}.Info": Single(Parameters, _info),
    f"{interface.NAME}.Decisions": Single(interface.DecisionsParameters, _decisions),
}
