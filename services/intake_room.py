"""The room of what comes in, wired: who may speak, where its files go, who hears its voice notes."""

from __future__ import annotations

from credproxy.admin_client.link import ProxyAdmin
from runtime.asks.questions import UserQuestions
from runtime.home import Home
from runtime.host_state import HostState
from runtime.intake import Intake
from runtime.intake_ends import IntakeEnds
from runtime.money.spending import Spending
from runtime.store.store import Store
from runtime.voice.transcriber import Transcriber
from services.host_setup import MB


def make_intake(
    home: Home,
    store: Store,
    proxy: ProxyAdmin,
    state: HostState,
    money: Spending,
    questions: UserQuestions,
    ends: IntakeEnds,
) -> Intake:
    """Return it; `ends`: who takes what it has filed."""
    return Intake(
        store,
        lambda: state.channels,
        lambda: state.groups.person_limits,
        ends,
        inbox=home.inbox,
        max_file_bytes=lambda: state.settings.settings.attachments_mb * MB,
        rehearsing=lambda: state.groups.rehearsing,
        usual_group=state.usual_group,
        answers=questions,
        voices=Transcriber(
            home, proxy, money, groups=lambda: state.groups, routes=lambda: state.settings.settings.routes
        ),
        zone_name=lambda: state.settings.settings.time_zone,
    )
