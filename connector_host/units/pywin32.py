"""The service-control edge on Windows, by pywin32: everything here is one call into the system.

Never imported on other systems; what is decided is decided in windows.py and hosting.py.
"""

from __future__ import annotations

import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

if sys.platform == "win32":
    import pywintypes
    import servicemanager
    import win32evtlog
    import win32evtlogutil
    import win32service
    import win32serviceutil
    import winerror

    from connector_host.units.hosting import Severity, live
    from connector_host.units.programs import ServiceFailed
    from connector_host.units.stopping import REQUESTS

    if TYPE_CHECKING:
        import argparse
        from collections.abc import Iterator

        from _win32typing import PySC_HANDLE

        from connector_host.units.windows import Registration, State

    _WAIT_S: Final = 90
    _DAY_S: Final = 86_400
    _EVENT_CHARACTERS: Final = 30_000  # of the 31 839 that ReportEvent takes
    _STATES: Final[dict[int, State]] = {
        win32service.SERVICE_RUNNING: "running",
        win32service.SERVICE_STOPPED: "stopped",
        win32service.SERVICE_STOP_PENDING: "stopping",
    }

    class Pywin32:
        """See `windows.Control`."""

        def create(self, registration: Registration) -> None:
            """CreateService and ChangeServiceConfig2."""
            with _told("registering the service"), _manager(win32service.SC_MANAGER_CREATE_SERVICE) as manager:
                service = win32service.CreateService(
                    manager,
                    registration.name,
                    registration.name,
                    win32service.SERVICE_ALL_ACCESS,
                    win32service.SERVICE_WIN32_OWN_PROCESS,
                    win32service.SERVICE_AUTO_START,
                    win32service.SERVICE_ERROR_NORMAL,
                    registration.command_line,
                    None,
                    False,  # noqa: FBT003 - pywin32's signature: no tag of a load-order group
                    None,
                    registration.account,
                    None,
                )
                try:
                    _configure(service, registration)
                except pywintypes.error:
                    win32service.DeleteService(service)
                    raise
                finally:
                    win32service.CloseServiceHandle(service)

        def delete(self, name: str) -> None:
            """DeleteService."""
            with _told(f"removing {name}"):
                win32serviceutil.RemoveService(name)

        def start(self, name: str) -> None:
            """StartService."""
            with _told(f"starting {name}"):
                win32serviceutil.StartService(name)
                win32serviceutil.WaitForServiceStatus(name, win32service.SERVICE_RUNNING, _WAIT_S)

        def stop(self, name: str) -> None:
            """ControlService."""
            with _told(f"stopping {name}"):
                win32serviceutil.StopService(name)
                win32serviceutil.WaitForServiceStatus(name, win32service.SERVICE_STOPPED, _WAIT_S)

        def state(self, name: str) -> State:
            """QueryServiceStatus."""
            with _told(f"asking for {name}"):
                try:
                    return _STATES.get(win32serviceutil.QueryServiceStatus(name)[1], "starting")
                except pywintypes.error as failure:
                    if failure.winerror == winerror.ERROR_SERVICE_DOES_NOT_EXIST:
                        return "absent"
                    raise

        def add_source(self, name: str) -> None:
            """Register the messages of win32evtlog, which are whatever text they are given."""
            with _told("registering the source of the event log"):
                win32evtlogutil.AddSourceToRegistry(name, win32evtlog.__file__)

        def remove_source(self, name: str) -> None:
            """Take the source away."""
            try:
                win32evtlogutil.RemoveSourceFromRegistry(name)
            except pywintypes.error:
                return  # RemoveService has done it

    class Service(win32serviceutil.ServiceFramework):
        """One hosted program; the manager calls it in threads of its own."""

        hosted: argparse.Namespace
        _svc_name_: str

        def SvcDoRun(self) -> None:  # noqa: N802 - pywin32's name
            """Run until it ends; an exception ends the service as failed, so that it is started again."""
            live(self.hosted, lambda severity, text: report(self.hosted.name, severity, text))

        def SvcStop(self) -> None:  # noqa: N802 - pywin32's name
            """Ask it to stop, and tell the manager how long that may take."""
            self.ReportServiceStatus(win32service.SERVICE_STOP_PENDING, (self.hosted.stop_s + 10) * 1_000)
            REQUESTS.ask()

        SvcShutdown = SvcStop

    def host(hosted: argparse.Namespace) -> None:
        """Let the service-control manager run the program in this process; returns when it has ended."""
        Service.hosted, Service._svc_name_ = hosted, hosted.name
        servicemanager.Initialize(hosted.name, win32evtlog.__file__)
        servicemanager.PrepareToHostSingle(Service)
        servicemanager.StartServiceCtrlDispatcher()  # type: ignore[no-untyped-call] # has no types

    def report(name: str, severity: Severity, text: str) -> None:
        """Write one entry into the event log; where that fails, the log file has it."""
        kind = win32evtlog.EVENTLOG_WARNING_TYPE if severity == "warning" else win32evtlog.EVENTLOG_ERROR_TYPE
        try:
            win32evtlogutil.ReportEvent(name, 1, eventType=kind, strings=[text[:_EVENT_CHARACTERS]])
        except pywintypes.error:
            return

    def _configure(service: PySC_HANDLE, registration: Registration) -> None:
        change = win32service.ChangeServiceConfig2
        change(service, win32service.SERVICE_CONFIG_DESCRIPTION, registration.description)
        change(service, win32service.SERVICE_CONFIG_DELAYED_AUTO_START_INFO, True)  # noqa: FBT003 - pywin32's signature
        restarts = [(win32service.SC_ACTION_RESTART, after_s * 1_000) for after_s in registration.restart_after_s]
        failure = {"ResetPeriod": _DAY_S, "RebootMsg": "", "Command": "", "Actions": restarts}
        change(service, win32service.SERVICE_CONFIG_FAILURE_ACTIONS, failure)
        # A program that ends with a code is a failure, too, not only one that crashes.
        change(service, win32service.SERVICE_CONFIG_FAILURE_ACTIONS_FLAG, True)  # noqa: FBT003 - pywin32's signature

    @contextmanager
    def _manager(access: int) -> Iterator[PySC_HANDLE]:
        manager = win32service.OpenSCManager(None, None, access)
        try:
            yield manager
        finally:
            win32service.CloseServiceHandle(manager)

    @contextmanager
    def _told(doing: str) -> Iterator[None]:
        """Raise ServiceFailed in place of pywin32's error."""
        try:
            yield
        except pywintypes.error as failure:
            if failure.winerror == winerror.ERROR_ACCESS_DENIED:
                raise ServiceFailed(f"{doing} needs an administrator. Run it in an elevated console.") from failure
            raise ServiceFailed(f"{doing} failed: {failure.strerror.strip()}") from failure
